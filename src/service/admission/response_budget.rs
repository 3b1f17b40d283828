//! A memory budget for long responses that are being signed or sent. Without it, each connection could keep a complete
//! response in memory until its peer reads it.
//!
//! The budget is soft: the reservation of a response ends when its peer reads nothing for 50 ms, so that callers that do
//! not read cannot block the others.

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

/// The budget is the sum of one response of the maximum length and two usual responses for each core.
const LONGEST_RESPONSE_KIB: usize = 4 * 1024;
const KIB_PER_CORE: usize = 2 * 1024;

/// Shorter responses need no reservation.
const MIN_RESERVED_BYTES: usize = 64 * 1024;

/// How long a reservation lasts while the peer reads nothing.
const STALL_TIMEOUT: Duration = Duration::from_millis(50);

/// After this many checks, which is one second, a reservation ends even if the peer still reads.
const MAX_STALL_CHECKS: usize = 20;

/// The memory that all long responses may use together.
#[derive(Clone, Debug)]
pub(in crate::service) struct ResponseBudget(Arc<Semaphore>);

/// The reserved memory of a response that is being signed.
#[derive(Debug)]
pub(in crate::service) struct Reservation {
    _permit: OwnedSemaphorePermit,
}

/// The reserved memory of a response that is being sent. It is dropped when the last byte is written or the peer has
/// disconnected.
#[derive(Debug)]
pub(in crate::service) struct InFlight {
    chunks_taken: Arc<AtomicUsize>,
    _sent: oneshot::Sender<()>,
}

impl ResponseBudget {
    /// The budget for this number of cores.
    pub(in crate::service) fn for_cores(cores: usize) -> Self {
        Self(Arc::new(Semaphore::new(LONGEST_RESPONSE_KIB + cores * KIB_PER_CORE)))
    }

    /// Waits until this many bytes can be reserved, in order of arrival. `None` for a short response, which needs no
    /// reservation.
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
    /// Marks the response as complete: it is sent from now on.
    pub(in crate::service) fn start_sending(self) -> InFlight {
        let (sent, sent_receiver) = oneshot::channel();
        let chunks_taken = Arc::new(AtomicUsize::new(0));
        tokio::spawn(release_when_sent_or_stalled(Arc::clone(&chunks_taken), sent_receiver, self));
        InFlight { chunks_taken, _sent: sent }
    }
}

impl InFlight {
    /// Records that the connection has taken a chunk.
    pub(in crate::service) fn record_progress(&self) {
        self.chunks_taken.fetch_add(1, Relaxed);
    }
}

async fn release_when_sent_or_stalled(
    chunks_taken: Arc<AtomicUsize>,
    mut sent_receiver: oneshot::Receiver<()>,
    _reservation: Reservation,
) {
    let mut taken_before = 0;
    for _ in 0..MAX_STALL_CHECKS {
        let is_pending = timeout(STALL_TIMEOUT, &mut sent_receiver).await.is_err();
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
        // The reservations of sent responses end without a timer, once their tasks have run.
        tokio::task::yield_now().await;
        assert_eq!(free_mib(), 8);
        let started = tokio::time::Instant::now();
        let sending = [budget.reserve(4 * MIB).await.unwrap(), budget.reserve(2 * MIB).await.unwrap()]
            .map(Reservation::start_sending);
        assert_eq!(free_mib(), 2);
        // Each peer reads one chunk, and then no more.
        sending.iter().for_each(InFlight::record_progress);
        let third = budget.reserve(4 * MIB).await.unwrap();
        assert_eq!(free_mib(), 4);
        assert!(started.elapsed() >= 2 * STALL_TIMEOUT);
        drop((sending, third));
        assert_eq!(free_mib(), 8);
    }
}
