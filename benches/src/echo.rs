//! The bare server: tonic with default settings, which only builds responses of the requested size. It serves strings
//! (`echo.proto`) and the messages of presignd (`bare.rs`).

use std::{net::SocketAddr, path::PathBuf, pin::Pin};

use clap::Args;
use futures_util::{Stream, TryStreamExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use crate::{
    bare::BareService,
    contract::presign::v1::presign_service_server::PresignServiceServer,
    echo_pb::{
        BatchRequest, BatchResponse, UnaryRequest, UnaryResponse,
        echo_server::{Echo, EchoServer},
    },
};

/// Options of the `echo` command.
#[derive(Args)]
pub(crate) struct Options {
    /// Socket to serve on
    #[arg(long)]
    unix: PathBuf,
    /// Loopback address to serve on
    #[arg(long, default_value = "127.0.0.1:0")]
    tcp: SocketAddr,
}

/// Serves until the process is ended.
pub(crate) fn run(options: &Options) {
    assert!(options.tcp.ip().is_loopback(), "{} is not a loopback address", options.tcp);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(serve(options));
}

async fn serve(options: &Options) {
    let tcp = TcpListener::bind(options.tcp).await.expect("the address is free");
    let unix = UnixListener::bind(&options.unix).expect("the socket is free");
    let address = tcp.local_addr().expect("it has an address");
    eprintln!("listening tcp={address} unix={}", options.unix.display());
    let tcp =
        TcpListenerStream::new(tcp).and_then(|stream| async { stream.set_nodelay(true).map(|()| stream) });
    let (over_tcp, over_unix) = tokio::join!(
        server().serve_with_incoming(Box::pin(tcp)),
        server().serve_with_incoming(UnixListenerStream::new(unix)),
    );
    over_tcp.and(over_unix).expect("it serves");
}

fn server() -> tonic::transport::server::Router {
    Server::builder()
        .add_service(EchoServer::new(EchoService))
        .add_service(PresignServiceServer::new(BareService))
}

struct EchoService;

impl EchoService {
    fn batch(request: &BatchRequest) -> BatchResponse {
        let item = item(request.answer_bytes);
        BatchResponse { items: vec![item; request.items.len()] }
    }
}

fn item(bytes: u32) -> String {
    "x".repeat(usize::try_from(bytes).unwrap_or_default())
}

#[tonic::async_trait]
impl Echo for EchoService {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<BatchResponse, Status>> + Send>>;

    async fn unary(&self, request: Request<UnaryRequest>) -> Result<Response<UnaryResponse>, Status> {
        Ok(Response::new(UnaryResponse { item: item(request.get_ref().answer_bytes) }))
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Result<Response<BatchResponse>, Status> {
        Ok(Response::new(Self::batch(request.get_ref())))
    }

    async fn stream(
        &self,
        request: Request<Streaming<BatchRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner().map_ok(|batch| Self::batch(&batch)))))
    }
}
