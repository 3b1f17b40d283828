//! The server: [`run`] serves until a signal stops it, and then drains the open calls.

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
    reload::{Reloader, handle_signals},
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
    #[error("failed to set up gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What a server is started with.
pub struct Program {
    /// The settings.
    pub config: Config,
    /// The sockets to serve on.
    pub listeners: Listeners,
    /// The clock.
    pub clock: Clock,
    /// The environment variables that the process was started with.
    pub environment: AwsEnvironment,
    /// Reads the configuration again on SIGHUP.
    pub reload: Reload,
}

/// Serves until a signal stops the server, or no more signals can come. Then it ends health watches, sends GOAWAY, and
/// waits up to `limits.drain_time` for open calls.
///
/// # Errors
/// When the reflection service cannot be built; then nothing is served.
pub async fn run(program: Program, signals: mpsc::Receiver<Signal>) -> Result<(), ServerError> {
    let Program { config, listeners, clock, environment, reload } = program;
    let metrics = Metrics::default();
    let deps =
        SignerDeps { clock: clock.clone(), environment: Arc::new(environment), metrics: metrics.clone() };
    let signers = Signers::new(deps);
    let first = Generation::new(signers.build(config.signers.clone()));
    let generations = Arc::new(Generations::new(first));
    let (health, health_service) = Health::start(Arc::clone(&generations)).await;
    let api = build_api(&config, &generations, &metrics, &clock);
    let routes = add_reflection(Routes::new(api).add_service(health_service), &config)?;

    let stopping = CancellationToken::new();
    let connections = Connections::new(routes.prepare(), &config.limits, metrics.clone(), stopping.clone());
    announce_addresses(&listeners);
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
    let reloader = Reloader { reload: Arc::new(reload), generations, signers, metrics };
    let reason = tokio::select! {
        reason = handle_signals(signals, &reloader) => reason,
        () = health.follow_signers() => "the health reporter ended",
    };
    tracing::info!("{reason}: stopping, waiting up to {:?} for open calls", config.limits.drain_time);
    notify(&[NotifyState::Stopping]);
    health.stop().await;
    stopping.cancel();
    connections.drain(config.limits.drain_time).await;
    Ok(())
}

fn build_api(
    config: &Config,
    generations: &Arc<Generations>,
    metrics: &Metrics,
    clock: &Clock,
) -> PresignServer {
    let cores = tokio::runtime::Handle::current().metrics().num_workers();
    let limits = ServiceLimits {
        batch_items: config.limits.batch_items,
        message_bytes: config.limits.message_bytes,
        requests: config.limits.requests,
        cores,
    };
    PresignServer::new(ServiceState::new(Arc::clone(generations), metrics.clone(), clock.clone(), limits))
}

fn add_reflection(routes: Routes, config: &Config) -> Result<Routes, ServerError> {
    if !config.reflection {
        return Ok(routes);
    }
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Clients such as grpcurl can then decode the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

/// Logs one line with every address, from which a process that started the server on port 0 reads the port.
fn announce_addresses(listeners: &Listeners) {
    let grpc = listeners.grpc.iter().map(Listener::log_field).collect::<Vec<_>>().join(" ");
    let admin =
        listeners.admin.as_ref().map_or_else(|| "off".to_owned(), |listener| listener.address().to_string());
    tracing::warn!("open = true: callers are not authenticated, and any request is signed");
    tracing::info!("listening {grpc} admin={admin}");
    notify(&[NotifyState::Ready]);
}

/// Notifies systemd, if it started the server.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("failed to notify systemd: {error}");
    }
}
