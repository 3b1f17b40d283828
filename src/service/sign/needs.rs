//! What has to be asked of AWS before a call can be signed: newer credentials for requests that outlive the present ones,
//! and sessions for directory buckets. Only valid and authorized requests are counted.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use memchr::memmem;

use super::snapshot::{BucketSession, CallSnapshot};
use crate::{
    credentials::{Signer, sessions::SessionError},
    presign::{
        expiry::{Seconds, Window},
        snapshot::Snapshot,
    },
    service::{ServiceState, admission::call::Deadline},
};

/// A part of the name of every directory bucket, and of every access point of one.
const DIRECTORY_INFIX: &[u8] = b"--x";

/// The most sessions that are created at the same time for one call.
const MAX_CONCURRENT_SESSIONS: usize = 8;

/// How long a URL or a form should work.
#[derive(Clone, Copy)]
pub(in crate::service) struct LifetimeNeeded {
    /// `expires_in`; nothing where the signer's default counts.
    pub(in crate::service) expires_in: Option<Seconds>,
    /// `reuse_window`.
    pub(in crate::service) reuse_window: Option<Seconds>,
}

/// What the requests of a call need that the snapshot does not have yet.
pub(in crate::service) struct CredentialNeeds<'s> {
    snapshot: &'s CallSnapshot,
    /// Signers whose credentials may be renewed, with the longest lifetime that is needed.
    lifetimes: Vec<(&'s Arc<Signer>, Option<Duration>)>,
    may_need_sessions: bool,
    /// Directory buckets, by the name of the signer.
    sessions: BTreeSet<(String, String)>,
}

impl<'s> CredentialNeeds<'s> {
    /// Nothing is needed yet. `names` has the name of every bucket in it, among other bytes.
    pub(in crate::service) fn new(snapshot: &'s CallSnapshot, names: &[u8]) -> Self {
        let may_renew = |signer: &&Arc<Signer>| signer.early_refresh_threshold(snapshot.now()).is_some();
        let renewable = snapshot.signers().iter().filter(may_renew);
        Self {
            snapshot,
            lifetimes: renewable.map(|signer| (signer, None)).collect(),
            may_need_sessions: memmem::find(names, DIRECTORY_INFIX).is_some(),
            sessions: BTreeSet::new(),
        }
    }

    /// Whether no request can add anything: then they need not be read twice.
    pub(in crate::service) fn are_complete(&self) -> bool {
        self.lifetimes.is_empty() && !self.may_need_sessions
    }

    /// Whether this request needs more than those before it, if it is valid and authorized.
    pub(in crate::service) fn would_grow(&self, signer: &str, bucket: &str, needed: LifetimeNeeded) -> bool {
        let outlives = |(known, longest): &(&Arc<Signer>, Option<Duration>)| {
            known.name() == signer && *longest < Some(self.remaining_lifetime(known, needed))
        };
        self.lifetimes.iter().any(outlives) || self.needs_session(signer, bucket)
    }

    /// Counts a request that is valid and authorized.
    pub(in crate::service) fn add(&mut self, signer: &str, bucket: &str, needed: LifetimeNeeded) {
        let known = self.lifetimes.iter().position(|(known, _)| known.name() == signer);
        if let Some(index) = known {
            let lifetime = self.remaining_lifetime(self.lifetimes[index].0, needed);
            let longest = &mut self.lifetimes[index].1;
            *longest = (*longest).max(Some(lifetime));
        }
        if self.needs_session(signer, bucket) {
            self.sessions.insert((signer.to_owned(), bucket.to_owned()));
        }
    }

    /// From now on. A URL of a window ends as if it had been asked for when the window began: newer credentials in the
    /// middle of one would give another URL, and no more time.
    fn remaining_lifetime(&self, signer: &Signer, needed: LifetimeNeeded) -> Duration {
        let now = self.snapshot.now();
        let asked = needed.expires_in.unwrap_or(signer.default_expiry()).as_duration();
        let begins_at = |length| Window::at(now, length).begins_at();
        let signed_at = needed.reuse_window.map_or(now, begins_at);
        asked.saturating_sub(now.duration_since(signed_at).unwrap_or_default())
    }

    fn needs_session(&self, signer: &str, bucket: &str) -> bool {
        self.may_need_sessions
            && memmem::find(bucket.as_bytes(), DIRECTORY_INFIX).is_some()
            && !self.sessions.iter().any(|(known, of)| known == signer && of == bucket)
    }

    /// Asks AWS for what is needed. Returns the snapshot to sign with when there is a newer one.
    pub(in crate::service) async fn ensure(
        self,
        state: &ServiceState,
        deadline: Deadline,
    ) -> Option<CallSnapshot> {
        let has_renewed = renew(&self.lifetimes, self.snapshot.now(), state, deadline).await;
        let renewed = has_renewed.then(|| self.snapshot.retake(state, Vec::new()));
        let snapshot = renewed.as_ref().unwrap_or(self.snapshot);
        let sessions = find_sessions(snapshot, &self.sessions, state).await;
        if sessions.is_empty() { renewed } else { Some(snapshot.retake(state, sessions)) }
    }
}

/// Waits for newer credentials where they help, for at most half of the caller's remaining time, so that there is time
/// left for the answer; and only while few others wait, so that permits remain for calls that need nothing. Whether
/// anything was asked for.
async fn renew(
    lifetimes: &[(&Arc<Signer>, Option<Duration>)],
    now: SystemTime,
    state: &ServiceState,
    deadline: Deadline,
) -> bool {
    if lifetimes.iter().all(|(_, longest)| longest.is_none()) {
        return false;
    }
    let Ok(_permit) = Arc::clone(&state.waiting).try_acquire_owned() else { return false };
    let limit = deadline.remaining().map(|remaining| remaining / 2);
    let needed = lifetimes.iter().filter_map(|(signer, longest)| Some((signer, (*longest)?)));
    join_all(needed.map(|(signer, longest)| signer.refresh_early(longest, now, limit))).await;
    true
}

/// The session of each of these directory buckets, asked of S3 where there is none.
async fn find_sessions(
    snapshot: &CallSnapshot,
    buckets: &BTreeSet<(String, String)>,
    state: &ServiceState,
) -> Vec<BucketSession> {
    let needed: Vec<_> = buckets
        .iter()
        .filter_map(|(signer, bucket)| {
            let signer = snapshot.signer(signer).ok()?;
            let own = snapshot.credentials_of(signer).ok()?;
            own.needs_session(bucket).then_some((signer, own, bucket.as_str()))
        })
        .collect();
    let mut sessions = Vec::with_capacity(needed.len());
    for some in needed.chunks(MAX_CONCURRENT_SESSIONS) {
        let asking = some.iter().map(|(signer, own, bucket)| async move {
            let outcome = match signer.sessions().cached(own, bucket) {
                Some(session) => Ok(session),
                None => create_session(signer, own, bucket, state).await,
            };
            BucketSession { signer: Arc::clone(signer), bucket: (*bucket).into(), outcome }
        });
        sessions.extend(join_all(asking).await);
    }
    sessions
}

/// Only a part of all calls may wait for S3, so that permits remain for calls that need nothing.
async fn create_session(
    signer: &Signer,
    own: &Arc<Snapshot>,
    bucket: &str,
    state: &ServiceState,
) -> Result<Arc<Snapshot>, SessionError> {
    let Ok(_permit) = Arc::clone(&state.waiting).try_acquire_owned() else {
        return Err(SessionError::unavailable(bucket, "too many calls wait for S3 already".to_owned()));
    };
    signer.sessions().get_or_create(own, bucket).await
}
