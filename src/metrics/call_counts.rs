//! Counts of one call, added to the metrics together. Most URLs of a batch have the same labels and lifetimes, and one
//! update of the metrics for each URL would be a measurable part of its cost.

use std::time::Duration;

use super::{Metrics, OperationLabel, SignerMetrics};
use crate::presign::{
    expiry::{Grant, Seconds},
    presigned::Presigned,
    sign::Algorithm,
    target::TargetKind,
};

/// Counts the signed URLs and forms of one call. They are added to the metrics when it is dropped, and whenever
/// `MAX_GROUPS` groups are full.
pub struct CallCounts<'s> {
    metrics: &'s Metrics,
    groups: Vec<CountGroup<'s>>,
    /// The last measured signature that is not recorded yet.
    last_timed: Option<(Algorithm, Duration)>,
    /// URLs since then, the measured one included.
    urls_since_timed: u64,
}

/// URLs with the same labels and lifetimes.
struct CountGroup<'s> {
    signer: &'s SignerMetrics,
    operation: OperationLabel,
    target: TargetKind,
    grant: Grant,
    requested: Seconds,
    urls: u64,
}

/// One signature in this many is measured, and recorded for all of them: reading the clock takes 2% of the time of a
/// signature.
const TIMING_INTERVAL: u64 = 8;

/// How many groups are kept before they are added to the metrics.
const MAX_GROUPS: usize = 8;

impl<'s> CallCounts<'s> {
    /// Counts for these metrics, all zero.
    pub fn new(metrics: &'s Metrics) -> Self {
        Self { metrics, groups: Vec::new(), last_timed: None, urls_since_timed: 0 }
    }

    /// Records how long the next URL took to sign. The duration also counts for the URLs after it, up to the next one
    /// that is measured.
    pub fn record_time(&mut self, algorithm: Algorithm, duration: Duration) {
        self.flush_time();
        self.last_timed = Some((algorithm, duration));
    }

    /// Whether the next signature is to be measured: the first one, every eighth one, and the first one with another
    /// algorithm.
    pub fn should_time_next(&self, next: Algorithm) -> bool {
        self.urls_since_timed >= TIMING_INTERVAL
            || self.last_timed.is_none_or(|(algorithm, _)| algorithm != next)
    }

    /// Counts a signed URL or form.
    pub fn count_signed(
        &mut self,
        signer: &'s SignerMetrics,
        operation: OperationLabel,
        target: TargetKind,
        presigned: &Presigned,
    ) {
        self.urls_since_timed += 1;
        let (grant, requested) = (presigned.grant, presigned.requested);
        let has_same_labels = |group: &&mut CountGroup<'_>| {
            std::ptr::eq(group.signer, signer)
                && group.operation == operation
                && (group.target, group.grant, group.requested) == (target, grant, requested)
        };
        if let Some(group) = self.groups.iter_mut().find(has_same_labels) {
            group.urls += 1;
            return;
        }
        if self.groups.len() == MAX_GROUPS {
            self.flush_urls();
        }
        self.groups.push(CountGroup { signer, operation, target, grant, requested, urls: 1 });
    }

    fn flush_urls(&mut self) {
        for CountGroup { signer, operation, target, grant, requested, urls } in self.groups.drain(..) {
            let clamped_by = requested.as_duration().saturating_sub(grant.granted.as_duration());
            signer.count_signed(operation, target, grant, clamped_by, urls);
        }
    }

    fn flush_time(&mut self) {
        if let Some((algorithm, duration)) = self.last_timed.take() {
            self.metrics.record_sign_duration(algorithm, duration, self.urls_since_timed);
        }
        self.urls_since_timed = 0;
    }
}

impl Drop for CallCounts<'_> {
    fn drop(&mut self) {
        self.flush_urls();
        self.flush_time();
    }
}
