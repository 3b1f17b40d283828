//! From a decoded request, and a batch's defaults under it, to the core's request. What the defaults say is read once
//! and borrowed by every request that adds nothing to it.

use std::{collections::BTreeMap, time::Duration};

use prost_types::Duration as WireDuration;

use super::{
    fields::Parts,
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

/// A request with a batch's defaults under it: a field that is set in the request wins.
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

    /// Both maps in one; of equal names the request's own value counts.
    fn union(
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

    /// The signer's name; that of the default one when none is named.
    pub(in crate::service) fn signer(self) -> &'a str {
        signer_or_default(self.text(|request| &request.signer))
    }

    fn operation_message(self) -> Option<&'a OperationMessage> {
        self.option(|request| request.operation.as_ref())
    }

    /// The operation; of `http` all but its method.
    pub(in crate::service) fn operation(self) -> Result<&'static Operation<'static>, Failure> {
        self.operation_message().map(operation_of).ok_or(Failure::NoOperation)
    }

    /// Whether everything that is signed, except the key, comes from the defaults.
    fn adds_no_parts(self) -> bool {
        self.own.operation.is_none() && self.own.headers.is_empty() && self.own.query.is_empty()
    }

    /// The headers and the query to sign.
    fn parts(self) -> Result<Parts<'a>, Failure> {
        self.check_map_sizes()?;
        let mut parts = Parts::default();
        let mut is_http = false;
        if let Some(message) = self.operation_message() {
            is_http = operation_of(message).is_http();
            add_parameters(message, &mut parts)?;
        }
        let wrong_in_map = |error: ParameterError, field, field_of_http| {
            let error = if is_http { error.beside_http(field_of_http) } else { error };
            Failure::Parameter { field, error }
        };
        for (name, value) in self.union(|request| &request.headers, str::eq_ignore_ascii_case) {
            let added = parts.headers.add_further(name, value);
            added.map_err(|error| wrong_in_map(error, "headers", "http.headers"))?;
        }
        for (name, value) in self.union(|request| &request.query, |own, default| own == default) {
            let added = parts.query.add_further(name, value);
            added.map_err(|error| wrong_in_map(error, "query", "http.query"))?;
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

    /// The core's request, with these headers and this query.
    fn to_core(self, parts: &'a Parts<'a>) -> Result<Request<'a>, Failure> {
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

    /// How long the URL should work; nothing where the server's default counts.
    pub(in crate::service) fn expires_in(self) -> Result<Option<Seconds>, Failure> {
        expires_in(self.option(|request| request.expires_in.as_ref()))
    }

    /// The window in which the same request gives the same URL.
    pub(in crate::service) fn reuse_window(self) -> Result<Option<Seconds>, Failure> {
        seconds_or_none("reuse_window", self.option(|request| request.reuse_window.as_ref()))
    }
}

/// What is merged under every request of a batch, read once.
pub(in crate::service) struct Defaults<'a> {
    request: &'a pb::PresignRequest,
    /// What is signed for a request that adds nothing.
    parts: Result<Parts<'a>, Failure>,
}

impl<'a> Defaults<'a> {
    pub(in crate::service) fn new(request: &'a pb::PresignRequest) -> Self {
        Self { request, parts: MergedRequest::new(request, None).parts() }
    }

    pub(in crate::service) fn request(&self) -> &'a pb::PresignRequest {
        self.request
    }
}

/// A request with the headers and the query that are signed for it: its own, or those of the defaults.
pub(in crate::service) struct RequestParts<'a> {
    merged: MergedRequest<'a>,
    parts: PartsSource<'a>,
}

enum PartsSource<'a> {
    Own(Parts<'a>),
    Defaults(&'a Parts<'a>),
}

impl<'a> RequestParts<'a> {
    /// Reads what a request asks to sign.
    pub(in crate::service) fn read(
        merged: MergedRequest<'a>,
        defaults: Option<&'a Defaults<'a>>,
    ) -> Result<Self, Failure> {
        let parts = match defaults {
            Some(defaults) if merged.adds_no_parts() => {
                PartsSource::Defaults(defaults.parts.as_ref().map_err(Clone::clone)?)
            }
            _ => PartsSource::Own(merged.parts()?),
        };
        Ok(Self { merged, parts })
    }

    /// The core's request.
    pub(in crate::service) fn to_core(&self) -> Result<Request<'_>, Failure> {
        let parts = match &self.parts {
            PartsSource::Own(parts) => parts,
            PartsSource::Defaults(parts) => parts,
        };
        self.merged.to_core(parts)
    }
}

/// The name of the signer that an empty name means.
pub(in crate::service) fn signer_or_default(name: &str) -> &str {
    if name.is_empty() { DEFAULT_SIGNER } else { name }
}

/// A duration that is not negative, without its fraction of a second.
fn whole_seconds(field: &'static str, wire: Option<&WireDuration>) -> Result<Option<Duration>, Failure> {
    let Some(&WireDuration { seconds, nanos }) = wire else { return Ok(None) };
    let refuse = |problem| Err(Failure::Duration { field, problem });
    if seconds < 0 || nanos < 0 {
        return refuse("is negative: set at least 1 second");
    }
    if seconds > MAX_DURATION_SECONDS || nanos > 999_999_999 {
        return refuse(
            "is not a valid google.protobuf.Duration: \
             seconds must be at most 315576000000, nanos at most 999999999",
        );
    }
    Ok(Some(Duration::from_secs(seconds.unsigned_abs())))
}

/// `expires_in` of a request; under a second is an error.
pub(in crate::service) fn expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    let field = "expires_in";
    let too_short = Failure::Duration { field, problem: "is less than 1 second: set at least 1 second" };
    whole_seconds(field, wire)?.map(|asked| Seconds::rounded_down(asked).ok_or(too_short)).transpose()
}

/// `min_expires_in` of a request. Under a second it asks for nothing: no URL works for less.
pub(in crate::service) fn min_expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    seconds_or_none("min_expires_in", wire)
}

/// Under a second counts as not set.
fn seconds_or_none(field: &'static str, wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    Ok(whole_seconds(field, wire)?.and_then(Seconds::rounded_down))
}
