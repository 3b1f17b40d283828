//! The refresh state of a signer's credentials, and its transitions: pure functions of the state and an event.
//!
//! A point in time is a [`SystemTime`], which may jump. An age is a monotonic [`Duration`] since the signer was
//! created.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::schedule::{self, RefreshOutcome};
use crate::presign::{endpoint::EndpointDefaults, snapshot::Snapshot};

/// How many replaced snapshots are kept.
const MAX_PREVIOUS: usize = 4;

/// How long a replaced snapshot is kept after its credentials expired. It signs nothing, but Explain needs it to
/// diagnose the URLs that it signed.
const KEEP_AFTER_EXPIRY: Duration = Duration::from_hours(1);

/// The refresh state of a signer's credentials.
#[derive(Clone, Debug, Default)]
pub struct RefreshState {
    phase: Phase,
    /// How many attempts have ended.
    attempts: u64,
    /// The outcome of the last attempt.
    last: Option<RefreshOutcome>,
    problem: Option<String>,
    loaded_at: Option<SystemTime>,
    lifetime: Option<Duration>,
    /// Whether there are credentials that have not expired.
    is_usable: bool,
    /// The age from which an early refresh is permitted; `None` before the first attempt has ended.
    early_from: Option<Duration>,
    /// The time between the last attempt and `early_from`.
    early_interval: Duration,
    request: Option<RefreshRequest>,
    /// The replaced snapshots, the newest first.
    previous: Vec<Arc<Snapshot>>,
    /// The endpoint defaults that were loaded with the credentials.
    endpoint_defaults: Arc<EndpointDefaults>,
    /// Whether the signer belongs to the current generation. Only then it sets its gauges.
    in_service: bool,
}

/// What the refresh task is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// An attempt runs.
    Attempting {
        /// The age at which it began.
        since: Duration,
    },
}

/// A request to the refresh task. A later variant includes the earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum RefreshRequest {
    /// From a caller that needs credentials with a longer lifetime: refresh if an early refresh is permitted.
    Early,
    /// From an operator: refresh in any case.
    Now,
}

/// The result of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum AttemptResult {
    /// Other credentials than before, or the same with a later expiry.
    Newer {
        /// When they were loaded.
        at: SystemTime,
        /// The time from then to their expiry; `None` if they do not expire.
        lifetime: Option<Duration>,
    },
    /// The credentials that were known already.
    NotNewer {
        /// When they were loaded.
        at: SystemTime,
    },
    /// No credentials, or expired ones.
    Failed {
        /// The error message, without secrets.
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

    /// The lifetime of the current credentials when they were first loaded; `None` if they do not expire.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// How many attempts in a row have failed.
    pub fn failures(&self) -> u32 {
        match self.last {
            Some(RefreshOutcome::Failed { times }) => times,
            _ => 0,
        }
    }

    /// The error message of the last attempt, if it failed.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether there are credentials that have not expired.
    pub fn is_usable(&self) -> bool {
        self.is_usable
    }

    pub(super) fn endpoint_defaults(&self) -> &Arc<EndpointDefaults> {
        &self.endpoint_defaults
    }

    pub(super) fn is_in_service(&self) -> bool {
        self.in_service
    }

    /// Whether an early refresh is permitted at this age.
    pub(super) fn permits_early_refresh(&self, age: Duration) -> bool {
        self.early_from.is_some_and(|from| from <= age)
    }

    /// How long the running attempt has taken so far; zero if none runs.
    pub(super) fn attempt_duration(&self, age: Duration) -> Duration {
        match self.phase {
            Phase::Idle => Duration::ZERO,
            Phase::Attempting { since } => age.saturating_sub(since),
        }
    }

    /// The replaced snapshots that are still kept, the newest first.
    pub(super) fn previous(&self, now: SystemTime) -> Vec<Arc<Snapshot>> {
        self.previous.iter().filter(|previous| is_kept(previous, now)).map(Arc::clone).collect()
    }

    /// Begins an attempt, which also serves the pending request.
    pub(super) fn begin_attempt(&mut self, age: Duration) {
        self.phase = Phase::Attempting { since: age };
        self.request = None;
    }

    /// Ends an attempt, and returns its outcome.
    pub(super) fn end_attempt(&mut self, age: Duration, result: AttemptResult) -> RefreshOutcome {
        let outcome = self.outcome_of(&result);
        self.phase = Phase::Idle;
        self.attempts += 1;
        self.last = Some(outcome);
        self.early_interval =
            schedule::next_early_interval(self.early_interval, outcome == RefreshOutcome::Renewed);
        self.early_from = Some(age.saturating_add(self.early_interval));
        self.problem = None;
        match result {
            AttemptResult::Newer { at, lifetime } => {
                self.loaded_at = Some(at);
                self.lifetime = lifetime;
            }
            AttemptResult::NotNewer { at } => self.loaded_at = Some(at),
            AttemptResult::Failed { problem } => self.problem = Some(problem),
        }
        outcome
    }

    fn outcome_of(&self, result: &AttemptResult) -> RefreshOutcome {
        match (result, self.last) {
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

    /// Adds a request. Returns whether that changes the pending one.
    pub(super) fn add_request(&mut self, request: RefreshRequest) -> bool {
        let is_new = self.request < Some(request);
        self.request = self.request.max(Some(request));
        is_new
    }

    /// Takes the request that is pending since the last attempt began.
    pub(super) fn take_request(&mut self) -> Option<RefreshRequest> {
        self.request.take()
    }

    /// Records whether the credentials are usable. Returns whether that has changed.
    pub(super) fn set_usable(&mut self, usable: bool) -> bool {
        std::mem::replace(&mut self.is_usable, usable) != usable
    }

    pub(super) fn set_in_service(&mut self, in_service: bool) {
        self.in_service = in_service;
    }

    /// Records that one snapshot replaced another. The old one is kept if it has another access key.
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
        self.is_usable = new.credentials().is_usable_at(now);
    }

    /// The initial state of a signer that takes over these credentials with other rules.
    pub(super) fn inherited(&self) -> Self {
        Self { phase: Phase::Idle, early_from: None, request: None, in_service: false, ..self.clone() }
    }
}

/// Only credentials with an expiry are kept: presignd cannot know when the key of an IAM user was deleted.
fn is_kept(previous: &Snapshot, now: SystemTime) -> bool {
    previous.credentials().expires_at().is_some_and(|end| now < end + KEEP_AFTER_EXPIRY)
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
    fn no_early_refresh_before_the_first_attempt() {
        let state = RefreshState::default();
        assert!(!state.permits_early_refresh(Duration::MAX) && !state.is_usable());
        assert_eq!((state.attempts(), state.failures(), state.problem()), (0, 0, None));
    }

    #[test]
    fn equal_outcomes_in_a_row_are_counted() {
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
    fn a_failure_keeps_the_last_load_until_the_next() {
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
    fn an_early_refresh_is_permitted_a_minute_after_an_attempt() {
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
    fn the_next_attempt_serves_pending_requests() {
        use RefreshRequest::{Early, Now};
        let mut state = RefreshState::default();
        assert!(state.add_request(Early) && !state.add_request(Early));
        assert!(state.add_request(Now) && !state.add_request(Early), "Now includes Early");
        assert_eq!((state.take_request(), state.take_request()), (Some(Now), None));
        state.add_request(Early);
        state.begin_attempt(seconds(0));
        assert_eq!(state.take_request(), None);
        state.add_request(Now);
        state.end_attempt(seconds(1), newer(60));
        assert_eq!(state.take_request(), Some(Now), "requested during the attempt");
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
    fn four_replaced_keys_are_kept_for_an_hour_after_expiry() {
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
            assert!(state.is_usable());
        }
        assert_eq!(keys(&state, NOW), ["F", "E", "D", "B"]);
        assert_eq!(keys(&state, NOW + seconds(60 + 3_600)), ["F", "D"], "D expired 30 seconds later");
    }

    #[test]
    fn an_inherited_state_permits_no_early_refresh() {
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
