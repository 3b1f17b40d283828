//! The gRPC service. Every call, and every item of a batch, passes the same stages:
//!
//! admit (`admission`) → decode (`request`) → validate → authorize → ensure credentials → sign → record (`sign`)
//! → respond (`response`).

mod admission;
mod codec;
mod failure;
mod request;
mod response;
mod routes;
mod rpc;
mod sign;

use std::sync::Arc;

use tokio::sync::Semaphore;

use self::admission::response_budget::ResponseBudget;
pub use self::{
    admission::call::{REQUEST_ID, message_too_large},
    failure::code_name,
    routes::PresignServer,
};
use crate::{clock::Clock, generation::Generations, metrics::Metrics};

/// The state that all calls share.
pub struct ServiceState {
    generations: Arc<Generations>,
    metrics: Metrics,
    clock: Clock,
    batch_items: usize,
    message_bytes: usize,
    /// One permit for each call in progress (`limits.requests`).
    call_permits: Arc<Semaphore>,
    /// One permit for each call that waits for AWS: a quarter of `limits.requests`, so that calls that need nothing from AWS
    /// are not rejected.
    aws_wait_permits: Arc<Semaphore>,
    /// One permit for each batch or explanation that is computed at the same time: one for each core.
    core_permits: Arc<Semaphore>,
    response_budget: ResponseBudget,
}

/// The limits of the service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceLimits {
    /// `limits.batch_items`: the most requests in one batch.
    pub batch_items: usize,
    /// `limits.message_bytes`: the most bytes of one received message.
    pub message_bytes: usize,
    /// `limits.requests`: the most calls in progress.
    pub requests: usize,
    /// How many cores the service may use.
    pub cores: usize,
}

impl ServiceState {
    /// The state of a service with these signers and limits.
    pub fn new(generations: Arc<Generations>, metrics: Metrics, clock: Clock, limits: ServiceLimits) -> Self {
        let ServiceLimits { batch_items, message_bytes, requests, cores } = limits;
        Self {
            generations,
            metrics,
            clock,
            batch_items,
            message_bytes,
            call_permits: Arc::new(Semaphore::new(requests)),
            aws_wait_permits: Arc::new(Semaphore::new(requests.div_ceil(4))),
            core_permits: Arc::new(Semaphore::new(cores)),
            response_budget: ResponseBudget::for_cores(cores),
        }
    }
}

/// The signer of requests that name no signer.
const DEFAULT_SIGNER: &str = "default";
