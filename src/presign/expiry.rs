//! The lifetime of a URL: what is granted, and which limit reduced it.

use std::time::{Duration, SystemTime};

use thiserror::Error;

/// The longest lifetime of a SigV4 URL that AWS allows: seven days.
///
/// Source: `X-Amz-Expires` in
/// [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
pub const SERVICE_MAXIMUM: Seconds = Seconds(7 * 24 * 60 * 60);

/// A number of whole seconds, at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(u64);

impl Seconds {
    /// One second.
    pub const ONE: Self = Self(1);

    /// A duration rounded down to whole seconds; none if it is under one second.
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

/// Why a URL has a shorter lifetime than requested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClampReason {
    /// It has the requested lifetime.
    None,
    /// The maximum of AWS, [`SERVICE_MAXIMUM`].
    ServiceMaximum,
    /// `expiry.max` of this server.
    ServerMaximum,
    /// `max_expiry` of the rule that allows the request.
    PolicyMaximum,
    /// The credentials expire first.
    CredentialExpiry,
    /// The S3 Express session expires first.
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

/// The limits of a URL's lifetime, apart from [`SERVICE_MAXIMUM`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// `expiry.max` of this server.
    pub server: Seconds,
    /// `max_expiry` of the rule that allows the request.
    pub policy: Option<Seconds>,
    /// When the credentials expire; none for those of an IAM user.
    pub credentials: Option<SystemTime>,
    /// When the S3 Express session expires.
    pub session: Option<SystemTime>,
}

/// The granted lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// `X-Amz-Expires`.
    pub granted: Seconds,
    /// Which limit it equals, or `None` if it equals the requested lifetime.
    pub reason: ClampReason,
}

/// One reuse window, in which the same request gives the same URL: every URL is signed as of its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReuseWindow {
    begins_at: SystemTime,
    length: Seconds,
    /// The time since its beginning, in whole seconds.
    elapsed: u64,
}

impl ReuseWindow {
    /// The window of this length that contains `time`. Windows follow each other from the Unix epoch on.
    pub fn at(time: SystemTime, length: Seconds) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let elapsed = since % length.get();
        let begins_at = SystemTime::UNIX_EPOCH + Duration::from_secs(since - elapsed);
        Self { begins_at, length, elapsed }
    }

    /// `X-Amz-Date` of its URLs.
    pub fn begins_at(&self) -> SystemTime {
        self.begins_at
    }

    /// Checks that the window is shorter than the lifetime of its URLs. Credentials are ignored: they change.
    ///
    /// # Errors
    /// [`WindowError::TooLong`], at any time within the window, so that a caller gets the error from the first request on.
    pub fn check(&self, requested: Seconds, bounds: &Bounds) -> Result<(), WindowError> {
        let permanent = Bounds { credentials: None, session: None, ..*bounds };
        let lifetime = clamp(requested, &permanent, self.begins_at)?;
        if lifetime.granted <= self.length {
            return Err(WindowError::TooLong { window: self.length, lifetime });
        }
        Ok(())
    }

    /// The part of `grant`, which counts from the beginning of the window, that remains now.
    ///
    /// # Errors
    /// As [`Self::check`]; [`WindowError::Expired`] when less than a second remains.
    pub fn remaining_of(
        &self,
        grant: Grant,
        requested: Seconds,
        bounds: &Bounds,
    ) -> Result<Grant, WindowError> {
        self.check(requested, bounds)?;
        let remaining = grant.granted.get().saturating_sub(self.elapsed);
        let granted = Seconds::rounded_down(Duration::from_secs(remaining)).ok_or(Expired)?;
        Ok(Grant { granted, ..grant })
    }
}

/// Why a URL cannot be signed for a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WindowError {
    /// A URL that is returned at its end would already have expired.
    #[error("the window is not shorter than the lifetime of its URLs")]
    TooLong {
        /// The length of the window.
        window: Seconds,
        /// The lifetime of its URLs from its beginning, not limited by credentials.
        lifetime: Grant,
    },
    /// The credentials or the session expire within a second.
    #[error(transparent)]
    Expired(#[from] Expired),
}

/// The credentials or the session expire within a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the credentials have expired")]
pub struct Expired;

/// Reduces the requested lifetime, which begins at `signed_at`, to the lowest limit.
///
/// Of equal limits, the reason is the one listed first in [`ClampReason`]; `None` if the requested lifetime equals it.
///
/// # Errors
/// [`Expired`] when the credentials or the session expire within a second of `signed_at`.
pub fn clamp(requested: Seconds, bounds: &Bounds, signed_at: SystemTime) -> Result<Grant, Expired> {
    let time_until = |end: Option<SystemTime>| -> Result<Option<Seconds>, Expired> {
        end.map(|end| {
            let remaining = end.duration_since(signed_at).unwrap_or_default();
            Seconds::rounded_down(remaining).ok_or(Expired)
        })
        .transpose()
    };
    let limits = [
        (Some(SERVICE_MAXIMUM), ClampReason::ServiceMaximum),
        (Some(bounds.server), ClampReason::ServerMaximum),
        (bounds.policy, ClampReason::PolicyMaximum),
        (time_until(bounds.credentials)?, ClampReason::CredentialExpiry),
        (time_until(bounds.session)?, ClampReason::SessionExpiry),
    ];
    let unlimited = Grant { granted: requested, reason: ClampReason::None };
    Ok(limits.into_iter().fold(unlimited, |grant, (limit, reason)| match limit {
        Some(limit) if limit < grant.granted => Grant { granted: limit, reason },
        _ => grant,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const UNLIMITED: Bounds =
        Bounds { server: SERVICE_MAXIMUM, policy: None, credentials: None, session: None };

    fn after(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn lowest_limit_is_granted_and_named() {
        let rows = [
            (900, UNLIMITED, 900, ClampReason::None),
            (604_800, UNLIMITED, 604_800, ClampReason::None),
            (604_801, UNLIMITED, 604_800, ClampReason::ServiceMaximum),
            (900, Bounds { server: Seconds(60), ..UNLIMITED }, 60, ClampReason::ServerMaximum),
            (900, Bounds { policy: Some(Seconds(30)), ..UNLIMITED }, 30, ClampReason::PolicyMaximum),
            (
                43_200,
                Bounds { credentials: Some(after(3_600)), ..UNLIMITED },
                3_600,
                ClampReason::CredentialExpiry,
            ),
            (43_200, Bounds { session: Some(after(300)), ..UNLIMITED }, 300, ClampReason::SessionExpiry),
            (3_600, Bounds { credentials: Some(after(3_600)), ..UNLIMITED }, 3_600, ClampReason::None),
            (
                43_200,
                Bounds { server: Seconds(3_600), credentials: Some(after(3_600)), ..UNLIMITED },
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
    fn windows_follow_each_other_from_the_epoch() {
        let minute = Seconds(60);
        for (time, begins, elapsed) in [(0, 0, 0), (59, 0, 59), (60, 60, 0), (1_000_000_019, 999_999_960, 59)]
        {
            let window = ReuseWindow::at(after(time) + Duration::from_millis(999), minute);
            assert_eq!(window, ReuseWindow { begins_at: after(begins), length: minute, elapsed }, "{time}");
        }
    }

    #[test]
    fn remaining_lifetime_excludes_elapsed_window_time() {
        let window = ReuseWindow::at(after(3_600 + 600), Seconds(3_600));
        let remaining = |requested, bounds: &Bounds| {
            let grant = clamp(Seconds(requested), bounds, window.begins_at()).unwrap();
            let remaining = window.remaining_of(grant, Seconds(requested), bounds);
            remaining.map(|grant| (grant.granted.get(), grant.reason))
        };
        assert_eq!(remaining(3_601, &UNLIMITED), Ok((3_001, ClampReason::None)));
        let ending = |seconds| Bounds { credentials: Some(after(seconds)), ..UNLIMITED };
        assert_eq!(remaining(7_200, &ending(4_500)), Ok((300, ClampReason::CredentialExpiry)));
        assert_eq!(remaining(7_200, &ending(4_200)), Err(WindowError::Expired(Expired)));
        let short = Bounds { server: Seconds(3_600), ..UNLIMITED };
        for (requested, bounds) in [(3_600, &UNLIMITED), (60, &UNLIMITED), (7_200, &short)] {
            assert!(matches!(remaining(requested, bounds), Err(WindowError::TooLong { .. })), "{requested}");
        }
    }

    #[test]
    fn partial_second_before_credential_expiry_is_not_granted() {
        let end = NOW + Duration::from_millis(1_999);
        let grant = clamp(Seconds(10), &Bounds { credentials: Some(end), ..UNLIMITED }, NOW).unwrap();
        assert_eq!(grant.granted, Seconds::ONE);
        for left in [0, 999] {
            let end = Some(NOW + Duration::from_millis(left));
            assert_eq!(clamp(Seconds(10), &Bounds { credentials: end, ..UNLIMITED }, NOW), Err(Expired));
        }
        let past = Some(NOW - Duration::from_secs(5));
        assert_eq!(clamp(Seconds(10), &Bounds { credentials: past, ..UNLIMITED }, NOW), Err(Expired));
    }
}
