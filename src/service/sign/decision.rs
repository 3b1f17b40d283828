//! The decision on each item of a call, and the function that records it.

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

/// The request of one item and its outcome, for metrics and audit. It has no URL and no secret.
pub(in crate::service) struct Decision<'s, 'a> {
    /// `None` if the request names an unknown signer, or could not be decoded.
    pub(in crate::service) signer: Option<&'s Signer>,
    /// `None` if the bucket is not valid.
    pub(in crate::service) target: Option<TargetKind>,
    /// `None` if the request has no operation.
    pub(in crate::service) operation: Option<OperationLabel>,
    #[expect(dead_code, reason = "the audit log of a later version writes it")]
    pub(in crate::service) key: &'a str,
    pub(in crate::service) outcome: Outcome<'a>,
}

/// The outcome of an item.
pub(in crate::service) enum Outcome<'a> {
    /// A URL or form was signed, with this lifetime.
    Signed(&'a Presigned),
    /// No URL or form was signed.
    Failed(&'a Failure),
}

/// The value of a label that could not be determined.
const UNKNOWN: &str = "unknown";

/// Records the decisions of one call. They are added to the metrics when it is dropped, at the latest.
pub(in crate::service) struct DecisionRecorder<'c> {
    call: &'c Call,
    counts: CallCounts<'c>,
}

impl<'c> DecisionRecorder<'c> {
    pub(in crate::service) fn new(call: &'c Call) -> Self {
        Self { call, counts: CallCounts::new(&call.state.metrics) }
    }

    /// Records one decision. All RPCs record their decisions here.
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

    /// Whether the duration of the next signature is to be measured.
    pub(in crate::service) fn should_time_next(&self, algorithm: Algorithm) -> bool {
        self.counts.should_time_next(algorithm)
    }

    /// Records the duration of a signature.
    pub(in crate::service) fn record_time(&mut self, algorithm: Algorithm, duration: Duration) {
        self.counts.record_time(algorithm, duration);
    }
}
