//! A request to sign, and whether its parts fit together.

use super::{
    error::Error,
    expiry::Seconds,
    name::{KeyError, ObjectKey},
    operation::{Level, Operation},
    parameters::{Headers, ParameterError, Query},
};

/// A request to sign. Each part was validated when it was created.
pub struct Request<'a> {
    /// The object key; empty for operations on the bucket.
    pub key: ObjectKey<'a>,
    /// The operation that the URL allows.
    pub operation: &'a Operation<'a>,
    /// The headers to sign.
    pub headers: &'a Headers<'a>,
    /// The query parameters to sign.
    pub query: &'a Query<'a>,
    /// The requested lifetime; the server's default if unset.
    pub expires_in: Option<Seconds>,
    /// The minimum lifetime; a shorter one is an error.
    pub min_expires_in: Option<Seconds>,
}

/// Checks that the parts of a request are consistent. This needs no credentials.
///
/// # Errors
/// When the key or a required parameter is missing, or the operation does not allow a key.
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
