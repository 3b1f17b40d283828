//! The program: `run(config, listeners, clock, stop)` serves until it is told to stop, and then drains.

mod calls;
mod connections;
mod reload;

use std::sync::Arc;

use sd_notify::NotifyState;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::{
    connections::Connections,
    reload::{Reloading, handle_signals},
};
use crate::{
    admin::{self, Admin},
    clock::Clock,
    config::{Config, reload::Reload},
    credentials::{SignerDeps, Signers},
    generation::{Generation, Generations},
    hardening::AwsEnvironment,
    health::Health,
    listen::{Listener, Listeners},
    metrics::Metrics,
    pb,
    service::{PresignServer, ServiceLimits, ServiceState},
    signals::Signal,
};

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The reflection service cannot be built.
    #[error("cannot set up reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What a server is started with.
pub struct Program {
    /// The settings.
    pub config: Config,
    /// The sockets that it serves on.
    pub listeners: Listeners,
    /// What tells the time.
    pub clock: Clock,
    /// What was in the environment.
    pub environment: AwsEnvironment,
    /// How the configuration is read again.
    pub reload: Reload,
}

/// Serves until a signal to stop, or the end of the signals; then ends watches, says GOAWAY, and waits for open calls, for
/// `limits.drain_time` at most.
///
/// # Errors
/// When a part cannot be set up. Nothing is served then.
pub async fn run(program: Program, signals: mpsc::Receiver<Signal>) -> Result<(), ServerError> {
    let Program { config, listeners, clock, environment, reload } = program;
    let metrics = Metrics::default();
    let deps =
        SignerDeps { clock: clock.clone(), environment: Arc::new(environment), metrics: metrics.clone() };
    let signers = Signers::new(deps);
    let first = Generation::new(signers.build(config.signers.clone()));
    let generations = Arc::new(Generations::new(first));
    let (health, health_service) = Health::start(Arc::clone(&generations)).await;
    let api = api(&config, &generations, &metrics, &clock);
    let routes = with_reflection(Routes::new(api).add_service(health_service), &config)?;

    let stopping = CancellationToken::new();
    let connections = Connections::new(routes.prepare(), &config.limits, metrics.clone(), stopping.clone());
    announce(&listeners);
    let addresses: Vec<String> = listeners.grpc.iter().map(Listener::log_field).collect();
    for listener in listeners.grpc {
        connections.serve(listener);
    }
    let admin = Admin {
        metrics: metrics.clone(),
        state: health.state(),
        generations: Arc::clone(&generations),
        clock: clock.clone(),
        addresses,
    };
    if let Some(listener) = listeners.admin {
        tokio::spawn(admin::serve(listener, admin));
    }
    signers.start_refreshing(generations.current().signers());
    let reloading = Reloading { reload: Arc::new(reload), generations, signers, metrics };
    let why = tokio::select! {
        why = handle_signals(signals, &reloading) => why,
        () = health.follow() => "the background work ended",
    };
    tracing::info!("{why}: stopping, for {:?} at most", config.limits.drain_time);
    notify(&[NotifyState::Stopping]);
    health.stop().await;
    stopping.cancel();
    connections.drain(config.limits.drain_time).await;
    Ok(())
}

fn api(config: &Config, generations: &Arc<Generations>, metrics: &Metrics, clock: &Clock) -> PresignServer {
    let cores = tokio::runtime::Handle::current().metrics().num_workers();
    let limits = ServiceLimits {
        batch_items: config.limits.batch_items,
        message_bytes: config.limits.message_bytes,
        requests: config.limits.requests,
        cores,
    };
    PresignServer::new(ServiceState::new(Arc::clone(generations), metrics.clone(), clock.clone(), limits))
}

fn with_reflection(routes: Routes, config: &Config) -> Result<Routes, ServerError> {
    if !config.reflection {
        return Ok(routes);
    }
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that grpcurl and its like can read the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

/// One line with every address, for people and for whoever started the server on port 0.
fn announce(listeners: &Listeners) {
    let grpc = listeners.grpc.iter().map(Listener::log_field).collect::<Vec<_>>().join(" ");
    let admin =
        listeners.admin.as_ref().map_or_else(|| "off".to_owned(), |listener| listener.address().to_string());
    tracing::warn!("open: callers are not authenticated, and any request is signed");
    tracing::info!("listening {grpc} admin={admin}");
    notify(&[NotifyState::Ready]);
}

/// Tells systemd, where it is there.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be told: {error}");
    }
}
