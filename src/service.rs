//! The gRPC service: it takes requests apart, hands them to the core, and puts answers together.

mod batch;
pub mod codec;
mod fields;
mod parameters;
mod request;
mod response;
pub mod status;
mod stream;

use std::{sync::Arc, time::SystemTime};

use tonic::{Request, Response, Status, Streaming};

use self::{
    batch::BatchLimits,
    status::{Failure, code_name},
};
use crate::{
    clock::{Clock, Stopwatch},
    credentials::{Signer, Snapshot},
    metrics::{Metrics, Rejection},
    pb,
    presign::{self, target::Target},
};

/// The service of the contract.
#[derive(Clone)]
pub struct PresignApi(Arc<Shared>);

/// What every call needs.
pub struct Shared {
    /// Every signer, `default` among them.
    pub signers: Vec<Arc<Signer>>,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// What tells the time.
    pub clock: Clock,
    /// `limits.batch_items`.
    pub batch_items: usize,
    /// `limits.message_bytes`.
    pub message_bytes: usize,
    /// `limits.requests`: calls answered at once.
    pub requests: Arc<tokio::sync::Semaphore>,
}

/// The signer of requests that name none.
const DEFAULT_SIGNER: &str = "default";

impl PresignApi {
    /// The service over these signers.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Runs one call: within the limit of calls, within the caller's deadline, counted and timed.
    async fn call<T, R>(
        &self,
        method: &'static str,
        request: Request<T>,
        answer: impl AsyncFnOnce(T) -> Result<R, Failure>,
    ) -> Result<Response<R>, Status> {
        let watch = Stopwatch::start();
        let _in_flight = self.0.metrics.in_flight();
        let compress = asked_for_gzip(&request);
        let deadline = deadline(&request);
        let work = async {
            let _place = self.place()?;
            answer(request.into_inner()).await
        };
        let answered = match deadline {
            Some(limit) => {
                tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(Failure::DeadlineExceeded))
            }
            None => work.await,
        };
        let answered = answered.map_err(|failure| failure.to_status());
        let code = answered.as_ref().map_or_else(Status::code, |_| tonic::Code::Ok);
        self.0.metrics.rpc(method, code_name(code), watch.elapsed());
        answered.map(|body| with_compression(body, compress))
    }

    fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.0.requests).try_acquire_owned().map_err(|_| {
            self.0.metrics.rejected(Rejection::Overload);
            Failure::Overloaded
        })
    }
}

/// Whether the caller compresses: then so do we. Every stock client says that it could read gzip, but over loopback
/// compression only costs time.
fn asked_for_gzip<T>(request: &Request<T>) -> bool {
    request.metadata().get("grpc-encoding").is_some_and(|encoding| encoding == "gzip")
}

fn with_compression<T>(body: T, compress: bool) -> Response<T> {
    let mut response = Response::new(body);
    if !compress {
        response.disable_compression();
    }
    response
}

/// The time that the caller gives, from `grpc-timeout`.
///
/// Source: [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
fn deadline<T>(request: &Request<T>) -> Option<std::time::Duration> {
    use std::time::Duration;
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

impl Shared {
    /// Starts a call: one clock reading, and one snapshot of each signer that it names.
    fn moment(&self) -> Moment<'_> {
        Moment { shared: self, now: self.clock.now(), taken: Vec::new() }
    }

    fn signer(&self, name: &str) -> Result<&Arc<Signer>, Failure> {
        let name = if name.is_empty() { DEFAULT_SIGNER } else { name };
        self.signers.iter().find(|signer| signer.name() == name).ok_or_else(|| Failure::UnknownSigner {
            name: name.chars().take(64).collect(),
            known: self.signers.iter().map(|signer| signer.name()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// The clock reading and the credentials of one call, however many URLs it signs.
struct Moment<'s> {
    shared: &'s Shared,
    now: SystemTime,
    taken: Vec<(&'s Signer, Arc<Snapshot>)>,
}

impl<'s> Moment<'s> {
    /// Signs one request, counts it, and puts the answer together.
    fn sign(
        &mut self,
        own: &pb::PresignRequest,
        defaults: Option<&pb::PresignRequest>,
    ) -> Result<pb::PresignedRequest, Failure> {
        let merged = request::Merged::new(own, defaults);
        self.try_sign(merged).inspect_err(|failure| {
            let signer = self.shared.signer(merged.signer()).map_or("unknown", |known| known.name());
            let target = merged.bucket().parse::<Target>().map_or("unknown", |target| target.kind().as_str());
            let operation = merged.operation().map_or("unknown", |operation| operation.name);
            self.shared.metrics.url_refused(operation, target, signer, code_name(failure.code()));
        })
    }

    fn try_sign(&mut self, merged: request::Merged<'_>) -> Result<pb::PresignedRequest, Failure> {
        let request = merged.to_core()?;
        // What can never work is said at once, with credentials or without.
        let (signer, snapshot) = self.snapshot(merged.signer()).or_else(|none| {
            presign::check(&request).map_or_else(|wrong| Err(wrong.into()), |()| Err(none))
        })?;
        let (operation, target) = (request.operation.index, request.target.kind());
        let presigned = presign::presign(request, &snapshot.rules, &snapshot.credentials, self.now)?;
        signer.metrics().signed(operation, target, &presigned);
        Ok(response::presigned(presigned))
    }

    fn snapshot(&mut self, name: &str) -> Result<(&'s Signer, Arc<Snapshot>), Failure> {
        let signer = self.shared.signer(name)?;
        if let Some((_, snapshot)) = self.taken.iter().find(|(taken, _)| taken.name() == signer.name()) {
            return Ok((signer, Arc::clone(snapshot)));
        }
        let snapshot =
            signer.snapshot().ok_or_else(|| Failure::NoCredentials { signer: signer.name().to_owned() })?;
        self.taken.push((signer, Arc::clone(&snapshot)));
        Ok((signer, snapshot))
    }
}

#[tonic::async_trait]
impl pb::presign_service_server::PresignService for PresignApi {
    async fn presign(
        &self,
        request: Request<pb::PresignRequest>,
    ) -> Result<Response<pb::PresignResponse>, Status> {
        self.call("Presign", request, async |request| {
            let watch = Stopwatch::start();
            let presigned = self.0.moment().sign(&request, None)?;
            self.0.metrics.signed(watch.elapsed(), 1);
            Ok(pb::PresignResponse { presigned: Some(presigned) })
        })
        .await
    }

    async fn batch_presign(
        &self,
        request: Request<pb::BatchPresignRequest>,
    ) -> Result<Response<pb::BatchPresignResponse>, Status> {
        self.call("BatchPresign", request, async |batch| {
            batch::whole(&self.0, &batch, &BatchLimits::of(&self.0)).await
        })
        .await
    }

    type StreamPresignStream = stream::Responses;

    async fn stream_presign(
        &self,
        request: Request<Streaming<pb::StreamPresignRequest>>,
    ) -> Result<Response<Self::StreamPresignStream>, Status> {
        let compress = asked_for_gzip(&request);
        let responses = stream::start(self.clone(), request)?;
        Ok(with_compression(responses, compress))
    }

    async fn presign_post(
        &self,
        request: Request<pb::PresignPostRequest>,
    ) -> Result<Response<pb::PresignPostResponse>, Status> {
        self.call("PresignPost", request, async |_| Err(Failure::NotInThisVersion("PresignPost"))).await
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        self.call("Explain", request, async |_| Err(Failure::NotInThisVersion("Explain"))).await
    }
}
