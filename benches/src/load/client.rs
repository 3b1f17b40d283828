//! The client of tonic, without decoding of messages.

use std::{net::SocketAddr, path::PathBuf};

use bytes::{Buf, BufMut, Bytes};
use futures_util::Stream;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use super::{
    Mode, Options, Target,
    messages::{Answer, Messages},
};

/// HTTP/2 flow-control window per stream and per connection, in bytes, for both servers.
const WINDOW: u32 = 4 << 20;
/// The size limit of a response, in bytes: larger than any.
const MESSAGE_LIMIT: usize = 8 << 20;

/// The address of the server and the method to call.
#[derive(Clone)]
pub(super) struct Client {
    address: ServerAddress,
    path: PathAndQuery,
    mode: Mode,
}

#[derive(Clone)]
enum ServerAddress {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Client {
    /// The client that the options describe.
    pub(super) fn to(options: &Options) -> Self {
        let address = match (&options.unix, options.tcp) {
            (Some(path), _) => ServerAddress::Unix(path.clone()),
            (None, Some(address)) if address.ip().is_loopback() => ServerAddress::Tcp(address),
            _ => panic!("give a socket or a loopback address"),
        };
        let path = match (options.target, options.mode) {
            (Target::Presignd | Target::Bare, Mode::Unary) => "/presign.v1.PresignService/Presign",
            (Target::Presignd | Target::Bare, Mode::Batch) => "/presign.v1.PresignService/BatchPresign",
            (Target::Presignd | Target::Bare, Mode::Stream) => "/presign.v1.PresignService/StreamPresign",
            (Target::Echo, Mode::Unary) => "/bench.echo.Echo/Unary",
            (Target::Echo, Mode::Batch) => "/bench.echo.Echo/Batch",
            (Target::Echo, Mode::Stream) => "/bench.echo.Echo/Stream",
        };
        Self { address, path: PathAndQuery::from_static(path), mode: options.mode }
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Connection {
        let endpoint = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let channel = match self.address.clone() {
            ServerAddress::Unix(path) => {
                let dial = tower::service_fn(move |_| {
                    let path = path.clone();
                    async { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                endpoint.connect_with_connector(dial).await
            }
            ServerAddress::Tcp(address) => {
                let dial = tower::service_fn(move |_| async move {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Ok::<_, std::io::Error>(TokioIo::new(stream))
                });
                endpoint.connect_with_connector(dial).await
            }
        };
        let grpc = Grpc::new(channel.expect("the server accepts connections"));
        Connection { grpc: grpc.max_decoding_message_size(MESSAGE_LIMIT), path: self.path.clone() }
    }

    /// The first answer, decoded and checked.
    pub(super) async fn first_answer(&self, messages: &Messages) -> Answer {
        let mut connection = self.connect().await;
        let bytes = if self.mode == Mode::Stream {
            let mut answers = connection.stream(tokio_stream::once(messages.get(0))).await;
            answers.message().await.expect("it answers").expect("an answer")
        } else {
            connection.unary(messages.get(0)).await
        };
        messages.check(bytes)
    }
}

/// A connection to the server.
#[derive(Clone)]
pub(super) struct Connection {
    grpc: Grpc<Channel>,
    path: PathAndQuery,
}

impl Connection {
    /// Sends one message and returns the response.
    pub(super) async fn unary(&mut self, message: Bytes) -> Bytes {
        self.grpc.ready().await.expect("it is connected");
        let answer = self.grpc.unary(Request::new(message), self.path.clone(), Raw).await;
        answer.expect("it answers").into_inner()
    }

    /// Sends a stream of messages and returns the stream of responses.
    pub(super) async fn stream(
        &mut self,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Streaming<Bytes> {
        self.grpc.ready().await.expect("it is connected");
        let answer = self.grpc.streaming(Request::new(messages), self.path.clone(), Raw).await;
        answer.expect("it answers").into_inner()
    }
}

/// A codec that passes messages on as bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
