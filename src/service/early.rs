//! Newer credentials for requests that outlive those at hand, before anything is signed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;

use super::{
    Shared,
    request::Merged,
    wire::{Batch, Item},
};
use crate::{
    credentials::Signer,
    presign::expiry::{Seconds, Window},
};

/// Requests looked at before others get their turn.
const TURN: usize = 128;

/// How long the requests of a call want their URLs to work, for each signer whose credentials may be renewed for them.
struct Wishes {
    /// When they were made.
    now: SystemTime,
    longest: Vec<(Arc<Signer>, Option<Duration>)>,
}

/// How long a URL or a form should work.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Who is to sign.
    pub(super) signer: &'a str,
    /// `expires_in`; nothing where the server's default counts.
    pub(super) asked: Option<Seconds>,
    /// `reuse_window`.
    pub(super) window: Option<Seconds>,
}

impl<'a> Wish<'a> {
    /// What a request wishes. What is not valid in it is refused where it is signed.
    fn of(request: Merged<'a>) -> Self {
        let window = request.reuse_window().ok().flatten();
        Self { signer: request.signer(), asked: request.asks_for(), window }
    }
}

impl Wishes {
    /// None yet; nothing when no credentials may be renewed: those that do not end, that outlive `expiry.max`, or that were
    /// loaded within the last minute.
    fn new(shared: &Shared) -> Option<Self> {
        let now = shared.clock.now();
        let generation = shared.generations.current();
        let renewable = generation.signers().iter().filter(|signer| signer.renewable_beyond(now).is_some());
        let longest: Vec<_> = renewable.map(|signer| (Arc::clone(signer), None)).collect();
        (!longest.is_empty()).then_some(Self { now, longest })
    }

    fn add(&mut self, wish: Wish<'_>) {
        let now = self.now;
        let of_this_name = self.longest.iter_mut().find(|(signer, _)| signer.name() == wish.signer);
        if let Some((signer, longest)) = of_this_name {
            let asked = wish.asked.unwrap_or(signer.default_expiry()).as_duration();
            // A URL of a window ends as if it had been asked for at the window's beginning: newer credentials in the
            // middle of one would give another URL, and no more time.
            let since = wish.window.map_or(now, |length| Window::at(now, length).begins_at());
            let left = asked.saturating_sub(now.duration_since(since).unwrap_or_default());
            *longest = (*longest).max(Some(left));
        }
    }

    /// Waits for newer credentials where they help, for half of the caller's time at most, so that there is time for an
    /// answer; and only while few others wait, so that there are places for calls that need nothing.
    async fn grant(self, shared: &Shared, time: Option<Duration>) {
        let Ok(_place) = Arc::clone(&shared.waiting).try_acquire_owned() else { return };
        let time = time.map(|time| time / 2);
        let asked = self.longest.iter().filter_map(|(signer, longest)| Some((signer, (*longest)?)));
        let renewing = asked.map(|(signer, longest)| signer.renew_for(longest, self.now, time));
        join_all(renewing).await;
    }
}

/// Has credentials renewed that a URL would outlive, where that helps.
pub(super) async fn renew_for_request(shared: &Shared, request: Merged<'_>, time: Option<Duration>) {
    renew_for_one(shared, Wish::of(request), time).await;
}

/// Has credentials renewed that a URL or a form would outlive, where that helps.
pub(super) async fn renew_for_one(shared: &Shared, wish: Wish<'_>, time: Option<Duration>) {
    if let Some(mut wishes) = Wishes::new(shared) {
        wishes.add(wish);
        wishes.grant(shared, time).await;
    }
}

/// Has credentials renewed that one of the batch's requests would outlive, where that helps.
pub(super) async fn renew_for_batch(shared: &Shared, batch: &Batch, time: Option<Duration>) {
    let Some(mut wishes) = Wishes::new(shared) else { return };
    let defaults = batch.defaults_wish().unwrap_or_default();
    for index in 0..batch.len() {
        if index % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        // What cannot be read is refused where it is signed.
        if let Ok(item) = Item::read_wish(batch.request(index)) {
            wishes.add(Wish::of(Merged::new(&item, defaults.as_ref())));
        }
    }
    wishes.grant(shared, time).await;
}
