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
pub mod name;
pub mod operation;
pub mod parameters;
pub mod partition;
pub mod post;
pub mod prepared;
pub mod presigned;
pub mod sign;
pub mod snapshot;
pub mod target;
mod time;

use self::{
    error::Error,
    expiry::{Bounds, Grant, Seconds},
    name::{KeyError, ObjectKey},
    operation::{Level, Operation},
    parameters::{Headers, ParameterError, Query},
    prepared::Signing,
    presigned::Presigned,
};

/// What to sign for a target. Every part was checked when it was made.
pub struct Request<'a> {
    /// The object; empty for operations on the bucket.
    pub key: ObjectKey<'a>,
    /// What the URL's holder may do.
    pub operation: &'a Operation<'a>,
    /// Headers to sign.
    pub headers: &'a Headers<'a>,
    /// Query parameters to sign.
    pub query: &'a Query<'a>,
    /// How long the URL should work; without it, the server's default.
    pub expires_in: Option<Seconds>,
    /// How long the URL must work.
    pub min_expires_in: Option<Seconds>,
}

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

/// Looks whether the parts of a request fit together, which needs no credentials.
///
/// # Errors
/// When the key or a parameter is missing, or the key has no place.
pub fn check(request: &Request<'_>) -> Result<(), Error> {
    check_key(request)?;
    Ok(check_required(request)?)
}

fn check_key(request: &Request<'_>) -> Result<(), KeyError> {
    let operation = request.operation.name;
    match (request.operation.level, request.key.as_str().is_empty()) {
        (Level::Object, true) => Err(KeyError::Empty { operation }),
        (Level::Bucket, false) => Err(KeyError::Unexpected { operation }),
        _ => Ok(()),
    }
}

fn check_required(request: &Request<'_>) -> Result<(), ParameterError> {
    let operation = request.operation.name;
    let missing = |name: &&&str| !request.headers.contains(name) && !request.query.contains(name);
    match request.operation.required.iter().find(missing) {
        Some(name) => Err(ParameterError::Missing { operation, name }),
        None => Ok(()),
    }
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
