//! What was granted to a signed URL.

use std::time::SystemTime;

use super::expiry::{Grant, Seconds};

/// What was granted to a URL. The URL itself, a bearer secret, is in the buffer of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presigned {
    /// `X-Amz-Date`.
    pub signed_at: SystemTime,
    /// The granted lifetime, and which limit reduced it.
    pub grant: Grant,
    /// The requested lifetime, or the default if the request has none.
    pub requested: Seconds,
}

impl Presigned {
    /// When the URL expires: S3 rejects it from then on.
    pub fn expires_at(&self) -> SystemTime {
        self.signed_at + self.grant.granted.as_duration()
    }
}
