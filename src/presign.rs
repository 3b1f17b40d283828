//! The core: (request, rules, credentials, time) in, URL out.
//!
//! It knows no clock, no socket, no runtime and no environment, and imports nothing else of ours.

pub mod arn;
pub mod canonical;
pub mod credentials;
pub mod encode;
pub mod endpoint;
pub mod error;
pub mod expiry;
mod keys;
pub mod name;
pub mod operation;
pub mod parameters;
pub mod partition;
pub mod post;
pub mod prepared;
pub mod presigned;
mod request;
mod secret;
pub mod sign;
pub mod signing;
pub mod snapshot;
pub mod target;
mod time;

pub use self::request::{Request, check};
use self::{
    error::Error,
    expiry::{Bounds, Grant, Seconds},
    presigned::Presigned,
    signing::Signing,
};

/// Signs one request, in stages: it fits together, so much is granted, this is its URL, which is appended to `url`. The
/// same arguments give the same URL, but for the signature of SigV4A outside a window, which has randomness in it.
///
/// # Errors
/// See [`Error`]; what is in `url` then is of no use.
pub fn presign(request: &Request<'_>, signing: &Signing, url: &mut String) -> Result<Presigned, Error> {
    check(request)?;
    let (requested, grant) = grant(request.expires_in, request.min_expires_in, signing)?;
    signing.write_url(request, grant.granted, url)?;
    Ok(Presigned { signed_at: signing.signed_at(), grant, requested })
}

/// What was asked for, and how much of it is granted.
fn grant(
    expires_in: Option<Seconds>,
    min_expires_in: Option<Seconds>,
    signing: &Signing,
) -> Result<(Seconds, Grant), Error> {
    let rules = signing.snapshot().rules();
    let (credentials, session) = signing.snapshot().ends();
    let requested = expires_in.unwrap_or(rules.default_expiry);
    let bounds = Bounds { server: rules.max_expiry, policy: None, credentials, session };
    let grant = expiry::clamp(requested, &bounds, signing.signed_at())?;
    let left = match signing.window() {
        Some(window) => window.left_of(grant, requested, &bounds)?,
        None => grant,
    };
    match min_expires_in {
        Some(minimum) if left.granted < minimum => Err(Error::TooShort { grant: left, minimum }),
        _ => Ok((requested, grant)),
    }
}
