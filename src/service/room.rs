//! Memory for the long answers that are on their way out: without a bound, every connection's waits in full for its turn
//! to be written.
//!
//! The bound is soft: whoever has not read an answer within [`PATIENCE`] no longer counts, so that slow readers do not
//! take the room of the others. Room for 320 MiB/s is there for everybody, whatever they do.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// All answers together.
const ROOM_KIB: usize = 16 * 1024;

/// A shorter answer is not counted.
const LONG: usize = 64 * 1024;

/// How long an answer takes room, sent or not.
const PATIENCE: Duration = Duration::from_millis(50);

/// Room for answers.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB)))
    }
}

/// Room for an answer that is being made.
#[derive(Debug)]
pub(super) struct Taken {
    _permit: OwnedSemaphorePermit,
}

/// The room of an answer that is on its way, until it is sent and this is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    _sent: Arc<oneshot::Sender<()>>,
}

impl Room {
    /// Waits for room for so many bytes, in the order of asking. Nothing for a short answer.
    pub(super) async fn take(&self, bytes: usize) -> Option<Taken> {
        if bytes < LONG {
            return None;
        }
        let kib = u32::try_from((bytes / 1024).min(ROOM_KIB)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(kib).await.ok().map(|permit| Taken { _permit: permit })
    }
}

impl Taken {
    /// The answer is on its way.
    pub(super) fn until_sent(self) -> Held {
        let (sent, is_sent) = oneshot::channel();
        tokio::spawn(async move {
            let _sent_or_late = timeout(PATIENCE, is_sent).await;
            drop(self);
        });
        Held { _sent: Arc::new(sent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_gives_its_room_back_when_it_is_sent_or_late() {
        let room = Room::default();
        let free = || room.0.available_permits();
        assert!(room.take(LONG - 1).await.is_none() && free() == ROOM_KIB);
        let all = room.take(usize::MAX).await.unwrap();
        assert_eq!(free(), 0);
        let waiting = tokio::time::Instant::now();
        drop(all.until_sent());
        let next = room.take(10 * 1024 * 1024).await.unwrap().until_sent();
        assert_eq!((free(), waiting.elapsed()), (6 * 1024, Duration::ZERO));
        // This one is not sent while the one behind it waits.
        let behind = room.take(10 * 1024 * 1024).await.unwrap();
        assert_eq!((free(), waiting.elapsed()), (6 * 1024, PATIENCE));
        drop((next, behind));
        assert_eq!(free(), ROOM_KIB);
    }
}
