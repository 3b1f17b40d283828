//! Signs the requests of one message in order, each in the same stages, with one clock reading and one snapshot of each
//! signer.

use prost::bytes::BytesMut;

use super::{
    authorize::{RequestedAction, authorize},
    decision::{Decision, DecisionRecorder, Outcome},
    needs::{CredentialNeeds, LifetimeNeeded},
    snapshot::CallSnapshot,
};
use crate::{
    clock::Stopwatch,
    credentials::Signer,
    metrics::OperationLabel,
    presign::{
        self, CheckedRequest, Request, error::Error as CoreError, expiry::Seconds, presigned::Presigned,
        sign::Algorithm, target::Target, target_signer::TargetSigner,
    },
    service::{
        admission::call::Call,
        failure::Failure,
        request::merged::{BatchDefaults, MergedRequest, RequestParts},
        response::encode::{EncodedGrant, SignedUrl},
    },
};

/// Appends a signed URL to the response.
pub(in crate::service) type WriteUrl = fn(&SignedUrl<'_>, &mut BytesMut);

/// Signs the requests of one message.
pub(in crate::service) struct CallSigner<'c> {
    call: &'c Call,
    snapshot: &'c CallSnapshot,
    targets: Vec<PreparedTarget<'c>>,
    /// The buffer for the URL; each request reuses it.
    url: String,
    /// The grant of the last URL, encoded.
    grant: Option<EncodedGrant>,
    recorder: DecisionRecorder<'c>,
    /// The work since the last check of the clock; 1 is the time to sign a usual URL.
    work_units: usize,
}

/// A signer with its prepared state for one target.
struct PreparedTarget<'c> {
    signer: &'c Signer,
    bucket: Box<str>,
    /// The `reuse_window`, which determines the signing time.
    window: Option<Seconds>,
    signing: TargetSigner,
}

/// Reading or writing this many bytes takes as long as signing a usual URL.
const BYTES_PER_WORK_UNIT: usize = 1024;

/// The work between two checks of the clock, in work units: less than 10 µs.
const CLOCK_CHECK_INTERVAL: usize = 8;

/// How many prepared targets one call keeps. The snapshot of the signer caches more.
const MAX_PREPARED_TARGETS: usize = 8;

impl<'c> CallSigner<'c> {
    pub(in crate::service) fn new(call: &'c Call, snapshot: &'c CallSnapshot) -> Self {
        Self {
            call,
            snapshot,
            targets: Vec::new(),
            url: String::new(),
            grant: None,
            recorder: DecisionRecorder::new(call),
            work_units: 0,
        }
    }

    /// Whether a check of the clock is due. If it is, the work is counted from 0 again.
    pub(in crate::service) fn should_check_clock(&mut self) -> bool {
        let is_due = self.work_units >= CLOCK_CHECK_INTERVAL;
        if is_due {
            self.work_units = 0;
        }
        is_due
    }

    /// Counts the work of decoding a request of this many bytes.
    pub(in crate::service) fn count_read(&mut self, bytes: usize) {
        self.work_units += 1 + bytes / BYTES_PER_WORK_UNIT;
    }

    /// Signs one decoded request, appends its URL to `out` with `write`, and records the decision.
    pub(in crate::service) fn sign(
        &mut self,
        request: MergedRequest<'_>,
        defaults: Option<&BatchDefaults<'_>>,
        write: WriteUrl,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let signed = self.try_sign(request, defaults, write, out);
        if let Err(failure) = &signed {
            self.recorder.record(&Decision {
                signer: self.snapshot.signer(request.signer()).ok().map(|signer| &**signer),
                target: request.bucket().parse().ok().map(|target: Target| target.kind()),
                operation: request.operation().ok().map(OperationLabel::of),
                key: request.key(),
                outcome: Outcome::Failed(failure),
            });
        }
        signed
    }

    /// Records that a request could not be decoded.
    pub(in crate::service) fn record_undecoded(&mut self, failure: &Failure) {
        let outcome = Outcome::Failed(failure);
        self.recorder.record(&Decision { signer: None, target: None, operation: None, key: "", outcome });
    }

    fn try_sign(
        &mut self,
        request: MergedRequest<'_>,
        defaults: Option<&BatchDefaults<'_>>,
        write: WriteUrl,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let parts = RequestParts::read(request, defaults)?;
        let to_sign = parts.to_core()?;
        let window = request.reuse_window()?;
        let (checked, index) = if let Some(index) = self.find_target(request, window) {
            let target = self.targets[index].signing.target();
            (validate_and_authorize(self.call, request, &to_sign, target)?, index)
        } else {
            let target = request.bucket().parse()?;
            let checked = validate_and_authorize(self.call, request, &to_sign, &target)?;
            (checked, self.prepare_target(request, window, to_sign.expires_in)?)
        };
        let presigned = self.presign(checked, index)?;
        self.append(&to_sign, presigned, write, out);
        let PreparedTarget { signer, signing, .. } = &self.targets[index];
        self.recorder.record(&Decision {
            signer: Some(signer),
            target: Some(signing.target().kind()),
            operation: Some(OperationLabel::of(to_sign.operation)),
            key: to_sign.key.as_str(),
            outcome: Outcome::Signed(&presigned),
        });
        Ok(())
    }

    fn find_target(&self, request: MergedRequest<'_>, window: Option<Seconds>) -> Option<usize> {
        let (signer, bucket) = (request.signer(), request.bucket());
        self.targets.iter().position(|known| {
            known.signer.name() == signer && *known.bucket == *bucket && known.window == window
        })
    }

    /// Prepares the signer of an authorized request for its target. Returns the index in `targets`.
    fn prepare_target(
        &mut self,
        request: MergedRequest<'_>,
        window: Option<Seconds>,
        expires_in: Option<Seconds>,
    ) -> Result<usize, Failure> {
        let (bucket, now) = (request.bucket(), self.snapshot.now());
        let signer = self.snapshot.signer(request.signer())?;
        let credentials = self.snapshot.credentials_of(signer)?;
        let signing = match credentials.target_signer_in_window(bucket, now, window, expires_in) {
            Err(CoreError::NeedsSession) => {
                let session = self.snapshot.session(signer, bucket)?;
                session.target_signer_in_window(bucket, now, window, expires_in)?
            }
            other => other?,
        };
        if self.targets.len() == MAX_PREPARED_TARGETS {
            self.targets.remove(0);
        }
        self.targets.push(PreparedTarget { signer, bucket: bucket.into(), window, signing });
        Ok(self.targets.len() - 1)
    }

    /// Signs one URL, and measures the duration of some signatures.
    fn presign(&mut self, request: CheckedRequest<'_>, index: usize) -> Result<Presigned, Failure> {
        let signing = &self.targets[index].signing;
        let algorithm = signing.algorithm();
        if algorithm == Algorithm::SigV4A {
            self.work_units += CLOCK_CHECK_INTERVAL;
        }
        self.url.clear();
        if !self.recorder.should_time_next(algorithm) {
            return Ok(presign::presign(request, signing, &mut self.url)?);
        }
        let stopwatch = Stopwatch::start();
        let presigned = presign::presign(request, signing, &mut self.url)?;
        self.recorder.record_time(algorithm, stopwatch.elapsed());
        Ok(presigned)
    }

    fn append(&mut self, request: &Request<'_>, presigned: Presigned, write: WriteUrl, out: &mut BytesMut) {
        let grant = match self.grant.take() {
            Some(last) if last.matches(&presigned) => last,
            _ => EncodedGrant::new(presigned),
        };
        let before = out.len();
        write(&SignedUrl { url: &self.url, request, grant: &grant }, out);
        self.work_units += (out.len() - before) / BYTES_PER_WORK_UNIT;
        self.grant = Some(grant);
    }
}

/// Checks what the request alone determines, and then whether the caller is allowed to have it signed.
fn validate_and_authorize<'r>(
    call: &Call,
    request: MergedRequest<'_>,
    to_sign: &'r Request<'r>,
    target: &Target,
) -> Result<CheckedRequest<'r>, Failure> {
    let checked = to_sign.check()?;
    authorize(
        call.context.caller,
        &RequestedAction::Url { signer: request.signer(), target, request: to_sign },
    )?;
    Ok(checked)
}

/// Adds what a request needs from AWS before it can be signed. A request that will fail adds nothing.
pub(in crate::service) fn add_needs(
    call: &Call,
    snapshot: &CallSnapshot,
    request: MergedRequest<'_>,
    defaults: Option<&BatchDefaults<'_>>,
    needs: &mut CredentialNeeds<'_>,
) {
    let (Ok(expires_in), Ok(reuse_window)) = (request.expires_in(), request.reuse_window()) else { return };
    let (signer, bucket) = (request.signer(), request.bucket());
    let needed = LifetimeNeeded { expires_in, reuse_window };
    if !needs.would_grow(signer, bucket, needed) {
        return;
    }
    let can_be_signed = || -> Result<(), Failure> {
        let parts = RequestParts::read(request, defaults)?;
        let to_sign = parts.to_core()?;
        validate_and_authorize(call, request, &to_sign, &bucket.parse()?)?;
        let credentials = snapshot.credentials_of(snapshot.signer(signer)?)?;
        match credentials.target_signer_in_window(bucket, snapshot.now(), reuse_window, expires_in) {
            Ok(_) | Err(CoreError::NeedsSession) => Ok(()),
            Err(error) => Err(error.into()),
        }
    };
    if can_be_signed().is_ok() {
        needs.add(signer, bucket, needed);
    }
}
