//! What a call needs from AWS before it can be signed: newer credentials for requests that would outlive the current ones,
//! and sessions for directory buckets. Only valid and authorized requests count.

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
        expiry::{ReuseWindow, Seconds},
        snapshot::Snapshot,
    },
    service::{ServiceState, admission::call::Deadline},
};

/// A part of the name of every directory bucket, and of every access point for a directory bucket.
const DIRECTORY_INFIX: &[u8] = b"--x";

/// The most `CreateSession` calls at the same time for one call.
const MAX_CONCURRENT_SESSIONS: usize = 8;

/// The requested lifetime of a URL or form.
#[derive(Clone, Copy)]
pub(in crate::service) struct LifetimeNeeded {
    /// `expires_in`; `None` for the default of the signer.
    pub(in crate::service) expires_in: Option<Seconds>,
    /// `reuse_window`.
    pub(in crate::service) reuse_window: Option<Seconds>,
}

/// The needs of the requests of a call that its snapshot does not meet.
pub(in crate::service) struct CredentialNeeds<'s> {
    snapshot: &'s CallSnapshot,
    /// The signers whose credentials can be renewed early, with the longest lifetime that a request needs.
    lifetimes: Vec<(&'s Arc<Signer>, Option<Duration>)>,
    may_need_sessions: bool,
    /// Signer name and directory bucket of each session that is needed.
    sessions: BTreeSet<(String, String)>,
}

impl<'s> CredentialNeeds<'s> {
    /// No needs. `encoded_names` contains the name of every bucket of the call, and may contain any other bytes.
    pub(in crate::service) fn new(snapshot: &'s CallSnapshot, encoded_names: &[u8]) -> Self {
        let may_renew = |signer: &&Arc<Signer>| signer.early_refresh_threshold(snapshot.now()).is_some();
        let renewable = snapshot.signers().iter().filter(may_renew);
        Self {
            snapshot,
            lifetimes: renewable.map(|signer| (signer, None)).collect(),
            may_need_sessions: memmem::find(encoded_names, DIRECTORY_INFIX).is_some(),
            sessions: BTreeSet::new(),
        }
    }

    /// Whether no request can add a need. Then the requests are decoded only once, to be signed.
    pub(in crate::service) fn are_final(&self) -> bool {
        self.lifetimes.is_empty() && !self.may_need_sessions
    }

    /// Whether this request would add a need, if it is valid and authorized.
    pub(in crate::service) fn would_grow(&self, signer: &str, bucket: &str, needed: LifetimeNeeded) -> bool {
        let outlives = |(known, longest): &(&Arc<Signer>, Option<Duration>)| {
            known.name() == signer && *longest < Some(self.remaining_lifetime(known, needed))
        };
        self.lifetimes.iter().any(outlives) || self.needs_session(signer, bucket)
    }

    /// Adds the needs of a request that is valid and authorized.
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

    /// The lifetime that is needed from now on. A URL with a `reuse_window` is signed as of the start of the window, so its
    /// lifetime counts from there: newer credentials would change the URL without extending it.
    fn remaining_lifetime(&self, signer: &Signer, needed: LifetimeNeeded) -> Duration {
        let now = self.snapshot.now();
        let requested = needed.expires_in.unwrap_or(signer.default_expiry()).as_duration();
        let begins_at = |length| ReuseWindow::at(now, length).begins_at();
        let signed_at = needed.reuse_window.map_or(now, begins_at);
        requested.saturating_sub(now.duration_since(signed_at).unwrap_or_default())
    }

    fn needs_session(&self, signer: &str, bucket: &str) -> bool {
        self.may_need_sessions
            && memmem::find(bucket.as_bytes(), DIRECTORY_INFIX).is_some()
            && !self
                .sessions
                .iter()
                .any(|(other_signer, other_bucket)| other_signer == signer && other_bucket == bucket)
    }

    /// Gets from AWS what is needed. Returns a newer snapshot to sign with, if anything changed.
    pub(in crate::service) async fn ensure(
        self,
        state: &ServiceState,
        deadline: Deadline,
    ) -> Option<CallSnapshot> {
        let has_renewed = renew(&self.lifetimes, self.snapshot.now(), state, deadline).await;
        let renewed = has_renewed.then(|| self.snapshot.retake(state, Vec::new()));
        let snapshot = renewed.as_ref().unwrap_or(self.snapshot);
        let sessions = get_sessions(snapshot, &self.sessions, state).await;
        if sessions.is_empty() { renewed } else { Some(snapshot.retake(state, sessions)) }
    }
}

/// Waits for newer credentials where they allow a longer lifetime, for at most half of the time until the deadline, so that
/// the other half remains to sign. Does not wait if too many calls already do. Returns whether newer credentials were
/// requested.
async fn renew(
    lifetimes: &[(&Arc<Signer>, Option<Duration>)],
    now: SystemTime,
    state: &ServiceState,
    deadline: Deadline,
) -> bool {
    if lifetimes.iter().all(|(_, longest)| longest.is_none()) {
        return false;
    }
    let Ok(_permit) = Arc::clone(&state.aws_wait_permits).try_acquire_owned() else { return false };
    let limit = deadline.remaining().map(|remaining| remaining / 2);
    let needed = lifetimes.iter().filter_map(|(signer, longest)| Some((signer, (*longest)?)));
    join_all(needed.map(|(signer, longest)| signer.refresh_early(longest, now, limit))).await;
    true
}

/// Gets the session of each of these directory buckets, from S3 if none is cached.
async fn get_sessions(
    snapshot: &CallSnapshot,
    buckets: &BTreeSet<(String, String)>,
    state: &ServiceState,
) -> Vec<BucketSession> {
    let needed: Vec<_> = buckets
        .iter()
        .filter_map(|(signer, bucket)| {
            let signer = snapshot.signer(signer).ok()?;
            let credentials = snapshot.credentials_of(signer).ok()?;
            credentials.needs_session(bucket).then_some((signer, credentials, bucket.as_str()))
        })
        .collect();
    let mut sessions = Vec::with_capacity(needed.len());
    for group in needed.chunks(MAX_CONCURRENT_SESSIONS) {
        let creating = group.iter().map(|(signer, credentials, bucket)| async move {
            let outcome = match signer.sessions().cached(credentials, bucket) {
                Some(session) => Ok(session),
                None => create_session(signer, credentials, bucket, state).await,
            };
            BucketSession { signer: Arc::clone(signer), bucket: (*bucket).into(), outcome }
        });
        sessions.extend(join_all(creating).await);
    }
    sessions
}

/// Gets a session from S3, unless too many calls already wait for AWS.
async fn create_session(
    signer: &Signer,
    credentials: &Arc<Snapshot>,
    bucket: &str,
    state: &ServiceState,
) -> Result<Arc<Snapshot>, SessionError> {
    let Ok(_permit) = Arc::clone(&state.aws_wait_permits).try_acquire_owned() else {
        return Err(SessionError::unavailable(
            bucket,
            "too many calls are already waiting for AWS".to_owned(),
        ));
    };
    signer.sessions().get_or_create(credentials, bucket).await
}
