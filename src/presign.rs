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
pub mod presigned;
pub mod sign;
pub mod target;
mod time;

use std::time::SystemTime;

use self::{
    canonical::CanonicalRequest,
    credentials::Credentials,
    endpoint::{Endpoint, EndpointRules},
    error::Error,
    expiry::{Bounds, Seconds},
    name::{KeyError, ObjectKey},
    operation::{Level, Operation},
    parameters::{Headers, ParameterError, Query},
    presigned::PresignedRequest,
    target::Target,
    time::{AmzDate, whole_seconds},
};

/// What to sign. Every part was checked when it was made.
pub struct Request<'a> {
    /// Where the object is.
    pub target: Target,
    /// The object; empty for operations on the bucket.
    pub key: ObjectKey<'a>,
    /// What the URL's holder may do.
    pub operation: &'static Operation,
    /// Headers to sign.
    pub headers: Headers<'a>,
    /// Query parameters to sign.
    pub query: Query<'a>,
    /// How long the URL should work; without it, the server's default.
    pub expires_in: Option<Seconds>,
    /// How long the URL must work.
    pub min_expires_in: Option<Seconds>,
}

/// What an operator decided for the signer and the server.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where requests go.
    pub endpoint: EndpointRules,
    /// `expiry.default`.
    pub default_expiry: Seconds,
    /// `expiry.max`.
    pub max_expiry: Seconds,
}

/// Signs one request. The same arguments give the same URL.
///
/// # Errors
/// See [`Error`]; nothing is signed then.
pub fn presign<'a>(
    request: Request<'a>,
    rules: &Rules,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<PresignedRequest<'a>, Error> {
    check(&request)?;
    let endpoint = endpoint::resolve(&request.target, &rules.endpoint)?;
    let signed_at = whole_seconds(now);
    let requested = request.expires_in.unwrap_or(rules.default_expiry);
    let bounds = Bounds {
        server: rules.max_expiry,
        policy: None,
        credentials: credentials.expires_at(),
        session: None,
    };
    let grant = expiry::clamp(requested, &bounds, signed_at)?;
    if let Some(minimum) = request.min_expires_in
        && grant.granted < minimum
    {
        return Err(Error::TooShort { grant, minimum });
    }
    let url = signed_url(&request, &endpoint, credentials, signed_at, grant.granted);
    let method = request.operation.method;
    Ok(PresignedRequest { url, method, headers: request.headers, signed_at, grant, requested })
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

/// Writes the URL once, from left to right, and signs what was written.
fn signed_url(
    request: &Request<'_>,
    endpoint: &Endpoint,
    credentials: &Credentials,
    signed_at: SystemTime,
    granted: Seconds,
) -> String {
    let date = AmzDate::of(signed_at);
    let token = credentials.session_token().map_or("", |token| token.expose());
    let mut url = String::with_capacity(512 + request.key.as_str().len() + token.len() * 5 / 4);
    url.push_str(endpoint.url());
    // A bucket in the path is asked for without a slash behind it, as boto3 does; a path is never empty.
    if !request.key.as_str().is_empty() || endpoint.path_at() == url.len() {
        url.push('/');
        encode::path(request.key.as_str(), &mut url);
    }
    let path_ends = url.len();
    url.push('?');
    write_query(request, endpoint, credentials, &date, granted, &mut url);

    let (path, query) = url.split_at(path_ends);
    let canonical = CanonicalRequest {
        method: request.operation.method,
        path: &path[endpoint.path_at()..],
        query: &query[1..],
        host: endpoint.host(),
        headers: &request.headers,
    };
    let string_to_sign = sign::string_to_sign(&canonical, &date, endpoint.scope());
    url.push_str("&X-Amz-Signature=");
    sign::write_signature(credentials, &string_to_sign, &date, signed_at, endpoint.scope(), &mut url);
    url
}

fn write_query(
    request: &Request<'_>,
    endpoint: &Endpoint,
    credentials: &Credentials,
    date: &AmzDate,
    granted: Seconds,
    url: &mut String,
) {
    let mut credential = String::with_capacity(96);
    credential.push_str(credentials.access_key_id());
    credential.push('/');
    endpoint.scope().write(date, &mut credential);
    let mut signed_headers = String::with_capacity(64);
    canonical::write_signed_names(&request.headers, &mut |name| signed_headers.push_str(name));
    let expires = granted.get().to_string();

    let mut authentication = vec![
        ("X-Amz-Algorithm", sign::ALGORITHM),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", date.as_str()),
        ("X-Amz-Expires", &expires),
        ("X-Amz-SignedHeaders", &signed_headers),
    ];
    authentication.extend(credentials.session_token().map(|token| ("X-Amz-Security-Token", token.expose())));
    authentication.extend(request.operation.subresource);
    request.query.write_canonical(&authentication, url);
}
