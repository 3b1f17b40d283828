//! Memory for the long answers that are on their way out: without a bound, every connection's waits in full for its turn
//! to be written.
//!
//! The bound is soft: an answer of which nothing was taken for 50 ms no longer counts, so that callers who do not
//! read take no room from the others.

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

/// All answers together: the longest that there is, and two that each core may be at work on.
const LONGEST_KIB: usize = 4 * 1024;
const FOR_A_CORE_KIB: usize = 2 * 1024;

/// A shorter answer is not counted.
const LONG: usize = 64 * 1024;

/// How long an answer takes room while nothing of it is taken.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often that is looked at before the room is given back all the same: a second.
const LOOKS: usize = 20;

/// Room for answers.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Room for an answer that is being made.
#[derive(Debug)]
pub(super) struct Taken {
    _permit: OwnedSemaphorePermit,
}

/// The room of an answer that is on its way, until it is sent and this is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    pieces: Arc<AtomicUsize>,
    _sent: Arc<oneshot::Sender<()>>,
}

impl Held {
    /// A piece of the answer was taken.
    pub fn progress(&self) {
        self.pieces.fetch_add(1, Relaxed);
    }
}

impl Room {
    /// Room for a machine with so many cores.
    pub fn for_cores(cores: usize) -> Self {
        Self(Arc::new(Semaphore::new(LONGEST_KIB + cores * FOR_A_CORE_KIB)))
    }

    /// Waits for room for so many bytes, in the order of asking. Nothing for a short answer.
    pub(super) async fn take(&self, bytes: usize) -> Option<Taken> {
        if bytes < LONG {
            return None;
        }
        let kib = u32::try_from((bytes / 1024).min(LONGEST_KIB)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(kib).await.ok().map(|permit| Taken { _permit: permit })
    }
}

impl Taken {
    /// The answer is on its way.
    pub(super) fn until_sent(self) -> Held {
        let (sent, is_sent) = oneshot::channel();
        let pieces = Arc::new(AtomicUsize::new(0));
        tokio::spawn(sent_or_late(Arc::clone(&pieces), is_sent, self));
        Held { pieces, _sent: Arc::new(sent) }
    }
}

/// Keeps the room for as long as the answer is taken.
async fn sent_or_late(pieces: Arc<AtomicUsize>, mut is_sent: oneshot::Receiver<()>, _room: Taken) {
    let mut taken = 0;
    for _ in 0..LOOKS {
        let is_late = timeout(PATIENCE, &mut is_sent).await.is_err();
        let by_now = pieces.load(Relaxed);
        if !is_late || by_now == taken {
            return;
        }
        taken = by_now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_gives_its_room_back_when_it_is_sent_or_nothing_of_it_is_taken() {
        const MIB: usize = 1024 * 1024;
        let room = Room::for_cores(2);
        let free = || room.0.available_permits() / 1024;
        assert!(room.take(LONG - 1).await.is_none() && free() == 8);
        let all = [room.take(usize::MAX).await.unwrap(), room.take(4 * MIB).await.unwrap()];
        assert_eq!(free(), 0);
        drop(all.map(Taken::until_sent));
        // What is sent gives its room back without a timer: the tasks that keep it only have to run.
        tokio::task::yield_now().await;
        assert_eq!(free(), 8);
        let waiting = tokio::time::Instant::now();
        let next =
            [room.take(4 * MIB).await.unwrap(), room.take(2 * MIB).await.unwrap()].map(Taken::until_sent);
        assert_eq!(free(), 2);
        // Of these something is taken at first, and then nothing any more.
        next.iter().for_each(Held::progress);
        let behind = room.take(4 * MIB).await.unwrap();
        assert_eq!(free(), 4);
        assert!(waiting.elapsed() >= 2 * PATIENCE);
        drop((next, behind));
        assert_eq!(free(), 8);
    }
}
