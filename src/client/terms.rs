//! The granted lifetime of a URL or form, as text.

use std::{fmt, time::Duration};

use prost_types::Timestamp;

use crate::pb;

/// The granted lifetime, and the reason if it is shorter than requested.
pub(super) struct GrantSummary {
    /// In RFC 3339.
    pub(super) expires_at: String,
    /// In seconds.
    pub(super) granted: i64,
    /// In seconds.
    pub(super) requested: i64,
    /// The enum value's name in the proto file, without the prefix `CLAMP_REASON_`.
    pub(super) clamp_reason: &'static str,
}

impl GrantSummary {
    pub(super) fn of_url(url: &pb::PresignedRequest) -> Self {
        Self::new(url.expires_at.as_ref(), url.granted, url.requested, url.clamp_reason())
    }

    pub(super) fn of_form(form: &pb::PresignPostResponse) -> Self {
        Self::new(form.expires_at.as_ref(), form.granted, form.requested, form.clamp_reason())
    }

    fn new(
        expires_at: Option<&Timestamp>,
        granted: Option<prost_types::Duration>,
        requested: Option<prost_types::Duration>,
        clamp_reason: pb::ClampReason,
    ) -> Self {
        let seconds = |wire: Option<prost_types::Duration>| wire.map_or(0, |wire| wire.seconds);
        Self {
            expires_at: rfc3339(expires_at),
            granted: seconds(granted),
            requested: seconds(requested),
            clamp_reason: clamp_reason.as_str_name().trim_start_matches("CLAMP_REASON_"),
        }
    }
}

impl fmt::Display for GrantSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = |seconds: i64| humantime::format_duration(Duration::from_secs(seconds.unsigned_abs()));
        writeln!(f, "expires   {} (granted {})", self.expires_at, format(self.granted))?;
        if self.granted < self.requested {
            let reason = self.clamp_reason.to_lowercase();
            writeln!(f, "requested {}, shortened by {reason}", format(self.requested))?;
        }
        Ok(())
    }
}

/// Formats a time as RFC 3339; empty if there is no time.
pub(super) fn rfc3339(time: Option<&Timestamp>) -> String {
    time.map_or_else(String::new, ToString::to_string)
}
