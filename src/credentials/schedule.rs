//! When to load credentials, and how long they last: pure functions of what happened.

use std::time::{Duration, SystemTime};

use crate::presign::credentials::Credentials;

/// The longest time before their end that credentials are renewed. IMDS has new ones at least five minutes before.
///
/// Source: [Retrieve security credentials](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html).
const MOST_AHEAD: Duration = Duration::from_mins(15);

/// The shortest time between two loads that succeed, so that credentials which do not get any newer do not spin.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// The longest time between two loads near the end, while the provider has nothing newer.
const LONGEST_WAIT_FOR_NEWER: Duration = Duration::from_mins(1);

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A signer's credentials are loaded early, for requests that outlive them, once in this time at most.
const EARLY_EVERY: Duration = Duration::from_mins(1);

/// The longest time between two such loads, while the provider has nothing newer.
const LONGEST_EARLY_EVERY: Duration = Duration::from_mins(15);

/// The longest that a session of STS lasts: what `GetSessionToken` gives to an IAM user.
///
/// Source: `DurationSeconds` of [GetSessionToken](https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html).
pub const LONGEST_SESSION: Duration = Duration::from_hours(36);

/// What an attempt to load credentials came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshOutcome {
    /// There are other credentials than before, or the same for longer.
    Renewed,
    /// They are those that were there already: so many times in a row.
    NotNewer {
        /// From 1.
        times: u32,
    },
    /// There are none, or only such as have ended: so many times in a row.
    Failed {
        /// From 1.
        times: u32,
    },
}

/// How long to wait for the next attempt; `None` when only a changed file or an operator can bring something new.
///
/// Credentials are renewed when a quarter of their time is left, fifteen minutes at most. While the provider has nothing
/// newer near the end, or fails, the time between attempts doubles, and never passes what is left by much. `jitter` (0 to
/// 1) spreads a fleet: by a tenth of the time ahead, by half of the time between attempts.
pub fn next_attempt(
    outcome: RefreshOutcome,
    ends_at: Option<SystemTime>,
    now: SystemTime,
    jitter: f64,
) -> Option<Duration> {
    let jitter = jitter.clamp(0.0, 1.0);
    let left = ends_at.map(|end| end.duration_since(now).unwrap_or_default());
    match outcome {
        RefreshOutcome::Renewed => left.map(|left| until_renewal(left, jitter)),
        RefreshOutcome::NotNewer { times } => left.map(|left| {
            // Not yet so near the end that a renewal was due, jitter and all.
            if left > MOST_AHEAD + MOST_AHEAD / 10 {
                return until_renewal(left, jitter);
            }
            let wait = doubled(LEAST_WAIT, times, LONGEST_WAIT_FOR_NEWER).mul_f64(1.0 - jitter / 2.0);
            wait.min(left / 2).max(LEAST_WAIT)
        }),
        RefreshOutcome::Failed { times } => {
            let wait = doubled(FIRST_RETRY, times, LONGEST_RETRY).mul_f64(1.0 - jitter / 2.0);
            let before_the_end = left.filter(|left| !left.is_zero()).map(|left| (left / 2).max(LEAST_WAIT));
            Some(before_the_end.map_or(wait, |most| wait.min(most)))
        }
    }
}

fn until_renewal(left: Duration, jitter: f64) -> Duration {
    let ahead = (left / 4).min(MOST_AHEAD);
    left.saturating_sub(ahead + ahead.mul_f64(jitter / 10.0)).max(LEAST_WAIT)
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(longest)
}

/// What loaded credentials are, beside those that are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadOutcome {
    /// Others than before, or the same for longer.
    Newer,
    /// The same for as long, or for less.
    NotNewer,
    /// They have ended, or end within the second.
    Expired,
}

/// Judges loaded credentials. The provider has the last word: other credentials count although they end sooner.
pub fn compare(held: Option<&Credentials>, loaded: &Credentials, now: SystemTime) -> LoadOutcome {
    let lasts_longer = |held: &Credentials| match (held.expires_at(), loaded.expires_at()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    match held {
        _ if !loaded.is_usable_at(now) => LoadOutcome::Expired,
        Some(held) if loaded.is_same_as(held) && !lasts_longer(held) => LoadOutcome::NotNewer,
        _ => LoadOutcome::Newer,
    }
}

/// When credentials surely end whose provider does not say so: those of AWS with a session token, 36 hours after they were
/// seen first. Those of an IAM user do not, and how long a session of another server lasts is that server's affair.
///
/// `is_at_aws` tells whether they are used at AWS. Keys that begin with `ASIA` are AWS's wherever they are used.
///
/// Source of that: [IAM unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
pub fn presumed_end(
    held: Option<&Credentials>,
    loaded: &Credentials,
    is_at_aws: bool,
    now: SystemTime,
) -> Option<SystemTime> {
    let is_of_aws = is_at_aws || loaded.access_key_id().starts_with("ASIA");
    if loaded.expires_at().is_some() || !loaded.is_temporary() || !is_of_aws {
        return loaded.expires_at();
    }
    let first_seen = held.filter(|held| loaded.is_same_as(held)).and_then(Credentials::expires_at);
    Some(first_seen.unwrap_or(now + LONGEST_SESSION))
}

/// Whether newer credentials would help a request that asks for more time than these have left.
///
/// They would when they can last as long as is asked, or at least a tenth longer than these. `lifetime` is what the
/// credentials had when they were loaded, and what newer ones can be expected to have.
pub fn newer_would_help(asked: Duration, left: Duration, lifetime: Duration) -> bool {
    asked > left && (asked <= lifetime || lifetime.saturating_sub(left) >= lifetime / 10)
}

/// How long after an attempt credentials may be loaded early again. A provider that had nothing newer is asked ever less
/// often: that of EC2 has nothing newer for hours.
pub fn early_interval(before: Duration, newer: bool) -> Duration {
    if newer { EARLY_EVERY } else { (before * 2).clamp(EARLY_EVERY, LONGEST_EARLY_EVERY) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::presign::credentials::Secret;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[expect(clippy::unnecessary_wraps, reason = "an end is optional wherever it is told")]
    fn in_seconds(seconds: u64) -> Option<SystemTime> {
        Some(NOW + Duration::from_secs(seconds))
    }

    fn credentials(key: &str, token: Option<&str>, end: Option<SystemTime>) -> Credentials {
        let secret = |text: &str| Secret::from(text.to_owned());
        Credentials::new(key.to_owned(), secret("secret"), token.map(secret), end)
    }

    #[test]
    fn credentials_are_renewed_well_before_they_end() {
        for (left, wait) in [(3_600, 2_700), (43_200, 42_300), (60, 45), (0, 1)] {
            let next = next_attempt(RefreshOutcome::Renewed, in_seconds(left), NOW, 0.0);
            assert_eq!(next, Some(Duration::from_secs(wait)), "{left}");
        }
    }

    #[test]
    fn credentials_that_do_not_end_are_not_asked_for_again_but_for_a_reason() {
        for outcome in [RefreshOutcome::Renewed, RefreshOutcome::NotNewer { times: 3 }] {
            assert_eq!(next_attempt(outcome, None, NOW, 0.5), None);
        }
    }

    #[test]
    fn nothing_newer_near_the_end_is_asked_for_ever_less_often() {
        let waits =
            (1..=8).map(|times| next_attempt(RefreshOutcome::NotNewer { times }, in_seconds(900), NOW, 0.0));
        let seconds: Vec<u64> = waits.map(|wait| wait.unwrap().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    fn any_outcome() -> impl Strategy<Value = RefreshOutcome> {
        prop_oneof![
            Just(RefreshOutcome::Renewed),
            (1_u32..1_000).prop_map(|times| RefreshOutcome::NotNewer { times }),
            (1_u32..1_000).prop_map(|times| RefreshOutcome::Failed { times }),
        ]
    }

    proptest! {
        #[test]
        fn no_outcome_spins(outcome in any_outcome(), left in 0_u64..10_000_000, jitter in 0.0..=1.0) {
            let wait = next_attempt(outcome, in_seconds(left), NOW, jitter).unwrap();
            let least = if matches!(outcome, RefreshOutcome::Failed { .. }) { FIRST_RETRY / 2 } else { LEAST_WAIT };
            prop_assert!(wait >= least, "{wait:?}");
        }

        #[test]
        fn the_next_attempt_comes_before_the_end_while_there_is_time(
            outcome in any_outcome(), left in 3_u64..10_000_000, jitter in 0.0..=1.0,
        ) {
            let wait = next_attempt(outcome, in_seconds(left), NOW, jitter).unwrap();
            prop_assert!(wait < Duration::from_secs(left), "{wait:?}");
        }

        #[test]
        fn wherever_a_clock_jumps_to_the_next_attempt_is_neither_past_the_end_nor_later_than_a_retry(
            outcome in any_outcome(), left in 0_u64..100_000, jump in 0_u64..100_000, jitter in 0.0..=1.0,
        ) {
            let later = NOW + Duration::from_secs(jump);
            let wait = next_attempt(outcome, in_seconds(left), later, jitter).unwrap();
            let left = Duration::from_secs(left.saturating_sub(jump));
            prop_assert!(wait <= left.max(LONGEST_RETRY), "{wait:?}");
        }

        #[test]
        fn a_failure_waits_longer_each_time_up_to_a_bound(times in 1_u32..1_000, jitter in 0.0..=1.0) {
            let wait = |times| next_attempt(RefreshOutcome::Failed { times }, None, NOW, jitter).unwrap();
            prop_assert!(wait(times) >= FIRST_RETRY / 2 && wait(times) <= LONGEST_RETRY);
            prop_assert!(wait(times + 1) >= wait(times));
        }

        #[test]
        fn newer_credentials_never_help_what_these_can_do(
            asked in 0_u64..1_000_000, left in 0_u64..1_000_000, lifetime in 0_u64..1_000_000,
        ) {
            let [asked, left, lifetime] = [asked, left, lifetime].map(Duration::from_secs);
            let helps = newer_would_help(asked, left, lifetime);
            prop_assert!(!helps || (asked > left && (lifetime > left || asked <= lifetime)));
        }
    }

    #[test]
    fn newer_credentials_help_when_they_can_last_as_long_as_is_asked_or_notably_longer() {
        let minutes = Duration::from_mins;
        for (asked, left, lifetime, helps) in [
            (30, 45, 60, false),
            (50, 45, 60, true),
            (60, 59, 60, true),
            (720, 59, 60, false),
            (720, 54, 60, true),
            (720, 60, 60, false),
        ] {
            let said = newer_would_help(minutes(asked), minutes(left), minutes(lifetime));
            assert_eq!(said, helps, "{asked} asked, {left} of {lifetime} left");
        }
    }

    #[test]
    fn a_provider_with_nothing_newer_is_asked_early_ever_less_often() {
        let mut interval = early_interval(Duration::ZERO, true);
        let mut minutes = Vec::new();
        for newer in [false, false, false, false, false, true, false] {
            interval = early_interval(interval, newer);
            minutes.push(interval.as_secs() / 60);
        }
        assert_eq!(minutes, [2, 4, 8, 15, 15, 1, 2]);
    }

    #[test]
    fn what_is_loaded_is_judged_beside_what_is_held() {
        let held = credentials("A", Some("t"), in_seconds(100));
        for (loaded, outcome) in [
            (credentials("A", Some("t"), in_seconds(100)), LoadOutcome::NotNewer),
            (credentials("A", Some("t"), in_seconds(50)), LoadOutcome::NotNewer),
            (credentials("A", Some("t"), in_seconds(101)), LoadOutcome::Newer),
            (credentials("A", Some("t"), None), LoadOutcome::Newer),
            (credentials("A", Some("u"), in_seconds(100)), LoadOutcome::Newer),
            (credentials("B", None, in_seconds(50)), LoadOutcome::Newer),
            (credentials("B", None, in_seconds(0)), LoadOutcome::Expired),
        ] {
            assert_eq!(compare(Some(&held), &loaded, NOW), outcome, "{loaded:?}");
        }
        assert_eq!(compare(None, &held, NOW), LoadOutcome::Newer);
        assert_eq!(compare(None, &held, NOW + Duration::from_secs(100)), LoadOutcome::Expired);
    }

    #[test]
    fn a_session_whose_end_nobody_told_ends_36_hours_after_it_was_seen_first() {
        let session = credentials("A", Some("t"), None);
        let end = Some(NOW + LONGEST_SESSION);
        let at_aws =
            |held: Option<&Credentials>, loaded: &Credentials, now| presumed_end(held, loaded, true, now);
        assert_eq!(at_aws(None, &session, NOW), end);
        let later = NOW + Duration::from_hours(35);
        let held = credentials("A", Some("t"), end);
        assert_eq!(at_aws(Some(&held), &session, later), end, "seeing it again makes it no younger");
        let other = credentials("A", Some("u"), None);
        assert_eq!(at_aws(Some(&held), &other, later), Some(later + LONGEST_SESSION));
        assert_eq!(at_aws(None, &credentials("A", None, None), NOW), None);
        assert_eq!(at_aws(None, &credentials("A", Some("t"), in_seconds(5)), NOW), in_seconds(5));
        assert_eq!(presumed_end(None, &session, false, NOW), None, "a session of another server");
        let of_aws = credentials("ASIAX", Some("t"), None);
        assert_eq!(presumed_end(None, &of_aws, false, NOW), end, "AWS by way of a private link");
    }
}
