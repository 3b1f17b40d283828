//! When to load credentials again, and when they expire: pure functions of the outcome, the expiry and the time.

use std::time::{Duration, SystemTime};

use crate::presign::credentials::Credentials;

/// Credentials are renewed at most this long before they expire, plus jitter. IMDS offers new ones at least five
/// minutes before.
///
/// Source: [Retrieve security credentials](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html).
const MAX_RENEWAL_LEAD: Duration = Duration::from_mins(15);

/// The shortest delay after a load that succeeded, so that a provider without newer credentials causes no busy loop.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// The longest delay near the expiry while the provider has no newer credentials.
const MAX_DELAY_WITHOUT_NEWER: Duration = Duration::from_mins(1);

/// The delay after the first failure, before jitter. It doubles with each further failure.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);

/// The longest delay after a failure.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The shortest time between two early refreshes of a signer.
const MIN_EARLY_INTERVAL: Duration = Duration::from_mins(1);

/// The longest time between two early refreshes, while the provider has no newer credentials.
const MAX_EARLY_INTERVAL: Duration = Duration::from_mins(15);

/// The longest lifetime of an STS session: that of `GetSessionToken` for an IAM user.
///
/// Source: `DurationSeconds` of [GetSessionToken](https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html).
pub const MAX_SESSION_LIFETIME: Duration = Duration::from_hours(36);

/// The outcome of an attempt to load credentials, with repetitions counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshOutcome {
    /// Other credentials than before, or the same with a later expiry.
    Renewed,
    /// The credentials that were known already.
    NotNewer {
        /// How many times in a row, from 1.
        times: u32,
    },
    /// No credentials, or expired ones.
    Failed {
        /// How many times in a row, from 1.
        times: u32,
    },
}

/// The delay before the next attempt; `None` if only a changed file or an operator can bring newer credentials.
///
/// Credentials are renewed when a quarter of their lifetime is left, but no earlier than 15 minutes before they expire.
/// While the provider fails, or has no newer credentials near the expiry, the delay doubles. Until the expiry it is at
/// most half of the remaining lifetime, but no less than one second. `jitter` (0 to 1) spreads the load of a fleet: it
/// makes a renewal up to a tenth of its lead earlier, and a retry up to half of its delay.
pub fn next_attempt_delay(
    outcome: RefreshOutcome,
    expires_at: Option<SystemTime>,
    now: SystemTime,
    jitter: f64,
) -> Option<Duration> {
    let jitter = jitter.clamp(0.0, 1.0);
    let left = expires_at.map(|expiry| expiry.duration_since(now).unwrap_or_default());
    match outcome {
        RefreshOutcome::Renewed => left.map(|left| renewal_delay(left, jitter)),
        RefreshOutcome::NotNewer { times } => left.map(|left| {
            // Too early for a renewal, even with full jitter.
            if left > MAX_RENEWAL_LEAD + MAX_RENEWAL_LEAD / 10 {
                return renewal_delay(left, jitter);
            }
            let wait = back_off(MIN_DELAY, times, MAX_DELAY_WITHOUT_NEWER).mul_f64(1.0 - jitter / 2.0);
            wait.min(left / 2).max(MIN_DELAY)
        }),
        RefreshOutcome::Failed { times } => {
            let wait = back_off(FIRST_RETRY_DELAY, times, MAX_RETRY_DELAY).mul_f64(1.0 - jitter / 2.0);
            let half_left = left.filter(|left| !left.is_zero()).map(|left| (left / 2).max(MIN_DELAY));
            Some(half_left.map_or(wait, |limit| wait.min(limit)))
        }
    }
}

fn renewal_delay(left: Duration, jitter: f64) -> Duration {
    let lead = (left / 4).min(MAX_RENEWAL_LEAD);
    left.saturating_sub(lead + lead.mul_f64(jitter / 10.0)).max(MIN_DELAY)
}

fn back_off(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(max)
}

/// How loaded credentials compare with the current ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadOutcome {
    /// Other credentials, or the same with a later expiry.
    Newer,
    /// The same credentials without a later expiry.
    NotNewer,
    /// They have expired, or expire within a second.
    Expired,
}

/// Compares loaded credentials with the current ones. Other credentials count as newer even if they expire earlier: the
/// provider decides.
pub fn compare(current: Option<&Credentials>, loaded: &Credentials, now: SystemTime) -> LoadOutcome {
    let lasts_longer = |current: &Credentials| match (current.expires_at(), loaded.expires_at()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    match current {
        _ if !loaded.is_usable_at(now) => LoadOutcome::Expired,
        Some(current) if loaded.is_same_as(current) && !lasts_longer(current) => LoadOutcome::NotNewer,
        _ => LoadOutcome::Newer,
    }
}

/// The expiry of loaded credentials. If the provider gives none, AWS credentials with a session token are assumed to
/// expire 36 hours after presignd first loaded them. Those of an IAM user do not expire, and the lifetime of a session
/// of another server is unknown: both get `None`.
///
/// `known` are the credentials loaded before. `is_at_aws` says whether the signer uses an AWS endpoint. An access key
/// ID that begins with `ASIA` is of AWS STS, whatever the endpoint.
///
/// Source: [IAM unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
pub fn resolve_expiry(
    known: Option<&Credentials>,
    loaded: &Credentials,
    is_at_aws: bool,
    now: SystemTime,
) -> Option<SystemTime> {
    let is_of_aws = is_at_aws || loaded.access_key_id().starts_with("ASIA");
    if loaded.expires_at().is_some() || !loaded.is_temporary() || !is_of_aws {
        return loaded.expires_at();
    }
    let assumed_before = known.filter(|known| loaded.is_same_as(known)).and_then(Credentials::expires_at);
    Some(assumed_before.unwrap_or(now + MAX_SESSION_LIFETIME))
}

/// Whether newer credentials would help a request that needs a longer lifetime than the current ones have left.
///
/// They help if they are expected to last as long as requested, or longer than the current ones by at least a tenth of
/// `lifetime`. `lifetime` is that of the current credentials when they were loaded: newer ones are expected to have the
/// same.
pub fn would_refresh_help(requested: Duration, left: Duration, lifetime: Duration) -> bool {
    requested > left && (requested <= lifetime || lifetime.saturating_sub(left) >= lifetime / 10)
}

/// The time from an attempt to the next permitted early refresh. It doubles while the provider has no newer
/// credentials: IMDS can have none for hours.
pub fn next_early_interval(previous: Duration, was_renewed: bool) -> Duration {
    if was_renewed {
        MIN_EARLY_INTERVAL
    } else {
        (previous * 2).clamp(MIN_EARLY_INTERVAL, MAX_EARLY_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::presign::credentials::Secret;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[expect(clippy::unnecessary_wraps, reason = "an expiry is optional wherever it is passed")]
    fn in_seconds(seconds: u64) -> Option<SystemTime> {
        Some(NOW + Duration::from_secs(seconds))
    }

    fn credentials(key: &str, token: Option<&str>, end: Option<SystemTime>) -> Credentials {
        let secret = |text: &str| Secret::from(text.to_owned());
        Credentials::new(key.to_owned(), secret("secret"), token.map(secret), end)
    }

    #[test]
    fn credentials_are_renewed_before_they_expire() {
        for (left, wait) in [(3_600, 2_700), (43_200, 42_300), (60, 45), (0, 1)] {
            let next = next_attempt_delay(RefreshOutcome::Renewed, in_seconds(left), NOW, 0.0);
            assert_eq!(next, Some(Duration::from_secs(wait)), "{left}");
        }
    }

    #[test]
    fn credentials_without_expiry_are_not_renewed() {
        for outcome in [RefreshOutcome::Renewed, RefreshOutcome::NotNewer { times: 3 }] {
            assert_eq!(next_attempt_delay(outcome, None, NOW, 0.5), None);
        }
    }

    #[test]
    fn delays_double_near_the_expiry_without_newer_credentials() {
        let waits = (1..=8)
            .map(|times| next_attempt_delay(RefreshOutcome::NotNewer { times }, in_seconds(900), NOW, 0.0));
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
        fn no_outcome_causes_a_busy_loop(outcome in any_outcome(), left in 0_u64..10_000_000, jitter in 0.0..=1.0) {
            let wait = next_attempt_delay(outcome, in_seconds(left), NOW, jitter).unwrap();
            let least = if matches!(outcome, RefreshOutcome::Failed { .. }) { FIRST_RETRY_DELAY / 2 } else { MIN_DELAY };
            prop_assert!(wait >= least, "{wait:?}");
        }

        #[test]
        fn the_next_attempt_comes_before_the_expiry(
            outcome in any_outcome(), left in 3_u64..10_000_000, jitter in 0.0..=1.0,
        ) {
            let wait = next_attempt_delay(outcome, in_seconds(left), NOW, jitter).unwrap();
            prop_assert!(wait < Duration::from_secs(left), "{wait:?}");
        }

        #[test]
        fn the_delay_is_bounded_after_a_clock_jump(
            outcome in any_outcome(), left in 0_u64..100_000, jump in 0_u64..100_000, jitter in 0.0..=1.0,
        ) {
            let later = NOW + Duration::from_secs(jump);
            let wait = next_attempt_delay(outcome, in_seconds(left), later, jitter).unwrap();
            let left = Duration::from_secs(left.saturating_sub(jump));
            prop_assert!(wait <= left.max(MAX_RETRY_DELAY), "{wait:?}");
        }

        #[test]
        fn retry_delays_grow_up_to_the_limit(times in 1_u32..1_000, jitter in 0.0..=1.0) {
            let wait = |times| next_attempt_delay(RefreshOutcome::Failed { times }, None, NOW, jitter).unwrap();
            prop_assert!(wait(times) >= FIRST_RETRY_DELAY / 2 && wait(times) <= MAX_RETRY_DELAY);
            prop_assert!(wait(times + 1) >= wait(times));
        }

        #[test]
        fn no_refresh_helps_a_request_that_current_credentials_outlast(
            requested in 0_u64..1_000_000, left in 0_u64..1_000_000, lifetime in 0_u64..1_000_000,
        ) {
            let [requested, left, lifetime] = [requested, left, lifetime].map(Duration::from_secs);
            let helps = would_refresh_help(requested, left, lifetime);
            prop_assert!(!helps || (requested > left && (lifetime > left || requested <= lifetime)));
        }
    }

    #[test]
    fn a_refresh_helps_only_with_enough_additional_lifetime() {
        let minutes = Duration::from_mins;
        for (requested, left, lifetime, helps) in [
            (30, 45, 60, false),
            (50, 45, 60, true),
            (60, 59, 60, true),
            (720, 59, 60, false),
            (720, 54, 60, true),
            (720, 60, 60, false),
        ] {
            let actual = would_refresh_help(minutes(requested), minutes(left), minutes(lifetime));
            assert_eq!(actual, helps, "{requested} requested, {left} of {lifetime} left");
        }
    }

    #[test]
    fn the_early_interval_doubles_without_newer_credentials() {
        let mut interval = next_early_interval(Duration::ZERO, true);
        let mut minutes = Vec::new();
        for newer in [false, false, false, false, false, true, false] {
            interval = next_early_interval(interval, newer);
            minutes.push(interval.as_secs() / 60);
        }
        assert_eq!(minutes, [2, 4, 8, 15, 15, 1, 2]);
    }

    #[test]
    fn loaded_credentials_are_compared_with_the_current_ones() {
        let current = credentials("A", Some("t"), in_seconds(100));
        for (loaded, outcome) in [
            (credentials("A", Some("t"), in_seconds(100)), LoadOutcome::NotNewer),
            (credentials("A", Some("t"), in_seconds(50)), LoadOutcome::NotNewer),
            (credentials("A", Some("t"), in_seconds(101)), LoadOutcome::Newer),
            (credentials("A", Some("t"), None), LoadOutcome::Newer),
            (credentials("A", Some("u"), in_seconds(100)), LoadOutcome::Newer),
            (credentials("B", None, in_seconds(50)), LoadOutcome::Newer),
            (credentials("B", None, in_seconds(0)), LoadOutcome::Expired),
        ] {
            assert_eq!(compare(Some(&current), &loaded, NOW), outcome, "{loaded:?}");
        }
        assert_eq!(compare(None, &current, NOW), LoadOutcome::Newer);
        assert_eq!(compare(None, &current, NOW + Duration::from_secs(100)), LoadOutcome::Expired);
    }

    #[test]
    fn a_session_without_expiry_expires_after_36_hours() {
        let session = credentials("A", Some("t"), None);
        let end = Some(NOW + MAX_SESSION_LIFETIME);
        let at_aws = |current: Option<&Credentials>, loaded: &Credentials, now| {
            resolve_expiry(current, loaded, true, now)
        };
        assert_eq!(at_aws(None, &session, NOW), end);
        let later = NOW + Duration::from_hours(35);
        let current = credentials("A", Some("t"), end);
        assert_eq!(at_aws(Some(&current), &session, later), end, "loading it again does not extend it");
        let other = credentials("A", Some("u"), None);
        assert_eq!(at_aws(Some(&current), &other, later), Some(later + MAX_SESSION_LIFETIME));
        assert_eq!(at_aws(None, &credentials("A", None, None), NOW), None);
        assert_eq!(at_aws(None, &credentials("A", Some("t"), in_seconds(5)), NOW), in_seconds(5));
        assert_eq!(resolve_expiry(None, &session, false, NOW), None, "a session of another server");
        let of_aws = credentials("ASIAX", Some("t"), None);
        assert_eq!(resolve_expiry(None, &of_aws, false, NOW), end, "AWS through a private endpoint");
    }
}
