//! What one call signed, counted together: most of a batch is alike, and a counter for each URL would be seen in its cost.

use std::time::Duration;

use super::{Metrics, OperationLabel, SignerMetrics};
use crate::presign::{
    expiry::{Grant, Seconds},
    presigned::Presigned,
    sign::Algorithm,
    target::TargetKind,
};

/// Counts URLs; they reach the metrics when it is dropped, or has too many kinds at hand.
pub struct Tally<'s> {
    metrics: &'s Metrics,
    alike: Vec<Alike<'s>>,
    timed: Option<(Algorithm, Duration)>,
    /// How many URLs the last time stands for.
    stands_for: u64,
}

/// URLs that are counted alike.
struct Alike<'s> {
    signer: &'s SignerMetrics,
    operation: OperationLabel,
    target: TargetKind,
    grant: Grant,
    requested: Seconds,
    urls: u64,
}

/// One in so many URLs is timed, and stands for the others: a reading of the clock is 2% of a signature.
const TIMED: u64 = 8;

/// How many kinds are held at once.
const KINDS: usize = 8;

impl<'s> Tally<'s> {
    /// Nothing is counted yet.
    pub fn new(metrics: &'s Metrics) -> Self {
        Self { metrics, alike: Vec::new(), timed: None, stands_for: 0 }
    }

    /// The signing of the next URL took so long; the time stands for those that follow, too, until the next one that is
    /// timed.
    pub fn timed(&mut self, algorithm: Algorithm, took: Duration) {
        self.flush_time();
        self.timed = Some((algorithm, took));
    }

    /// Whether the next URL is to be timed. A time stands for what follows only as long as that is signed in the same
    /// way.
    pub fn wants_time(&self, next: Algorithm) -> bool {
        self.stands_for >= TIMED || self.timed.is_none_or(|(algorithm, _)| algorithm != next)
    }

    /// Counts a signed URL.
    pub fn signed(
        &mut self,
        signer: &'s SignerMetrics,
        operation: OperationLabel,
        target: TargetKind,
        presigned: &Presigned,
    ) {
        self.stands_for += 1;
        let (grant, requested) = (presigned.grant, presigned.requested);
        let same = |other: &&mut Alike<'_>| {
            std::ptr::eq(other.signer, signer)
                && other.operation == operation
                && (other.target, other.grant, other.requested) == (target, grant, requested)
        };
        if let Some(alike) = self.alike.iter_mut().find(same) {
            alike.urls += 1;
            return;
        }
        if self.alike.len() == KINDS {
            self.flush_urls();
        }
        self.alike.push(Alike { signer, operation, target, grant, requested, urls: 1 });
    }

    fn flush_urls(&mut self) {
        for Alike { signer, operation, target, grant, requested, urls } in self.alike.drain(..) {
            let taken_off = requested.as_duration().saturating_sub(grant.granted.as_duration());
            signer.signed(operation, target, grant, taken_off, urls);
        }
    }

    fn flush_time(&mut self) {
        if let Some((algorithm, took)) = self.timed.take() {
            self.metrics.sign_duration(algorithm, took, self.stands_for);
        }
        self.stands_for = 0;
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.flush_urls();
        self.flush_time();
    }
}
