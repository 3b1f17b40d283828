//! Newer credentials for requests that outlive those at hand, before anything is signed.

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    Shared,
    request::Merged,
    wire::{Batch, Item},
};
use crate::{credentials::Signer, presign::expiry::Seconds};

/// How long the requests of a call want their URLs to work.
#[derive(Default)]
struct Wishes(Vec<Wish>);

/// The wishes of the requests that name one signer.
struct Wish {
    signer: String,
    /// The longest that was asked for.
    longest: Option<Seconds>,
    /// Whether some request leaves it to the server.
    any_default: bool,
}

impl Wishes {
    fn add(&mut self, name: &str, asked: Option<Seconds>) {
        let place = self.0.iter().position(|wish| wish.signer == name).unwrap_or_else(|| {
            self.0.push(Wish { signer: name.to_owned(), longest: None, any_default: false });
            self.0.len() - 1
        });
        if let Some(wish) = self.0.get_mut(place) {
            wish.longest = wish.longest.max(asked);
            wish.any_default |= asked.is_none();
        }
    }

    fn of(&self, signer: &Signer) -> Option<Duration> {
        let wish = self.0.iter().find(|wish| wish.signer == signer.name())?;
        let default = wish.any_default.then(|| signer.default_expiry());
        wish.longest.max(default).map(Seconds::as_duration)
    }
}

/// Has credentials renewed that the request would outlive, where that helps. See [`renew`].
pub(super) async fn renew_for_one(shared: &Shared, request: Merged<'_>, time: Option<Duration>) {
    renew(shared, time, |wishes| wishes.add(request.signer(), request.asks_for())).await;
}

/// Has credentials renewed that the form would outlive, where that helps. See [`renew`].
pub(super) async fn renew_for_form(
    shared: &Shared,
    signer: &str,
    asked: Option<Seconds>,
    time: Option<Duration>,
) {
    renew(shared, time, |wishes| wishes.add(signer, asked)).await;
}

/// Has credentials renewed that one of the batch's requests would outlive, where that helps. See [`renew`].
pub(super) async fn renew_for_batch(shared: &Shared, batch: &Batch, time: Option<Duration>) {
    renew(shared, time, |wishes| {
        // What cannot be read is refused where it is signed.
        let defaults = batch.defaults().unwrap_or_default();
        for index in 0..batch.len() {
            if let Ok(item) = Item::read(batch.request(index)) {
                let request = Merged::new(&item, defaults.as_ref());
                wishes.add(request.signer(), request.asks_for());
            }
        }
    })
    .await;
}

/// Waits for newer credentials for half of the caller's time at most, so that there is time for an answer. Mostly nothing
/// can be renewed, and the requests are not looked at.
async fn renew(shared: &Shared, time: Option<Duration>, look: impl FnOnce(&mut Wishes)) {
    let now = shared.clock.now();
    let signers = shared.signers.all();
    if signers.iter().all(|signer| signer.renewable_beyond(now).is_none()) {
        return;
    }
    let mut wishes = Wishes::default();
    look(&mut wishes);
    let renewing = signers.iter().filter_map(|signer| {
        let asked = wishes.of(signer)?;
        Some(signer.renew_for(asked, now, time.map(|time| time / 2)))
    });
    join_all(renewing).await;
}
