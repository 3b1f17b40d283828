//! HTTP for operators: metrics, probes and a status page. It holds no secret, so it may listen anywhere.

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

/// How long a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// The text format of Prometheus:
/// [Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/).
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages show.
pub struct Admin {
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the server can sign.
    pub state: watch::Receiver<State>,
    /// The signers.
    pub generations: Arc<Generations>,
    /// What tells the time.
    pub clock: Clock,
    /// The sockets that gRPC is served on.
    pub places: Vec<String>,
}

type Page = Extracted<Arc<Admin>>;

/// Serves the pages, for as long as the server runs.
pub async fn serve(listener: Listener, admin: Admin) {
    let pages = Router::new()
        .route("/", get(status))
        .route(
            "/metrics",
            get(async |Extracted(admin): Page| ([(CONTENT_TYPE, PROMETHEUS_TEXT)], admin.metrics.render())),
        )
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async |Extracted(admin): Page| probe(admin.state.borrow().ready)))
        .route("/startupz", get(async |Extracted(admin): Page| probe(admin.state.borrow().started)))
        .with_state(Arc::new(admin));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    loop {
        let stream = listener.accept().await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages.clone()));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!("an admin connection ended: {error}");
            }
        });
    }
}

fn probe(good: bool) -> impl IntoResponse {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

async fn status(Extracted(admin): Page) -> impl IntoResponse {
    let mut page = format!("presignd {}\n\n", env!("CARGO_PKG_VERSION"));
    let State { started, ready } = *admin.state.borrow();
    let state = match (started, ready) {
        (_, true) => "ready",
        (true, false) => "not ready: no signer has usable credentials, or the server is stopping",
        (false, false) => "starting: not every signer has had credentials yet",
    };
    let _infallible = writeln!(page, "state    {state}");
    for place in &admin.places {
        let _infallible = writeln!(page, "listen   {place}");
    }
    for signer in admin.generations.current().signers() {
        let _infallible =
            writeln!(page, "signer   {}: {}", signer.name(), signer_state(signer, &admin.clock));
    }
    page.push_str("\npages    /metrics /livez /readyz /startupz\n");
    page
}

/// What an operator asks at three in the morning: how long it still works, how old it is, and what fails.
fn signer_state(signer: &Signer, clock: &Clock) -> String {
    let now = clock.now();
    let refresh = signer.refresh_state();
    let mut parts = Vec::new();
    match signer.snapshot() {
        None => parts.push("no credentials yet".to_owned()),
        Some(snapshot) => {
            let region = snapshot.rules().endpoint.region.as_ref();
            parts.push(region.map_or("no region", |region| region.as_str()).to_owned());
            parts.push(match snapshot.credentials().expires_at() {
                None => "credentials that do not end".to_owned(),
                Some(end) => match end.duration_since(now) {
                    Ok(left) => format!("credentials for another {}", in_words(left)),
                    Err(ended) => format!("credentials that ended {} ago", in_words(ended.duration())),
                },
            });
        }
    }
    if let Some(at) = refresh.loaded_at() {
        parts.push(format!("loaded {} ago", in_words(now.duration_since(at).unwrap_or_default())));
    }
    if let Some(problem) = refresh.problem() {
        parts.push(format!("{} attempts failed since, the last one because: {problem}", refresh.failures()));
    }
    parts.join(", ")
}

fn in_words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}
