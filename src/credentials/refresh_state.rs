//! What is known of the refreshes of a signer's credentials, and how it changes: pure functions of the state and an event.
//!
//! A point in time is a [`SystemTime`], which may jump; an age is a [`Duration`] since the signer was made, which does not.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::schedule::{self, RefreshOutcome};
use crate::presign::{endpoint::EndpointDefaults, snapshot::Snapshot};

/// How many sets of credentials are kept after newer ones replaced them.
const MAX_PREVIOUS: usize = 4;

/// How long they are kept after their end. They sign nothing any more, but explain why a URL of theirs fails.
const PREVIOUS_KEPT_AFTER_END: Duration = Duration::from_hours(1);

/// What is known of the refreshes of a signer's credentials.
#[derive(Clone, Debug, Default)]
pub struct RefreshState {
    phase: Phase,
    /// Attempts that have ended.
    attempts: u64,
    /// What the last one came to.
    last: Option<RefreshOutcome>,
    problem: Option<String>,
    loaded_at: Option<SystemTime>,
    lifetime: Option<Duration>,
    /// Whether there are credentials that have not expired.
    usable: bool,
    /// The age from which a caller may have the credentials refreshed early; not before the first attempt has ended.
    early_from: Option<Duration>,
    /// How long after the last attempt that is.
    early_interval: Duration,
    request: Option<RefreshRequest>,
    /// The snapshots that signed before the current one, the latest first.
    previous: Vec<Arc<Snapshot>>,
    /// What was resolved with the credentials.
    endpoint_defaults: Arc<EndpointDefaults>,
    /// Whether the signer is part of the current generation. Its gauges are shown only then.
    in_service: bool,
}

/// What the refresh task is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// An attempt has been running since this age.
    Attempting { since: Duration },
}

/// What the refresh task is asked for. The later one includes the earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum RefreshRequest {
    /// A caller needs credentials that last longer: refresh if that is permitted again.
    Early,
    /// An operator wants a refresh.
    Now,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum AttemptResult {
    /// With other credentials than before, or the same for longer.
    Newer {
        /// When they were loaded.
        at: SystemTime,
        /// How long they last from then on; nothing if they do not expire.
        lifetime: Option<Duration>,
    },
    /// With the credentials that were known already.
    NotNewer {
        /// When they were loaded.
        at: SystemTime,
    },
    /// Without credentials.
    Failed {
        /// A sentence for people.
        problem: String,
    },
}

impl RefreshState {
    /// How many attempts have ended.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// When credentials were last loaded.
    pub fn loaded_at(&self) -> Option<SystemTime> {
        self.loaded_at
    }

    /// How long the current credentials lasted when they were loaded first.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// How many attempts failed since credentials were last loaded.
    pub fn failures(&self) -> u32 {
        match self.last {
            Some(RefreshOutcome::Failed { times }) => times,
            _ => 0,
        }
    }

    /// Why the last attempt failed, if it did.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether there are credentials that have not expired.
    pub fn usable(&self) -> bool {
        self.usable
    }

    pub(super) fn endpoint_defaults(&self) -> &Arc<EndpointDefaults> {
        &self.endpoint_defaults
    }

    pub(super) fn is_in_service(&self) -> bool {
        self.in_service
    }

    /// Whether a caller may have the credentials refreshed early.
    pub(super) fn permits_early_refresh(&self, age: Duration) -> bool {
        self.early_from.is_some_and(|from| from <= age)
    }

    /// How long the running attempt has taken so far.
    pub(super) fn attempt_duration(&self, age: Duration) -> Duration {
        match self.phase {
            Phase::Idle => Duration::ZERO,
            Phase::Attempting { since } => age.saturating_sub(since),
        }
    }

    /// The snapshots that signed before the current one, as far as they are kept.
    pub(super) fn previous(&self, now: SystemTime) -> Vec<Arc<Snapshot>> {
        self.previous.iter().filter(|previous| is_kept(previous, now)).map(Arc::clone).collect()
    }

    /// Begins an attempt, which also serves what was requested until now.
    pub(super) fn begin_attempt(&mut self, age: Duration) {
        self.phase = Phase::Attempting { since: age };
        self.request = None;
    }

    /// Ends an attempt.
    pub(super) fn end_attempt(&mut self, age: Duration, end: AttemptResult) -> RefreshOutcome {
        let outcome = self.outcome_after(&end);
        self.phase = Phase::Idle;
        self.attempts += 1;
        self.last = Some(outcome);
        self.early_interval =
            schedule::early_interval(self.early_interval, outcome == RefreshOutcome::Renewed);
        self.early_from = Some(age.saturating_add(self.early_interval));
        self.problem = None;
        match end {
            AttemptResult::Newer { at, lifetime } => {
                self.loaded_at = Some(at);
                self.lifetime = lifetime;
            }
            AttemptResult::NotNewer { at } => self.loaded_at = Some(at),
            AttemptResult::Failed { problem } => self.problem = Some(problem),
        }
        outcome
    }

    fn outcome_after(&self, end: &AttemptResult) -> RefreshOutcome {
        match (end, self.last) {
            (AttemptResult::Newer { .. }, _) => RefreshOutcome::Renewed,
            (AttemptResult::NotNewer { .. }, Some(RefreshOutcome::NotNewer { times })) => {
                RefreshOutcome::NotNewer { times: times.saturating_add(1) }
            }
            (AttemptResult::NotNewer { .. }, _) => RefreshOutcome::NotNewer { times: 1 },
            (AttemptResult::Failed { .. }, Some(RefreshOutcome::Failed { times })) => {
                RefreshOutcome::Failed { times: times.saturating_add(1) }
            }
            (AttemptResult::Failed { .. }, _) => RefreshOutcome::Failed { times: 1 },
        }
    }

    /// Adds a request, and tells whether there was none like it.
    pub(super) fn add_request(&mut self, request: RefreshRequest) -> bool {
        let is_new = self.request < Some(request);
        self.request = self.request.max(Some(request));
        is_new
    }

    /// Takes what was requested since the last attempt began.
    pub(super) fn take_request(&mut self) -> Option<RefreshRequest> {
        self.request.take()
    }

    /// Notes whether the credentials are usable, and tells whether that is a change.
    pub(super) fn set_usable(&mut self, usable: bool) -> bool {
        std::mem::replace(&mut self.usable, usable) != usable
    }

    pub(super) fn set_in_service(&mut self, in_service: bool) {
        self.in_service = in_service;
    }

    /// Notes that one snapshot replaced another. The old one is kept if it has another access key.
    pub(super) fn replace_snapshot(
        &mut self,
        old: Option<Arc<Snapshot>>,
        new: &Snapshot,
        endpoint_defaults: Arc<EndpointDefaults>,
        now: SystemTime,
    ) {
        let key = |snapshot: &Snapshot| snapshot.credentials().access_key_id().to_owned();
        let replaced = old.filter(|old| key(old) != key(new));
        self.previous = replaced
            .into_iter()
            .chain(self.previous.drain(..))
            .filter(|previous| is_kept(previous, now))
            .take(MAX_PREVIOUS)
            .collect();
        self.endpoint_defaults = endpoint_defaults;
        self.usable = new.credentials().is_usable_at(now);
    }

    /// The state with which a signer starts that takes over these credentials with other rules.
    pub(super) fn inherited(&self) -> Self {
        Self { phase: Phase::Idle, early_from: None, request: None, in_service: false, ..self.clone() }
    }
}

/// Only credentials that expire are kept: nothing tells when the key of an IAM user was deleted.
fn is_kept(previous: &Snapshot, now: SystemTime) -> bool {
    previous.credentials().expires_at().is_some_and(|end| now < end + PREVIOUS_KEPT_AFTER_END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointRules,
        expiry::Seconds,
        snapshot::SigningRules,
    };

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failed() -> AttemptResult {
        AttemptResult::Failed { problem: "no route".to_owned() }
    }

    fn newer(lifetime: u64) -> AttemptResult {
        AttemptResult::Newer { at: NOW, lifetime: Some(seconds(lifetime)) }
    }

    #[test]
    fn a_signer_without_an_attempt_permits_no_early_refresh() {
        let state = RefreshState::default();
        assert!(!state.permits_early_refresh(Duration::MAX) && !state.usable());
        assert_eq!((state.attempts(), state.failures(), state.problem()), (0, 0, None));
    }

    #[test]
    fn equal_outcomes_in_a_row_are_counted_and_others_start_again() {
        let mut state = RefreshState::default();
        let not_newer = AttemptResult::NotNewer { at: NOW };
        let ends = [failed(), failed(), not_newer.clone(), not_newer.clone(), failed(), newer(1), not_newer];
        let outcomes: Vec<RefreshOutcome> =
            ends.into_iter().map(|end| state.end_attempt(seconds(0), end)).collect();
        let expected = [
            RefreshOutcome::Failed { times: 1 },
            RefreshOutcome::Failed { times: 2 },
            RefreshOutcome::NotNewer { times: 1 },
            RefreshOutcome::NotNewer { times: 2 },
            RefreshOutcome::Failed { times: 1 },
            RefreshOutcome::Renewed,
            RefreshOutcome::NotNewer { times: 1 },
        ];
        assert_eq!(outcomes, expected);
        assert_eq!(state.attempts(), 7);
    }

    #[test]
    fn a_failure_keeps_the_last_load_and_a_load_clears_the_failure() {
        let mut state = RefreshState::default();
        state.end_attempt(seconds(0), newer(60));
        state.end_attempt(seconds(1), failed());
        assert_eq!((state.failures(), state.problem()), (1, Some("no route")));
        assert_eq!((state.loaded_at(), state.lifetime()), (Some(NOW), Some(seconds(60))));
        state.end_attempt(seconds(2), AttemptResult::NotNewer { at: NOW + seconds(2) });
        assert_eq!((state.failures(), state.problem()), (0, None));
        assert_eq!((state.loaded_at(), state.lifetime()), (Some(NOW + seconds(2)), Some(seconds(60))));
    }

    #[test]
    fn an_early_refresh_is_permitted_a_minute_after_an_attempt_and_while_one_runs_then() {
        let mut state = RefreshState::default();
        state.begin_attempt(seconds(0));
        assert!(!state.permits_early_refresh(seconds(100)), "before the first attempt has ended");
        state.end_attempt(seconds(10), newer(3_600));
        assert!(!state.permits_early_refresh(seconds(69)) && state.permits_early_refresh(seconds(70)));
        state.begin_attempt(seconds(80));
        assert!(state.permits_early_refresh(seconds(81)));
        assert_eq!(state.attempt_duration(seconds(95)), seconds(15));
        state.end_attempt(seconds(95), failed());
        assert!(!state.permits_early_refresh(seconds(95 + 119)), "two minutes after a failure");
        assert!(state.permits_early_refresh(seconds(95 + 120)));
        assert_eq!(state.attempt_duration(seconds(100)), Duration::ZERO);
    }

    #[test]
    fn requests_are_added_once_and_served_by_the_next_attempt() {
        use RefreshRequest::{Early, Now};
        let mut state = RefreshState::default();
        assert!(state.add_request(Early) && !state.add_request(Early));
        assert!(state.add_request(Now) && !state.add_request(Early), "a refresh now is an early one, too");
        assert_eq!((state.take_request(), state.take_request()), (Some(Now), None));
        state.add_request(Early);
        state.begin_attempt(seconds(0));
        assert_eq!(state.take_request(), None);
        state.add_request(Now);
        state.end_attempt(seconds(1), newer(60));
        assert_eq!(state.take_request(), Some(Now), "it came while the attempt was running");
    }

    fn snapshot(key: &str, end: Option<u64>) -> Arc<Snapshot> {
        let secret = Secret::from("secret".to_owned());
        let end = end.map(|end| NOW + seconds(end));
        let expiry = Seconds::rounded_down(seconds(60)).unwrap();
        let rules =
            SigningRules { endpoint: EndpointRules::default(), default_expiry: expiry, max_expiry: expiry };
        Arc::new(Snapshot::new(Credentials::new(key.to_owned(), secret, None, end), rules))
    }

    fn keys(state: &RefreshState, now: SystemTime) -> Vec<String> {
        let previous = state.previous(now);
        previous.iter().map(|snapshot| snapshot.credentials().access_key_id().to_owned()).collect()
    }

    #[test]
    fn the_last_four_keys_that_expire_are_kept_until_an_hour_after_their_end() {
        let mut state = RefreshState::default();
        let mut current = None;
        for (key, end) in [
            ("A", Some(60)),
            ("B", Some(60)),
            ("C", None),
            ("D", Some(60)),
            ("D", Some(90)),
            ("E", Some(60)),
            ("F", Some(10_000)),
            ("G", Some(60)),
        ] {
            let new = snapshot(key, end);
            state.replace_snapshot(current.replace(Arc::clone(&new)), &new, Arc::default(), NOW);
            assert!(state.usable());
        }
        assert_eq!(keys(&state, NOW), ["F", "E", "D", "B"]);
        assert_eq!(keys(&state, NOW + seconds(60 + 3_600)), ["F", "D"], "D ended 30 seconds later");
    }

    #[test]
    fn an_inherited_state_keeps_what_is_known_and_permits_nothing_yet() {
        let mut state = RefreshState::default();
        state.replace_snapshot(None, &snapshot("A", Some(60)), Arc::default(), NOW);
        state.replace_snapshot(Some(snapshot("A", Some(60))), &snapshot("B", None), Arc::default(), NOW);
        state.end_attempt(seconds(0), newer(60));
        state.set_in_service(true);
        state.begin_attempt(seconds(100));
        state.add_request(RefreshRequest::Now);
        let mut inherited = state.inherited();
        assert_eq!(keys(&inherited, NOW), ["A"]);
        assert_eq!((inherited.attempts(), inherited.lifetime()), (1, Some(seconds(60))));
        assert!(!inherited.is_in_service() && !inherited.permits_early_refresh(Duration::MAX));
        assert_eq!(
            (inherited.take_request(), inherited.attempt_duration(Duration::MAX)),
            (None, Duration::ZERO)
        );
    }
}
