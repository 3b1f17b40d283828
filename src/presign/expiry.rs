//! How long a URL works: one pure function decides, and says why.

use std::time::{Duration, SystemTime};

use thiserror::Error;

/// The longest that AWS lets a SigV4 URL work: seven days.
///
/// Source: `X-Amz-Expires` in
/// [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
pub const SERVICE_MAXIMUM: Seconds = Seconds(7 * 24 * 60 * 60);

/// Whole seconds, at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(u64);

impl Seconds {
    /// One second.
    pub const ONE: Self = Self(1);

    /// A duration rounded down to whole seconds, when at least one is left.
    pub fn rounded_down(duration: Duration) -> Option<Self> {
        (duration.as_secs() >= 1).then_some(Self(duration.as_secs()))
    }

    /// The number of seconds.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The same as a duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Why a URL works for less time than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClampReason {
    /// It does not.
    None,
    /// AWS allows seven days.
    ServiceMaximum,
    /// `expiry.max` of this server.
    ServerMaximum,
    /// `max_expiry` of the rule that allowed the request.
    PolicyMaximum,
    /// The credentials end first.
    CredentialExpiry,
    /// The S3 Express session ends first.
    SessionExpiry,
}

impl ClampReason {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ServiceMaximum => "service_maximum",
            Self::ServerMaximum => "server_maximum",
            Self::PolicyMaximum => "policy_maximum",
            Self::CredentialExpiry => "credential_expiry",
            Self::SessionExpiry => "session_expiry",
        }
    }
}

/// Everything beside the wish that bounds how long a URL works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// `expiry.max` of this server.
    pub server: Seconds,
    /// `max_expiry` of the rule that allowed the request.
    pub policy: Option<Seconds>,
    /// When the credentials end; credentials of an IAM user do not.
    pub credentials: Option<SystemTime>,
    /// When the S3 Express session ends.
    pub session: Option<SystemTime>,
}

/// What is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// `X-Amz-Expires`.
    pub granted: Seconds,
    /// Which bound it equals, or `None` when it equals the wish.
    pub reason: ClampReason,
}

/// A part of the time in which the same request gives the same URL: every URL is signed at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    begins_at: SystemTime,
    length: Seconds,
    /// What of it has passed, in whole seconds.
    passed: u64,
}

impl Window {
    /// The window of this length that a time is in: they lie one behind the other from the Unix epoch on.
    pub fn at(time: SystemTime, length: Seconds) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let passed = since % length.get();
        let begins_at = SystemTime::UNIX_EPOCH + Duration::from_secs(since - passed);
        Self { begins_at, length, passed }
    }

    /// `X-Amz-Date` of its URLs.
    pub fn begins_at(&self) -> SystemTime {
        self.begins_at
    }

    /// Whether the window is shorter than its URLs work by the bounds that stand, whatever the credentials.
    ///
    /// # Errors
    /// [`WindowError::TooLong`] wherever in the window we are, so that a caller does not learn it only late in one.
    pub fn check(&self, requested: Seconds, bounds: &Bounds) -> Result<(), WindowError> {
        let standing = Bounds { credentials: None, session: None, ..*bounds };
        let lasting = clamp(requested, &standing, self.begins_at)?;
        if lasting.granted <= self.length {
            return Err(WindowError::TooLong { window: self.length, lasting });
        }
        Ok(())
    }

    /// How long a URL works that is handed out now, when so much was granted from the beginning of the window.
    ///
    /// # Errors
    /// As [`Self::check`]; [`WindowError::Expired`] when credentials or session end now.
    pub fn left_of(&self, grant: Grant, requested: Seconds, bounds: &Bounds) -> Result<Grant, WindowError> {
        self.check(requested, bounds)?;
        let left = grant.granted.get().saturating_sub(self.passed);
        let granted = Seconds::rounded_down(Duration::from_secs(left)).ok_or(Expired)?;
        Ok(Grant { granted, ..grant })
    }
}

/// Why no URL is handed out in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WindowError {
    /// A URL handed out at its end would work no more.
    #[error("the window is not shorter than the lifetime of its URLs")]
    TooLong {
        /// How long the window is.
        window: Seconds,
        /// How long its URLs work, from its beginning on, whatever the credentials.
        lasting: Grant,
    },
    /// The credentials or the session have less than a second left.
    #[error(transparent)]
    Expired(#[from] Expired),
}

/// The credentials (or the session) have less than one second left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the credentials have expired")]
pub struct Expired;

/// The earliest of the wish and every bound, from `signed_at` on.
///
/// The wish wins a tie; among bounds, the one listed first in [`ClampReason`].
///
/// # Errors
/// [`Expired`] when the credentials or the session have less than a second left: no URL works then.
pub fn clamp(requested: Seconds, bounds: &Bounds, signed_at: SystemTime) -> Result<Grant, Expired> {
    let until = |end: Option<SystemTime>| -> Result<Option<Seconds>, Expired> {
        end.map(|end| {
            let left = end.duration_since(signed_at).unwrap_or_default();
            Seconds::rounded_down(left).ok_or(Expired)
        })
        .transpose()
    };
    let limits = [
        (Some(SERVICE_MAXIMUM), ClampReason::ServiceMaximum),
        (Some(bounds.server), ClampReason::ServerMaximum),
        (bounds.policy, ClampReason::PolicyMaximum),
        (until(bounds.credentials)?, ClampReason::CredentialExpiry),
        (until(bounds.session)?, ClampReason::SessionExpiry),
    ];
    let wish = Grant { granted: requested, reason: ClampReason::None };
    Ok(limits.into_iter().fold(wish, |grant, (limit, reason)| match limit {
        Some(limit) if limit < grant.granted => Grant { granted: limit, reason },
        _ => grant,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const FREE: Bounds = Bounds { server: SERVICE_MAXIMUM, policy: None, credentials: None, session: None };

    fn after(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn the_earliest_bound_wins_and_is_named() {
        let rows = [
            (900, FREE, 900, ClampReason::None),
            (604_800, FREE, 604_800, ClampReason::None),
            (604_801, FREE, 604_800, ClampReason::ServiceMaximum),
            (900, Bounds { server: Seconds(60), ..FREE }, 60, ClampReason::ServerMaximum),
            (900, Bounds { policy: Some(Seconds(30)), ..FREE }, 30, ClampReason::PolicyMaximum),
            (
                43_200,
                Bounds { credentials: Some(after(3_600)), ..FREE },
                3_600,
                ClampReason::CredentialExpiry,
            ),
            (43_200, Bounds { session: Some(after(300)), ..FREE }, 300, ClampReason::SessionExpiry),
            (3_600, Bounds { credentials: Some(after(3_600)), ..FREE }, 3_600, ClampReason::None),
            (
                43_200,
                Bounds { server: Seconds(3_600), credentials: Some(after(3_600)), ..FREE },
                3_600,
                ClampReason::ServerMaximum,
            ),
        ];
        for (requested, bounds, granted, reason) in rows {
            let grant = clamp(Seconds(requested), &bounds, NOW).unwrap();
            assert_eq!(grant, Grant { granted: Seconds(granted), reason }, "{requested} with {bounds:?}");
        }
    }

    #[test]
    fn windows_lie_one_behind_the_other_from_the_epoch_on() {
        let minute = Seconds(60);
        for (time, begins, passed) in [(0, 0, 0), (59, 0, 59), (60, 60, 0), (1_000_000_019, 999_999_960, 59)]
        {
            let window = Window::at(after(time) + Duration::from_millis(999), minute);
            assert_eq!(window, Window { begins_at: after(begins), length: minute, passed }, "{time}");
        }
    }

    #[test]
    fn what_has_passed_of_a_window_is_not_left() {
        let window = Window::at(after(3_600 + 600), Seconds(3_600));
        let left = |requested, bounds: &Bounds| {
            let grant = clamp(Seconds(requested), bounds, window.begins_at()).unwrap();
            window.left_of(grant, Seconds(requested), bounds).map(|left| (left.granted.get(), left.reason))
        };
        assert_eq!(left(3_601, &FREE), Ok((3_001, ClampReason::None)));
        let ending = |seconds| Bounds { credentials: Some(after(seconds)), ..FREE };
        assert_eq!(left(7_200, &ending(4_500)), Ok((300, ClampReason::CredentialExpiry)));
        assert_eq!(left(7_200, &ending(4_200)), Err(WindowError::Expired(Expired)));
        let short = Bounds { server: Seconds(3_600), ..FREE };
        for (requested, bounds) in [(3_600, &FREE), (60, &FREE), (7_200, &short)] {
            assert!(matches!(left(requested, bounds), Err(WindowError::TooLong { .. })), "{requested}");
        }
    }

    #[test]
    fn a_second_that_the_credentials_do_not_last_is_not_granted() {
        let end = NOW + Duration::from_millis(1_999);
        let grant = clamp(Seconds(10), &Bounds { credentials: Some(end), ..FREE }, NOW).unwrap();
        assert_eq!(grant.granted, Seconds::ONE);
        for left in [0, 999] {
            let end = Some(NOW + Duration::from_millis(left));
            assert_eq!(clamp(Seconds(10), &Bounds { credentials: end, ..FREE }, NOW), Err(Expired));
        }
        let past = Some(NOW - Duration::from_secs(5));
        assert_eq!(clamp(Seconds(10), &Bounds { credentials: past, ..FREE }, NOW), Err(Expired));
    }
}
