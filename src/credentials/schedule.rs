//! When to load credentials next: pure functions of what happened.

use std::time::{Duration, SystemTime};

/// The longest time before their end that credentials are renewed. IMDS has new ones at least five minutes before.
///
/// Source: [Retrieve security credentials](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html).
const MOST_AHEAD: Duration = Duration::from_mins(15);

/// The shortest time between two loads that succeed, so that credentials which do not get any newer do not spin.
const LEAST_WAIT: Duration = Duration::from_secs(1);

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// How long to wait after a load that succeeded; `None` for credentials that do not end.
///
/// They are renewed when a quarter of their time is left, fifteen minutes at most. `jitter` (0 to 1) spreads that by
/// a tenth, so that a fleet does not ask at the same moment.
pub fn after_success(expires_at: Option<SystemTime>, now: SystemTime, jitter: f64) -> Option<Duration> {
    let left = expires_at?.duration_since(now).unwrap_or_default();
    let ahead = (left / 4).min(MOST_AHEAD);
    let spread = ahead.mul_f64(jitter.clamp(0.0, 1.0) / 10.0);
    Some(left.saturating_sub(ahead + spread).max(LEAST_WAIT))
}

/// How long to wait after `failures` loads in a row that failed: doubling, with `jitter` (0 to 1) taking off up to
/// half.
pub fn after_failure(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let longest = doubled.min(LONGEST_RETRY);
    longest.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn credentials_are_renewed_well_before_they_end() {
        for (left, wait) in [(3_600, 2_700), (43_200, 42_300), (60, 45), (0, 1)] {
            let end = Some(NOW + Duration::from_secs(left));
            assert_eq!(after_success(end, NOW, 0.0), Some(Duration::from_secs(wait)), "{left}");
        }
        assert_eq!(after_success(None, NOW, 0.5), None);
    }

    proptest::proptest! {
        #[test]
        fn a_success_never_spins_and_never_waits_past_the_end(left in 2_u64..10_000_000, jitter in 0.0..1.0) {
            let end = Some(NOW + Duration::from_secs(left));
            let wait = after_success(end, NOW, jitter).unwrap();
            assert!(wait >= LEAST_WAIT && wait < Duration::from_secs(left));
        }

        #[test]
        fn a_failure_waits_longer_each_time_up_to_a_bound(failures in 1_u32..1_000, jitter in 0.0..1.0) {
            let wait = after_failure(failures, jitter);
            assert!(wait >= FIRST_RETRY / 2 && wait <= LONGEST_RETRY);
            assert!(after_failure(failures + 1, jitter) >= wait);
        }
    }
}
