//! The answer: a URL, and the truth about it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{
    expiry::{Grant, Seconds},
    operation::Method,
    parameters::Headers,
};

/// A request that its holder can send without credentials.
pub struct PresignedRequest<'a> {
    /// A bearer secret.
    pub url: String,
    /// The method to use.
    pub method: Method,
    /// The headers that the holder must send, `host` left out.
    pub headers: Headers<'a>,
    /// `X-Amz-Date`.
    pub signed_at: SystemTime,
    /// What is granted, and why not more.
    pub grant: Grant,
    /// What was asked for, the default filled in.
    pub requested: Seconds,
}

impl PresignedRequest<'_> {
    /// When the URL really stops working.
    pub fn expires_at(&self) -> SystemTime {
        self.signed_at + self.grant.granted.as_duration()
    }

    /// How much of what was asked for is not granted.
    pub fn taken_off(&self) -> Duration {
        self.requested.as_duration().saturating_sub(self.grant.granted.as_duration())
    }
}

/// Without the URL and the headers' values: both can be secrets.
impl fmt::Debug for PresignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedRequest")
            .field("method", &self.method)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
