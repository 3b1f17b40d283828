//! The gRPC service. Every call takes one way, and so does every item of it:
//!
//! admit ([`admission`]) → decode ([`request`]) → validate → authorize → ensure credentials → sign → record ([`sign`])
//! → respond ([`response`]).

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
    failure::{code_name, message_too_large},
    routes::PresignServer,
};
use crate::{clock::Clock, generation::Generations, metrics::Metrics};

/// What every call needs.
pub struct ServiceState {
    generations: Arc<Generations>,
    metrics: Metrics,
    clock: Clock,
    batch_items: usize,
    message_bytes: usize,
    /// A permit for each call that is answered at the same time.
    requests: Arc<Semaphore>,
    /// A permit for each call that waits for AWS: fewer than `requests`, so that some remain for calls that need nothing.
    waiting: Arc<Semaphore>,
    /// A permit for each batch that is signed at the same time: one for each core.
    cores: Arc<Semaphore>,
    response_budget: ResponseBudget,
}

/// The limits of the service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceLimits {
    /// `limits.batch_items`: requests in one batch.
    pub batch_items: usize,
    /// `limits.message_bytes`: bytes of one received message.
    pub message_bytes: usize,
    /// `limits.requests`: calls that are answered at the same time.
    pub requests: usize,
    /// Cores that the service may use.
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
            requests: Arc::new(Semaphore::new(requests)),
            waiting: Arc::new(Semaphore::new(requests.div_ceil(4))),
            cores: Arc::new(Semaphore::new(cores)),
            response_budget: ResponseBudget::for_cores(cores),
        }
    }
}

/// The name of the signer that signs requests without one.
const DEFAULT_SIGNER: &str = "default";
