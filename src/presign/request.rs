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

/// A request whose parts are consistent, as checked by [`Request::check`].
#[derive(Clone, Copy)]
pub struct CheckedRequest<'a>(&'a Request<'a>);

impl<'a> CheckedRequest<'a> {
    /// The checked request.
    pub fn get(self) -> &'a Request<'a> {
        self.0
    }
}

impl Request<'_> {
    /// Checks that the parts of the request are consistent. This needs no credentials.
    ///
    /// # Errors
    /// When the key or a required parameter is missing, or the operation does not allow a key.
    pub fn check(&self) -> Result<CheckedRequest<'_>, Error> {
        check_key(self)?;
        check_required(self)?;
        Ok(CheckedRequest(self))
    }
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
