//! Memory for the long answers that are on their way out: without a bound, every connection's waits in full for its turn
//! to be written.
//!
//! The bound is soft: nobody waits for longer than [`PATIENCE`], and whoever has not read an answer by then no longer
//! counts, so that a slow reader does not take the room of the others.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// All answers together.
const ROOM_KIB: usize = 16 * 1024;

/// A shorter answer is not counted.
const LONG: usize = 64 * 1024;

/// How long an answer waits for room, and how long it takes some.
const PATIENCE: Duration = Duration::from_millis(100);

/// Room for answers.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB)))
    }
}

/// The room that an answer takes, until it is sent and this is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    _sent: Arc<oneshot::Sender<()>>,
}

impl Room {
    /// Waits for room for so many bytes. Nothing for a short answer, and for one that has waited long enough.
    pub(super) async fn take(&self, bytes: usize) -> Option<Held> {
        if bytes < LONG {
            return None;
        }
        let kib = u32::try_from((bytes / 1024).min(ROOM_KIB)).unwrap_or(u32::MAX);
        let permit = timeout(PATIENCE, Arc::clone(&self.0).acquire_many_owned(kib)).await.ok()?.ok()?;
        let (sent, is_sent) = oneshot::channel();
        tokio::spawn(give_back(permit, is_sent));
        Some(Held { _sent: Arc::new(sent) })
    }
}

async fn give_back(permit: OwnedSemaphorePermit, is_sent: oneshot::Receiver<()>) {
    let _sent_or_late = timeout(PATIENCE, is_sent).await;
    drop(permit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_gives_its_room_back_when_it_is_sent_or_late_and_none_waits_for_long() {
        let room = Room::default();
        let free = || room.0.available_permits();
        assert!(room.take(LONG - 1).await.is_none() && free() == ROOM_KIB);
        let all = room.take(usize::MAX).await.unwrap();
        assert_eq!(free(), 0);
        let waiting = tokio::time::Instant::now();
        drop(all);
        let next = room.take(10 * 1024 * 1024).await.unwrap();
        assert_eq!((free(), waiting.elapsed()), (6 * 1024, Duration::ZERO));
        // This one is never sent: those behind it wait for a tenth of a second at most.
        let behind = room.take(10 * 1024 * 1024).await;
        assert!(waiting.elapsed() <= PATIENCE);
        drop((next, behind));
    }
}
