//! Merges a decoded request with the defaults of its batch, and converts it into the core's request. The parameters of the
//! defaults are converted once, and borrowed by each request that adds none.

use std::{collections::BTreeMap, time::Duration};

use prost_types::Duration as WireDuration;

use super::{
    fields::PartsToSign,
    operations::{add_parameters, operation_of},
};
use crate::{
    pb::{self, presign_request::Operation as OperationMessage},
    presign::{
        Request,
        expiry::Seconds,
        name::ObjectKey,
        operation::Operation,
        parameters::{MAX_PARAMETERS, ParameterError},
    },
    service::{DEFAULT_SIGNER, failure::Failure},
};

/// The longest duration that protobuf allows, about 10,000 years.
///
/// Source: [google.protobuf.Duration](https://protobuf.dev/reference/protobuf/google.protobuf/#duration).
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// A request with the defaults of its batch. A field that is set in the request overrides the default.
#[derive(Clone, Copy)]
pub(in crate::service) struct MergedRequest<'a> {
    own: &'a pb::PresignRequest,
    defaults: Option<&'a pb::PresignRequest>,
}

impl<'a> MergedRequest<'a> {
    pub(in crate::service) fn new(
        own: &'a pb::PresignRequest,
        defaults: Option<&'a pb::PresignRequest>,
    ) -> Self {
        Self { own, defaults }
    }

    fn text(self, field: impl Fn(&'a pb::PresignRequest) -> &'a str) -> &'a str {
        match (field(self.own), self.defaults) {
            ("", Some(defaults)) => field(defaults),
            (own, _) => own,
        }
    }

    fn option<T>(self, field: impl Fn(&'a pb::PresignRequest) -> Option<T>) -> Option<T> {
        field(self.own).or_else(|| self.defaults.and_then(field))
    }

    /// The union of both maps. A value of the request overrides the default with the same name.
    fn merged_map(
        self,
        field: impl Fn(&'a pb::PresignRequest) -> &'a BTreeMap<String, String>,
        is_same: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = field(self.own);
        let defaults = self.defaults.map(field).into_iter().flatten();
        let added = defaults.filter(move |(name, _)| !own.keys().any(|known| is_same(known, name)));
        own.iter().chain(added).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(in crate::service) fn bucket(self) -> &'a str {
        self.text(|request| &request.bucket)
    }

    pub(in crate::service) fn key(self) -> &'a str {
        self.text(|request| &request.key)
    }

    /// The name of the signer.
    pub(in crate::service) fn signer(self) -> &'a str {
        signer_or_default(self.text(|request| &request.signer))
    }

    fn operation_message(self) -> Option<&'a OperationMessage> {
        self.option(|request| request.operation.as_ref())
    }

    /// The operation. For `http` it does not have the method.
    pub(in crate::service) fn operation(self) -> Result<&'static Operation<'static>, Failure> {
        self.operation_message().map(operation_of).ok_or(Failure::NoOperation)
    }

    /// Whether the operation, the headers and the query all come from the defaults.
    fn adds_no_parts(self) -> bool {
        self.own.operation.is_none() && self.own.headers.is_empty() && self.own.query.is_empty()
    }

    /// The headers and the query to sign.
    fn parts(self) -> Result<PartsToSign<'a>, Failure> {
        self.check_map_sizes()?;
        let mut parts = PartsToSign::default();
        let mut is_http = false;
        if let Some(message) = self.operation_message() {
            is_http = operation_of(message).is_http();
            add_parameters(message, &mut parts)?;
        }
        let to_failure = |error: ParameterError, field, field_of_http| {
            let error = if is_http { error.for_http(field_of_http) } else { error };
            Failure::Parameter { field, error }
        };
        for (name, value) in self.merged_map(|request| &request.headers, str::eq_ignore_ascii_case) {
            let added = parts.headers.add_custom(name, value);
            added.map_err(|error| to_failure(error, "headers", "http.headers"))?;
        }
        for (name, value) in self.merged_map(|request| &request.query, |own, default| own == default) {
            let added = parts.query.add_custom(name, value);
            added.map_err(|error| to_failure(error, "query", "http.query"))?;
        }
        Ok(parts)
    }

    fn check_map_sizes(self) -> Result<(), Failure> {
        let requests = std::iter::once(self.own).chain(self.defaults);
        let mut maps =
            requests.flat_map(|request| [("headers", &request.headers), ("query", &request.query)]);
        match maps.find(|(_, map)| map.len() > MAX_PARAMETERS) {
            Some((field, _)) => Err(Failure::too_many_parameters(field)),
            None => Ok(()),
        }
    }

    /// Converts into the core's request, with these headers and this query.
    fn to_core(self, parts: &'a PartsToSign<'a>) -> Result<Request<'a>, Failure> {
        Ok(Request {
            key: ObjectKey::try_from(self.key())?,
            operation: match &parts.http {
                Some(http) => http,
                None => self.operation()?,
            },
            headers: &parts.headers,
            query: &parts.query,
            expires_in: self.expires_in()?,
            min_expires_in: min_expires_in(self.option(|request| request.min_expires_in.as_ref()))?,
        })
    }

    /// `expires_in`; `None` for the default of the server.
    pub(in crate::service) fn expires_in(self) -> Result<Option<Seconds>, Failure> {
        expires_in(self.option(|request| request.expires_in.as_ref()))
    }

    /// `reuse_window`; `None` if it is not set or less than a second.
    pub(in crate::service) fn reuse_window(self) -> Result<Option<Seconds>, Failure> {
        seconds_or_none("reuse_window", self.option(|request| request.reuse_window.as_ref()))
    }
}

/// The defaults of a batch, converted once.
pub(in crate::service) struct BatchDefaults<'a> {
    request: &'a pb::PresignRequest,
    /// The headers and the query of each request that adds none.
    parts: Result<PartsToSign<'a>, Failure>,
}

impl<'a> BatchDefaults<'a> {
    pub(in crate::service) fn new(request: &'a pb::PresignRequest) -> Self {
        Self { request, parts: MergedRequest::new(request, None).parts() }
    }

    pub(in crate::service) fn request(&self) -> &'a pb::PresignRequest {
        self.request
    }
}

/// A request with the headers and the query to sign: its own, or those of the defaults.
pub(in crate::service) struct RequestParts<'a> {
    merged: MergedRequest<'a>,
    parts: PartsSource<'a>,
}

enum PartsSource<'a> {
    Own(PartsToSign<'a>),
    Defaults(&'a PartsToSign<'a>),
}

impl<'a> RequestParts<'a> {
    /// Reads the headers and the query of a request.
    pub(in crate::service) fn read(
        merged: MergedRequest<'a>,
        defaults: Option<&'a BatchDefaults<'a>>,
    ) -> Result<Self, Failure> {
        let parts = match defaults {
            Some(defaults) if merged.adds_no_parts() => {
                PartsSource::Defaults(defaults.parts.as_ref().map_err(Clone::clone)?)
            }
            _ => PartsSource::Own(merged.parts()?),
        };
        Ok(Self { merged, parts })
    }

    /// Converts into the core's request.
    pub(in crate::service) fn to_core(&self) -> Result<Request<'_>, Failure> {
        let parts = match &self.parts {
            PartsSource::Own(parts) => parts,
            PartsSource::Defaults(parts) => parts,
        };
        self.merged.to_core(parts)
    }
}

/// The name of the signer; the default signer if the name is empty.
pub(in crate::service) fn signer_or_default(name: &str) -> &str {
    if name.is_empty() { DEFAULT_SIGNER } else { name }
}

/// Validates a duration, and rounds it down to whole seconds.
fn whole_seconds(field: &'static str, wire: Option<&WireDuration>) -> Result<Option<Duration>, Failure> {
    let Some(&WireDuration { seconds, nanos }) = wire else { return Ok(None) };
    let fail = |problem| Err(Failure::Duration { field, problem });
    if seconds < 0 || nanos < 0 {
        return fail("is negative: set at least 1 second");
    }
    if seconds > MAX_DURATION_SECONDS || nanos > 999_999_999 {
        return fail(
            "is not a valid google.protobuf.Duration: \
             seconds must be at most 315576000000, nanos at most 999999999",
        );
    }
    Ok(Some(Duration::from_secs(seconds.unsigned_abs())))
}

/// `expires_in` of a request. Less than a second is an error.
pub(in crate::service) fn expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    let field = "expires_in";
    let too_short = Failure::Duration { field, problem: "is less than 1 second: set at least 1 second" };
    whole_seconds(field, wire)?.map(|requested| Seconds::rounded_down(requested).ok_or(too_short)).transpose()
}

/// `min_expires_in` of a request. Less than a second has no effect, because no URL works for less than a second.
pub(in crate::service) fn min_expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    seconds_or_none("min_expires_in", wire)
}

/// A duration in whole seconds. Less than a second counts as not set.
fn seconds_or_none(field: &'static str, wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    Ok(whole_seconds(field, wire)?.and_then(Seconds::rounded_down))
}
