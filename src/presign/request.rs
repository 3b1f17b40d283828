//! A request to sign, and whether its parts fit together.

use super::{
    error::Error,
    expiry::Seconds,
    name::{KeyError, ObjectKey},
    operation::{Level, Operation},
    parameters::{Headers, ParameterError, Query},
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
