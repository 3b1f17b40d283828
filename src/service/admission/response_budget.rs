//! A budget of memory for the long responses that are being made or sent. Without one, every connection could keep a
//! complete response waiting for its peer to read.
//!
//! The budget is soft: a response of which the peer took nothing for 50 ms gives its share back, so that callers that
//! do not read take nothing from the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// The whole budget: one response of the longest that there are, and two usual ones for each core.
const LONGEST_RESPONSE_KIB: usize = 4 * 1024;
const KIB_PER_CORE: usize = 2 * 1024;

/// A shorter response needs no reservation.
const MIN_RESERVED_BYTES: usize = 64 * 1024;

/// How long a reservation lasts while the peer takes nothing.
const STALL_TIMEOUT: Duration = Duration::from_millis(50);

/// After how many checks for a stall the reservation ends in any case: a second.
const MAX_STALL_CHECKS: usize = 20;

/// The memory that long responses may take together.
#[derive(Clone, Debug)]
pub(in crate::service) struct ResponseBudget(Arc<Semaphore>);

/// The share of a response that is being made.
#[derive(Debug)]
pub(in crate::service) struct Reservation {
    _permit: OwnedSemaphorePermit,
}

/// The share of a response that is being sent; dropped when the last byte is written or the peer is gone.
#[derive(Debug)]
pub(in crate::service) struct InFlight {
    chunks_taken: Arc<AtomicUsize>,
    _sent: oneshot::Sender<()>,
}

impl ResponseBudget {
    /// The budget for a machine with this number of cores.
    pub(in crate::service) fn for_cores(cores: usize) -> Self {
        Self(Arc::new(Semaphore::new(LONGEST_RESPONSE_KIB + cores * KIB_PER_CORE)))
    }

    /// Waits until the budget has this many bytes, first come first served. A short response needs none.
    pub(in crate::service) async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        if bytes < MIN_RESERVED_BYTES {
            return None;
        }
        let kib = u32::try_from((bytes / 1024).min(LONGEST_RESPONSE_KIB)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(kib).await.ok().map(|permit| Reservation { _permit: permit })
    }
}

impl Reservation {
    /// The response is complete, and is sent from now on.
    pub(in crate::service) fn start_sending(self) -> InFlight {
        let (sent, is_sent) = oneshot::channel();
        let chunks_taken = Arc::new(AtomicUsize::new(0));
        tokio::spawn(release_when_sent_or_stalled(Arc::clone(&chunks_taken), is_sent, self));
        InFlight { chunks_taken, _sent: sent }
    }
}

impl InFlight {
    /// Notes that the connection took a chunk.
    pub(in crate::service) fn record_progress(&self) {
        self.chunks_taken.fetch_add(1, Relaxed);
    }
}

async fn release_when_sent_or_stalled(
    chunks_taken: Arc<AtomicUsize>,
    mut is_sent: oneshot::Receiver<()>,
    _reservation: Reservation,
) {
    let mut taken_before = 0;
    for _ in 0..MAX_STALL_CHECKS {
        let is_pending = timeout(STALL_TIMEOUT, &mut is_sent).await.is_err();
        let taken_now = chunks_taken.load(Relaxed);
        if !is_pending || taken_now == taken_before {
            return;
        }
        taken_before = taken_now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reservation_ends_when_the_response_is_sent_or_stalls() {
        const MIB: usize = 1024 * 1024;
        let budget = ResponseBudget::for_cores(2);
        let free_mib = || budget.0.available_permits() / 1024;
        assert!(budget.reserve(MIN_RESERVED_BYTES - 1).await.is_none() && free_mib() == 8);
        let all = [budget.reserve(usize::MAX).await.unwrap(), budget.reserve(4 * MIB).await.unwrap()];
        assert_eq!(free_mib(), 0);
        drop(all.map(Reservation::start_sending));
        // A response that is sent needs no timer: the tasks that keep its reservation only have to run.
        tokio::task::yield_now().await;
        assert_eq!(free_mib(), 8);
        let waiting = tokio::time::Instant::now();
        let next = [budget.reserve(4 * MIB).await.unwrap(), budget.reserve(2 * MIB).await.unwrap()]
            .map(Reservation::start_sending);
        assert_eq!(free_mib(), 2);
        // The peer takes a chunk of each, and then nothing more.
        next.iter().for_each(InFlight::record_progress);
        let third = budget.reserve(4 * MIB).await.unwrap();
        assert_eq!(free_mib(), 4);
        assert!(waiting.elapsed() >= 2 * STALL_TIMEOUT);
        drop((next, third));
        assert_eq!(free_mib(), 8);
    }
}
