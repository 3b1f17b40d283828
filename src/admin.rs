//! HTTP for operators: metrics, probes and a status page. No page has a secret, so it may listen on any address.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::{Semaphore, watch};

use crate::{
    clock::Clock, credentials::Signer, generation::Generations, health::HealthState, listen::Listener,
    metrics::Metrics,
};

/// The most open connections: enough for a scraper, a few probes and a person.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The text format of Prometheus:
/// [Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/).
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The data of the pages.
pub struct Admin {
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the server can sign.
    pub state: watch::Receiver<HealthState>,
    /// The current signers.
    pub generations: Arc<Generations>,
    /// The clock for the ages on the status page.
    pub clock: Clock,
    /// The addresses that gRPC is served on.
    pub addresses: Vec<String>,
}

type AdminState = State<Arc<Admin>>;

/// Serves the pages. It does not return.
pub async fn serve(listener: Listener, admin: Admin) {
    let pages = Router::new()
        .route("/", get(show_status))
        .route(
            "/metrics",
            get(async |State(admin): AdminState| ([(CONTENT_TYPE, PROMETHEUS_TEXT)], admin.metrics.render())),
        )
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async |State(admin): AdminState| answer_probe(admin.state.borrow().ready)))
        .route("/startupz", get(async |State(admin): AdminState| answer_probe(admin.state.borrow().started)))
        .with_state(Arc::new(admin));
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    loop {
        let connection = listener.accept().await;
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(pages.clone());
        let serving = http.serve_connection(TokioIo::new(connection.io), service);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = serving.await {
                tracing::debug!("admin connection ended: {error}");
            }
        });
    }
}

fn answer_probe(is_ok: bool) -> impl IntoResponse {
    if is_ok { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

async fn show_status(State(admin): AdminState) -> impl IntoResponse {
    let mut page = format!("presignd {}\n\n", env!("CARGO_PKG_VERSION"));
    let HealthState { started, ready } = *admin.state.borrow();
    let state = match (started, ready) {
        (_, true) => "ready",
        (true, false) => "not ready: no signer has usable credentials, or the server is stopping",
        (false, false) => "starting: not every signer has loaded credentials yet",
    };
    let _infallible = writeln!(page, "state    {state}");
    for address in &admin.addresses {
        let _infallible = writeln!(page, "listen   {address}");
    }
    for signer in admin.generations.current().signers() {
        let _infallible =
            writeln!(page, "signer   {}: {}", signer.name(), describe_signer(signer, &admin.clock));
    }
    page.push_str("\npages    /metrics /livez /readyz /startupz\n");
    page
}

/// The region of a signer, the lifetime and the age of its credentials, and the last error of its provider.
fn describe_signer(signer: &Signer, clock: &Clock) -> String {
    let now = clock.now();
    let refresh = signer.refresh_state();
    let mut parts = Vec::new();
    match signer.snapshot() {
        None => parts.push("no credentials yet".to_owned()),
        Some(snapshot) => {
            let region = snapshot.rules().endpoint.region.as_ref();
            parts.push(region.map_or("no region", |region| region.as_str()).to_owned());
            parts.push(match snapshot.credentials().expires_at() {
                None => "credentials do not expire".to_owned(),
                Some(end) => match end.duration_since(now) {
                    Ok(left) => format!("credentials expire in {}", format_whole_seconds(left)),
                    Err(ended) => {
                        format!("credentials expired {} ago", format_whole_seconds(ended.duration()))
                    }
                },
            });
        }
    }
    if let Some(at) = refresh.loaded_at() {
        parts
            .push(format!("loaded {} ago", format_whole_seconds(now.duration_since(at).unwrap_or_default())));
    }
    if let Some(problem) = refresh.problem() {
        parts.push(format!(
            "{} attempts to refresh them failed since, last error: {problem}",
            refresh.failures()
        ));
    }
    parts.join(", ")
}

fn format_whole_seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}
