//! HTTP/2 connections: their limits, and their drain when the server stops.
//!
//! They are served by hyper instead of tonic's server, whose graceful shutdown has no deadline, and which removes hyper's
//! limits on streams and resets.

use std::{sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

use super::calls::{ConnectionService, SEND_BUFFER_BYTES};
use crate::{
    config::Limits,
    listen::{
        Connection, Listener,
        preface::{PrefaceProgress, PrefaceReader},
    },
    metrics::{GaugeGuard, Metrics, Rejection},
};

type Http2 = hyper::server::conn::http2::Builder<TokioExecutor>;

/// The most streams that the peer has reset and that are not processed yet (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;

/// The most streams that the server has reset because of protocol errors of the peer (such as CVE-2024-2758).
const MAX_LOCAL_RESETS: usize = 1_024;

/// The most bytes of headers in one request, as in other gRPC servers.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How often a PING is sent to an idle peer, and how long the peer may take to answer it.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a peer without open calls may take to answer GOAWAY.
const GOAWAY_TIMEOUT: Duration = Duration::from_millis(500);

/// Flow-control windows: the most bytes that a peer may send before they are read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Accepts and serves the gRPC connections.
pub(super) struct Connections {
    routes: Routes,
    http2: Http2,
    permits: Arc<Semaphore>,
    handshake_time: Duration,
    message_bytes: usize,
    metrics: Metrics,
    stopping: CancellationToken,
    open: TaskTracker,
}

impl Connections {
    pub(super) fn new(
        routes: Routes,
        limits: &Limits,
        metrics: Metrics,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        let mut http2 = Http2::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        Arc::new(Self {
            routes,
            http2,
            permits: Arc::new(Semaphore::new(limits.connections)),
            handshake_time: limits.handshake_time,
            message_bytes: limits.message_bytes,
            metrics,
            stopping,
            open: TaskTracker::new(),
        })
    }

    /// Starts to accept connections, until the server stops.
    pub(super) fn serve(self: &Arc<Self>, listener: Listener) {
        let connections = Arc::clone(self);
        self.open.spawn(async move {
            let stopping = connections.stopping.clone();
            while let Some(connection) = stopping.run_until_cancelled(listener.accept()).await {
                connections.spawn(connection);
            }
        });
    }

    /// Serves a connection in its own task, or rejects it when `limits.connections` is reached.
    fn spawn(self: &Arc<Self>, connection: Connection) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.metrics.count_rejection(Rejection::ConnectionLimit);
            tracing::warn!("connection rejected: limits.connections is reached");
            return;
        };
        let connections = Arc::clone(self);
        let gauge_guard = self.metrics.track_connection();
        self.open.spawn(async move {
            let _permit = permit;
            connections.serve_connection(connection, gauge_guard).await;
        });
    }

    async fn serve_connection(&self, Connection { io, peer }: Connection, _gauge_guard: GaugeGuard) {
        tracing::debug!(%peer, "connection accepted");
        let (reader, writer) = io.into_inner();
        let (reader, preface) = PrefaceReader::new(reader);
        let service =
            ConnectionService::new(self.routes.clone(), self.message_bytes, self.metrics.clone(), peer);
        let open_calls = service.open_calls();
        let service = TowerToHyperService::new(service);
        let io = TokioIo::new(tokio::io::join(reader, writer));
        let mut connection = std::pin::pin!(self.http2.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = handshake_timeout(&preface, self.handshake_time) => {
                self.metrics.count_rejection(Rejection::HandshakeTimeout);
                tracing::debug!(%peer, "connection closed: no HTTP/2 preface within limits.handshake_time");
                return;
            }
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                if open_calls.is_empty() {
                    // The peer may never answer GOAWAY, and there is no call to wait for.
                    tokio::time::timeout(GOAWAY_TIMEOUT, connection).await.unwrap_or(Ok(()))
                } else {
                    connection.await
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, "connection ended: {error}");
        }
    }

    /// Waits until every connection has ended, for at most `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        self.open.close();
        if tokio::time::timeout(limit, self.open.wait()).await.is_ok() {
            tracing::info!("stopped: every call was answered");
        } else {
            tracing::warn!(
                "stopped after limits.drain_time ({limit:?}); connections closed with open calls: {}",
                self.open.len()
            );
        }
    }
}

/// Completes after `limit` if the peer has not sent the HTTP/2 preface by then; never otherwise.
async fn handshake_timeout(preface: &PrefaceProgress, limit: Duration) {
    tokio::time::sleep(limit).await;
    if preface.is_complete() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    use http_body_util::Empty;
    use tokio::{net::UnixStream, sync::mpsc};

    use super::*;
    use crate::{
        config::{Config, layers::Layers},
        listen::{
            self,
            peer::{Peer, PeerCredentials},
        },
    };

    #[tokio::test]
    async fn every_request_has_the_peer_of_its_connection() {
        // An abstract socket: for one with a path the umask of the process is changed, which would affect other tests.
        let name = format!("presignd-test-requests-{}", std::process::id());
        let unix = format!("@{name}");
        let settings = [
            ("PRESIGND_LISTEN_TCP", "off"),
            ("PRESIGND_ADMIN_LISTEN", "off"),
            ("PRESIGND_LISTEN_UNIX", unix.as_str()),
        ];
        let mut layers = Layers::defaults();
        layers.apply_environment(&settings.map(|(name, text)| (name.to_owned(), text.to_owned()))).unwrap();
        let config = Config::from_layers(&layers).unwrap();
        let (peers, mut received) = mpsc::unbounded_channel();
        let routes =
            Routes::from(axum::Router::new().fallback(async move |request: axum::extract::Request| {
                peers.send(request.extensions().get::<Peer>().copied()).unwrap();
            }));
        let connections =
            Connections::new(routes, &config.limits, Metrics::default(), CancellationToken::new());
        for listener in listen::bind(&config).await.unwrap().grpc {
            connections.serve(listener);
        }
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let stream = std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TokioIo::new(UnixStream::from_std(stream).unwrap());
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let _connection = tokio::spawn(connection);
        let expected = PeerCredentials {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            pid: Some(std::process::id()),
        };
        for _ in 0..2 {
            let body = Empty::<prost::bytes::Bytes>::new();
            let request = http::Request::post("http://localhost/a.Service/Method").body(body).unwrap();
            client.send_request(request).await.unwrap();
            assert_eq!(received.recv().await.unwrap(), Some(Peer::Unix(expected)));
        }
    }
}
