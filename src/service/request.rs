//! From a request as it lies in its message, and a batch's defaults under it, to the core's request. What a batch's
//! defaults say is read once, and borrowed by every request that adds nothing to it.

use std::time::Duration;

use prost_types::Duration as WireDuration;

use super::{
    DEFAULT_SIGNER,
    fields::{Parts, wrong_in},
    operations::add_parameters,
    status::Failure,
    wire::{self, Item},
};
use crate::{
    pb::presign_request::Operation as Wire,
    presign::{Request, expiry::Seconds, name::ObjectKey, operation::Operation, parameters::ParameterError},
};

/// The longest duration that protobuf allows, about 10,000 years.
///
/// Source: [google.protobuf.Duration](https://protobuf.dev/reference/protobuf/google.protobuf/#duration).
const LONGEST_SECONDS: i64 = 315_576_000_000;

/// A request with a batch's defaults under it: a field that is set in the request wins.
#[derive(Clone, Copy)]
pub(super) struct Merged<'a> {
    own: &'a Item<'a>,
    defaults: Option<&'a Item<'a>>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(own: &'a Item<'a>, defaults: Option<&'a Item<'a>>) -> Self {
        Self { own, defaults }
    }

    fn text(self, field: impl Fn(&'a Item<'a>) -> &'a str) -> &'a str {
        match (field(self.own), self.defaults) {
            ("", Some(defaults)) => field(defaults),
            (own, _) => own,
        }
    }

    fn option<T>(self, field: impl Fn(&'a Item<'a>) -> Option<T>) -> Option<T> {
        field(self.own).or_else(|| self.defaults.and_then(field))
    }

    /// Both maps in one, without a key twice.
    fn union(
        self,
        field: impl Fn(&'a Item<'a>) -> &'a wire::Pairs<'a>,
        same: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = field(self.own);
        let under = self.defaults.map(field).into_iter().flat_map(wire::Pairs::iter);
        own.iter().chain(under.filter(move |(name, _)| !own.iter().any(|(own, _)| same(own, name))))
    }

    /// Every map that is merged, with the field that it stands in.
    fn maps(self) -> impl Iterator<Item = (&'static str, &'a wire::Pairs<'a>)> {
        let both = std::iter::once(self.own).chain(self.defaults);
        both.flat_map(|item| [("headers", &item.headers), ("query", &item.query)])
    }

    pub(super) fn bucket(self) -> &'a str {
        self.text(|item| item.bucket)
    }

    /// The signer's name; that of the default one when none is named.
    pub(super) fn signer(self) -> &'a str {
        match self.text(|item| item.signer) {
            "" => DEFAULT_SIGNER,
            name => name,
        }
    }

    /// How long the URL should work; nothing where the server's default counts, or what is asked for is not valid.
    pub(super) fn asks_for(self) -> Option<Seconds> {
        expires_in(self.option(|item| item.expires_in.as_ref())).ok().flatten()
    }

    fn wire_operation(self) -> Option<&'a wire::Operation<'a>> {
        self.option(|item| item.operation.as_ref())
    }

    /// The operation; of `http` all but its method.
    pub(super) fn operation(self) -> Result<&'static Operation<'static>, Failure> {
        let wire = self.wire_operation().ok_or(Failure::NoOperation)?;
        Ok(wire.operation())
    }

    /// Whether the operation is `http`.
    fn is_http(self) -> bool {
        self.wire_operation().is_some_and(|wire| wire.operation().is_http())
    }

    /// The operation's message, when anything is set in it.
    pub(super) fn message(self) -> Result<Option<Wire>, Failure> {
        match self.wire_operation() {
            Some(wire) if !wire.is_empty() => Ok(Some(wire.decode()?)),
            _ => Ok(None),
        }
    }

    /// Whether the request has an operation of its own.
    pub(super) fn has_own_operation(self) -> bool {
        self.own.operation.is_some()
    }

    /// Whether the request says nothing of its own on what is signed beside its key.
    pub(super) fn adds_no_parts(self) -> bool {
        self.own.operation.is_none() && self.own.headers.is_empty() && self.own.query.is_empty()
    }

    /// The headers and the query to sign; `message` is the operation's.
    pub(super) fn parts(self, message: Option<&'a Wire>) -> Result<Parts<'a>, Failure> {
        for (field, given) in self.maps() {
            if given.are_too_many() {
                return Err(Failure::Parameter { field, error: ParameterError::TooMany });
            }
        }
        let mut parts = Parts::default();
        match message {
            Some(message) => add_parameters(message, &mut parts)?,
            None if self.is_http() => return Err(wrong_in("http.method")(ParameterError::no_method())),
            None => {}
        }
        let beside = |error: ParameterError, field, in_http| {
            let error = if self.is_http() { error.beside_http(in_http) } else { error };
            Failure::Parameter { field, error }
        };
        for (name, value) in self.union(|item| &item.headers, str::eq_ignore_ascii_case) {
            let added = parts.headers.add_further(name, value);
            added.map_err(|error| beside(error, "headers", "http.headers"))?;
        }
        for (name, value) in self.union(|item| &item.query, |own, under| own == under) {
            let added = parts.query.add_further(name, value);
            added.map_err(|error| beside(error, "query", "http.query"))?;
        }
        Ok(parts)
    }

    /// The core's request, with these headers and this query.
    pub(super) fn to_core(self, parts: &'a Parts<'a>) -> Result<Request<'a>, Failure> {
        Ok(Request {
            key: ObjectKey::try_from(self.text(|item| item.key))?,
            operation: match &parts.http {
                Some(http) => http,
                None => self.operation()?,
            },
            headers: &parts.headers,
            query: &parts.query,
            expires_in: expires_in(self.option(|item| item.expires_in.as_ref()))?,
            min_expires_in: under_a_second_is_none(
                "min_expires_in",
                self.option(|item| item.min_expires_in.as_ref()),
            )?,
        })
    }

    /// The window in which the same request gives the same URL.
    pub(super) fn reuse_window(self) -> Result<Option<Seconds>, Failure> {
        under_a_second_is_none("reuse_window", self.option(|item| item.reuse_window.as_ref()))
    }
}

/// What stands under every request of a batch, read once.
pub(super) struct Defaults<'a> {
    item: &'a Item<'a>,
    message: Option<&'a Wire>,
    /// What is signed for a request that adds nothing to it.
    parts: Result<Parts<'a>, Failure>,
}

impl<'a> Defaults<'a> {
    /// `message` is that of the operation of `item`.
    pub(super) fn new(item: &'a Item<'a>, message: Option<&'a Wire>) -> Self {
        Self { item, message, parts: Merged::new(item, None).parts(message) }
    }

    /// The operation's message, when anything is set in it.
    pub(super) fn message(&self) -> Option<&'a Wire> {
        self.message
    }

    pub(super) fn item(&self) -> &'a Item<'a> {
        self.item
    }

    pub(super) fn parts(&self) -> Result<&Parts<'a>, Failure> {
        self.parts.as_ref().map_err(Clone::clone)
    }
}

/// A duration that is not negative, without its fraction of a second.
fn duration(field: &'static str, wire: Option<&WireDuration>) -> Result<Option<Duration>, Failure> {
    let Some(&WireDuration { seconds, nanos }) = wire else { return Ok(None) };
    let refuse = |problem| Err(Failure::Duration { field, problem });
    if seconds < 0 || nanos < 0 {
        return refuse("is negative: ask for 1 second or more");
    }
    if seconds > LONGEST_SECONDS || nanos > 999_999_999 {
        return refuse("is not a valid google.protobuf.Duration");
    }
    Ok(Some(Duration::from_secs(seconds.unsigned_abs())))
}

pub(super) fn expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    let field = "expires_in";
    let too_short = Failure::Duration { field, problem: "is under 1 second: ask for 1 second or more" };
    duration(field, wire)?.map(|asked| Seconds::rounded_down(asked).ok_or(too_short)).transpose()
}

/// Under a second it asks for nothing: no URL works for less.
pub(super) fn min_expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    under_a_second_is_none("min_expires_in", wire)
}

/// No URL works for less, and every signing time is in whole seconds.
fn under_a_second_is_none(
    field: &'static str,
    wire: Option<&WireDuration>,
) -> Result<Option<Seconds>, Failure> {
    Ok(duration(field, wire)?.and_then(Seconds::rounded_down))
}
