//! The answer beside the URL: the truth about it.

use std::time::{Duration, SystemTime};

use super::expiry::{Grant, Seconds};

/// What was granted to a URL. The URL itself, a bearer secret, is in the buffer that the caller gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presigned {
    /// `X-Amz-Date`.
    pub signed_at: SystemTime,
    /// What is granted, and why not more.
    pub grant: Grant,
    /// What was asked for, the default filled in.
    pub requested: Seconds,
}

impl Presigned {
    /// When the URL really stops working.
    pub fn expires_at(&self) -> SystemTime {
        self.signed_at + self.grant.granted.as_duration()
    }

    /// How much of what was asked for is not granted.
    pub fn taken_off(&self) -> Duration {
        self.requested.as_duration().saturating_sub(self.grant.granted.as_duration())
    }
}
