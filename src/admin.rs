//! HTTP for operators: metrics, probes and a status page. It shows no secret, so it may listen on any address.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State as Extracted,
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
    clock::Clock, credentials::Signer, generation::Generations, health::State, listen::Listener,
    metrics::Metrics,
};

/// Connections at once: a scraper, a few probes, a person.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The text format of Prometheus:
/// [Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/).
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages show.
pub struct Admin {
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the server can sign.
    pub state: watch::Receiver<State>,
    /// The signers.
    pub generations: Arc<Generations>,
    /// The clock.
    pub clock: Clock,
    /// The addresses that gRPC is served on.
    pub addresses: Vec<String>,
}

type Page = Extracted<Arc<Admin>>;

/// Serves the pages, for as long as the server runs.
pub async fn serve(listener: Listener, admin: Admin) {
    let pages = Router::new()
        .route("/", get(show_status))
        .route(
            "/metrics",
            get(async |Extracted(admin): Page| ([(CONTENT_TYPE, PROMETHEUS_TEXT)], admin.metrics.render())),
        )
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async |Extracted(admin): Page| answer_probe(admin.state.borrow().ready)))
        .route("/startupz", get(async |Extracted(admin): Page| answer_probe(admin.state.borrow().started)))
        .with_state(Arc::new(admin));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
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

async fn show_status(Extracted(admin): Page) -> impl IntoResponse {
    let mut page = format!("presignd {}\n\n", env!("CARGO_PKG_VERSION"));
    let State { started, ready } = *admin.state.borrow();
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

/// How long the signer's credentials still work, how old they are, and what fails.
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
                    Ok(left) => format!("credentials expire in {}", format_seconds(left)),
                    Err(ended) => format!("credentials expired {} ago", format_seconds(ended.duration())),
                },
            });
        }
    }
    if let Some(at) = refresh.loaded_at() {
        parts.push(format!("loaded {} ago", format_seconds(now.duration_since(at).unwrap_or_default())));
    }
    if let Some(problem) = refresh.problem() {
        parts.push(format!(
            "{} attempts to refresh them failed since, last error: {problem}",
            refresh.failures()
        ));
    }
    parts.join(", ")
}

fn format_seconds(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}
