//! The core: (request, rules, credentials, time) in, URL out.
//!
//! It uses no clock, no socket, no runtime and no environment variable, and imports no other module of presignd.

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
pub mod presigned;
mod request;
pub mod resolved_target;
mod secret;
pub mod sign;
pub mod snapshot;
pub mod target;
pub mod target_signer;
mod time;

pub use self::request::{CheckedRequest, Request};
use self::{
    error::Error,
    expiry::{Bounds, Grant, Seconds},
    presigned::Presigned,
    target_signer::TargetSigner,
};

/// Signs one request and appends its URL to `url`: decides the lifetime, writes the URL.
///
/// The same arguments give the same URL, except with SigV4A outside a reuse window: those signatures contain random
/// bytes.
///
/// # Errors
/// See [`Error`]. The content of `url` is unspecified then.
pub fn presign(
    request: CheckedRequest<'_>,
    signer: &TargetSigner,
    url: &mut String,
) -> Result<Presigned, Error> {
    let request = request.get();
    let (requested, grant) = grant_lifetime(request.expires_in, request.min_expires_in, signer)?;
    signer.write_url(request, grant.granted, url)?;
    Ok(Presigned { signed_at: signer.signed_at(), grant, requested })
}

/// Decides the lifetime: the requested one (the default if unset), and what is granted of it.
fn grant_lifetime(
    expires_in: Option<Seconds>,
    min_expires_in: Option<Seconds>,
    signer: &TargetSigner,
) -> Result<(Seconds, Grant), Error> {
    let rules = signer.snapshot().rules();
    let (credentials, session) = signer.snapshot().expiry_times();
    let requested = expires_in.unwrap_or(rules.default_expiry);
    let bounds = Bounds { server: rules.max_expiry, policy: None, credentials, session };
    let grant = expiry::clamp(requested, &bounds, signer.signed_at())?;
    let remaining = match signer.window() {
        Some(window) => window.remaining_of(grant, requested, &bounds)?,
        None => grant,
    };
    match min_expires_in {
        Some(minimum) if remaining.granted < minimum => Err(Error::TooShort { grant: remaining, minimum }),
        _ => Ok((requested, grant)),
    }
}
