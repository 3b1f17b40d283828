//! What became of each item of a call, and the one function that records it.

use std::time::Duration;

use crate::{
    credentials::Signer,
    metrics::{CallCounts, OperationLabel},
    presign::{presigned::Presigned, sign::Algorithm, target::TargetKind},
    service::{
        admission::call::Call,
        failure::{Failure, code_name},
    },
};

/// The answer to one item of a call, with what was asked for. It holds no URL and no secret.
pub(in crate::service) struct Decision<'s, 'a> {
    /// None when the request names no signer of this server.
    pub(in crate::service) signer: Option<&'s Signer>,
    /// None when the bucket cannot be parsed.
    pub(in crate::service) target: Option<TargetKind>,
    /// None when the request has no operation.
    pub(in crate::service) operation: Option<OperationLabel>,
    #[expect(dead_code, reason = "the audit log of a later version writes it")]
    pub(in crate::service) key: &'a str,
    pub(in crate::service) outcome: Outcome<'a>,
}

/// How an item ended.
pub(in crate::service) enum Outcome<'a> {
    /// Signed: requested and granted lifetime, and why it was clamped.
    Signed(&'a Presigned),
    /// Not signed.
    Failed(&'a Failure),
}

/// The label of what could not be determined.
const UNKNOWN: &str = "unknown";

/// Records the decisions of one call. The metrics have them when it is dropped.
pub(in crate::service) struct Recorder<'c> {
    call: &'c Call,
    counts: CallCounts<'c>,
}

impl<'c> Recorder<'c> {
    pub(in crate::service) fn new(call: &'c Call) -> Self {
        Self { call, counts: CallCounts::new(&call.state.metrics) }
    }

    /// Records one decision: the only place that does.
    pub(in crate::service) fn record(&mut self, decision: &Decision<'c, '_>) {
        let Decision { signer, target, operation, outcome, .. } = decision;
        match (outcome, signer, target, operation) {
            (Outcome::Signed(presigned), Some(signer), Some(target), Some(operation)) => {
                self.counts.count_signed(signer.metrics(), *operation, *target, presigned);
            }
            (Outcome::Signed(_), ..) => {}
            (Outcome::Failed(failure), ..) => self.call.state.metrics.count_rejected_url(
                operation.map_or(UNKNOWN, |operation| operation.name),
                target.map_or(UNKNOWN, TargetKind::as_str),
                signer.map_or(UNKNOWN, Signer::name),
                code_name(failure.code()),
            ),
        }
    }

    /// Whether the next signature is one of those that are timed.
    pub(in crate::service) fn should_time_next(&self, algorithm: Algorithm) -> bool {
        self.counts.should_time_next(algorithm)
    }

    /// Records the time of a signature.
    pub(in crate::service) fn record_time(&mut self, algorithm: Algorithm, duration: Duration) {
        self.counts.record_time(algorithm, duration);
    }
}
