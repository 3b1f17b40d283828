//! Sessions for the directory buckets of a call, had before anything is signed.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use memchr::memmem;

use super::{
    Shared,
    request::Merged,
    wire::{Batch, Item},
    work::Moment,
};
use crate::{
    credentials::{Signer, sessions::SessionError},
    presign::snapshot::Snapshot,
};

/// What is in the name of every directory bucket, and of every access point of one.
const MARK: &[u8] = b"--x";

/// Sessions that S3 is asked for at once, for one call.
const AT_ONCE: usize = 8;

/// A session, or why there is none.
pub(super) struct Session {
    signer: Arc<Signer>,
    bucket: Box<str>,
    outcome: Result<Arc<Snapshot>, SessionError>,
}

impl Session {
    /// What signs for a bucket with a signer, when it is this.
    pub(super) fn of(&self, signer: &Signer, bucket: &str) -> Option<Result<&Arc<Snapshot>, SessionError>> {
        let is_it = std::ptr::eq(&raw const *self.signer, signer) && *self.bucket == *bucket;
        is_it.then(|| self.outcome.as_ref().map_err(Clone::clone))
    }
}

/// The moment of a call for one URL, with the session that it needs.
pub(super) async fn for_one(shared: &Shared, request: Merged<'_>) -> Moment {
    let moment = Moment::new(shared);
    if memmem::find(request.bucket().as_bytes(), MARK).is_none() {
        return moment;
    }
    let wanted = BTreeSet::from([(request.signer(), request.bucket())]);
    with_sessions(shared, moment, wanted).await
}

/// The moment of a batch, with the sessions that it needs. Only a message that has the mark in it is looked at.
pub(super) async fn for_batch(shared: &Shared, batch: &Batch) -> Moment {
    let moment = Moment::new(shared);
    if memmem::find(batch.message(), MARK).is_none() {
        return moment;
    }
    let defaults = batch.defaults_wish().unwrap_or_default();
    // What cannot be read is refused where it is signed.
    let items: Vec<_> =
        (0..batch.len()).filter_map(|index| Item::read_wish(batch.request(index)).ok()).collect();
    let wanted = items.iter().map(|item| {
        let request = Merged::new(item, defaults.as_ref());
        (request.signer(), request.bucket())
    });
    with_sessions(shared, moment, wanted.collect()).await
}

/// Has every session that one of these needs. Where S3 had to be asked, the moment is the one after its answer.
async fn with_sessions(shared: &Shared, moment: Moment, wanted: BTreeSet<(&str, &str)>) -> Moment {
    let needed: Vec<_> = wanted
        .into_iter()
        .filter_map(|(name, bucket)| {
            let (signer, snapshot) = moment.signer(name).ok()?;
            let snapshot = snapshot.filter(|snapshot| snapshot.needs_session(bucket))?;
            Some((Arc::clone(signer), Arc::clone(snapshot), bucket))
        })
        .collect();
    if needed.is_empty() {
        return moment;
    }
    let mut sessions = Vec::with_capacity(needed.len());
    for some in needed.chunks(AT_ONCE) {
        let asking = some.iter().map(|(signer, snapshot, bucket)| async move {
            let outcome = match signer.sessions().cached(snapshot, bucket) {
                Some(session) => Ok(session),
                None => wait_for(shared, signer, snapshot, bucket).await,
            };
            Session { signer: Arc::clone(signer), bucket: (*bucket).into(), outcome }
        });
        sessions.extend(join_all(asking).await);
    }
    moment.with_sessions(shared, sessions)
}

/// Only so many wait at once that there are places for calls that need nothing.
async fn wait_for(
    shared: &Shared,
    signer: &Signer,
    own: &Arc<Snapshot>,
    bucket: &str,
) -> Result<Arc<Snapshot>, SessionError> {
    let Ok(_place) = Arc::clone(&shared.waiting).try_acquire_owned() else {
        return Err(SessionError::unavailable(bucket, "too many calls wait for S3 already".to_owned()));
    };
    signer.sessions().from_s3(own, bucket).await
}
