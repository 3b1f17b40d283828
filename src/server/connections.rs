//! HTTP/2 connections: each within its limits, all of them drained in the end.
//!
//! The connections are served with hyper, not with tonic's own server: that one has no deadline for its graceful
//! stop, and takes hyper's guards against floods away.

use std::{sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

use super::calls::{Calls, SEND_BUFFER};
use crate::{
    config::Limits,
    listen::{
        Connection, Listener,
        preface::{PrefaceProgress, PrefaceReader},
    },
    metrics::{Counted, Metrics, Rejection},
};

type Http2 = hyper::server::conn::http2::Builder<TokioExecutor>;

/// The most streams that a peer may have reset without our having seen to them yet (CVE-2023-44487).
const PENDING_RESETS: usize = 20;

/// The most streams that we may have reset for the peer's mistakes (CVE-2024-2758 and its like).
const LOCAL_RESETS: usize = 1_024;

/// The most bytes of headers in one request; gRPC's own default.
const HEADER_BYTES: u32 = 16 * 1024;

/// How often an idle peer is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE_EVERY: Duration = Duration::from_mins(1);
const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(20);

/// How long a peer without open calls may take to go, once the server stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Bytes that a peer may send ahead, on a stream and on a connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Every gRPC connection.
pub(super) struct Connections {
    routes: Routes,
    http2: Http2,
    places: Arc<Semaphore>,
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
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(LOCAL_RESETS)
            .max_header_list_size(HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_WAIT);
        Arc::new(Self {
            routes,
            http2,
            places: Arc::new(Semaphore::new(limits.connections)),
            handshake_time: limits.handshake_time,
            message_bytes: limits.message_bytes,
            metrics,
            stopping,
            open: TaskTracker::new(),
        })
    }

    /// Accepts until the server stops.
    pub(super) fn serve(self: &Arc<Self>, listener: Listener) {
        let connections = Arc::clone(self);
        self.open.spawn(async move {
            let stopping = connections.stopping.clone();
            while let Some(connection) = stopping.run_until_cancelled(listener.accept()).await {
                connections.admit(connection);
            }
        });
    }

    fn admit(self: &Arc<Self>, connection: Connection) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.metrics.rejected(Rejection::ConnectionLimit);
            tracing::warn!("a connection was turned away: limits.connections are open");
            return;
        };
        let connections = Arc::clone(self);
        let counted = self.metrics.connection();
        self.open.spawn(async move {
            let _place = place;
            connections.talk(connection, counted).await;
        });
    }

    async fn talk(&self, Connection { io, peer }: Connection, _counted: Counted) {
        tracing::debug!(%peer, "a connection was accepted");
        let (reader, writer) = io.into_inner();
        let (reader, preface) = PrefaceReader::new(reader);
        let calls = Calls::new(self.routes.clone(), self.message_bytes, self.metrics.clone(), peer);
        let running = calls.running();
        let service = TowerToHyperService::new(calls);
        let io = TokioIo::new(tokio::io::join(reader, writer));
        let mut connection = std::pin::pin!(self.http2.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = late(&preface, self.handshake_time) => {
                self.metrics.rejected(Rejection::HandshakeTimeout);
                tracing::debug!(%peer, "a connection said nothing within limits.handshake_time");
                return;
            }
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                if running.is_empty() {
                    // A peer that does not answer our GOAWAY, and has nothing to wait for, is not waited for.
                    tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
                } else {
                    connection.await
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, "a connection ended: {error}");
        }
    }

    /// Waits for every connection to end, for as long as `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        self.open.close();
        if tokio::time::timeout(limit, self.open.wait()).await.is_ok() {
            tracing::info!("stopped: every call was answered");
        } else {
            tracing::warn!("stopped after {limit:?}: {} connections were cut off", self.open.len());
        }
    }
}

/// Ready when a peer has not said as much as a preface by then; never when it has.
async fn late(preface: &PrefaceProgress, limit: Duration) {
    tokio::time::sleep(limit).await;
    if preface.is_complete() {
        std::future::pending::<()>().await;
    }
}
