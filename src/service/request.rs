//! From the wire's request, and a batch's defaults under it, to the core's request. Nothing is copied.

use std::{collections::BTreeMap, time::Duration};

use prost_types::Duration as WireDuration;

use super::{
    fields::{Parameters, Parts},
    status::Failure,
};
use crate::{
    pb::{self, presign_request::Operation as Wire},
    presign::{
        Request,
        expiry::Seconds,
        name::ObjectKey,
        operation::{self, Operation},
        parameters::{MAX_PARAMETERS, ParameterError},
    },
};

/// The longest duration that protobuf allows, about 10,000 years.
///
/// Source: [google.protobuf.Duration](https://protobuf.dev/reference/protobuf/google.protobuf/#duration).
const LONGEST_SECONDS: i64 = 315_576_000_000;

/// A request with a batch's defaults under it: a field that is set in the request wins.
#[derive(Clone, Copy)]
pub(super) struct Merged<'a> {
    own: &'a pb::PresignRequest,
    defaults: Option<&'a pb::PresignRequest>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(own: &'a pb::PresignRequest, defaults: Option<&'a pb::PresignRequest>) -> Self {
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

    /// Both maps in one, without a key twice.
    fn union(
        self,
        field: impl Fn(&'a pb::PresignRequest) -> &'a BTreeMap<String, String>,
        same: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = field(self.own);
        let under = self.defaults.map(field).into_iter().flatten();
        let under = under.filter(move |(name, _)| !own.keys().any(|own| same(own, name)));
        own.iter().chain(under).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every map that is merged, with the field that it stands in.
    fn maps(self) -> impl Iterator<Item = (&'static str, &'a BTreeMap<String, String>)> {
        let both = std::iter::once(self.own).chain(self.defaults);
        both.flat_map(|request| [("headers", &request.headers), ("query", &request.query)])
    }

    pub(super) fn bucket(self) -> &'a str {
        self.text(|request| &request.bucket)
    }

    pub(super) fn signer(self) -> &'a str {
        self.text(|request| &request.signer)
    }

    /// The operation, where it is one that this version signs.
    pub(super) fn operation(self) -> Option<&'static Operation> {
        self.wire_operation().ok().map(|(operation, _)| operation)
    }

    fn wire_operation(self) -> Result<(&'static Operation, &'a dyn Parameters), Failure> {
        typed(self.option(|request| request.operation.as_ref()).ok_or(Failure::NoOperation)?)
    }

    pub(super) fn to_core(self) -> Result<Request<'a>, Failure> {
        let (operation, message) = self.wire_operation()?;
        if self.option(|request| request.reuse_window.as_ref()).is_some() {
            return Err(Failure::NotInThisVersion("reuse_window"));
        }
        let mut parts = Parts::default();
        for (field, given) in self.maps() {
            if given.len() > MAX_PARAMETERS {
                return Err(Failure::Parameter { field, error: ParameterError::TooMany });
            }
        }
        let wrong_in = |field| move |error| Failure::Parameter { field, error };
        message.add_to(&mut parts).map_err(wrong_in("operation"))?;
        for (name, value) in self.union(|request| &request.headers, str::eq_ignore_ascii_case) {
            parts.headers.add_further(name, value).map_err(wrong_in("headers"))?;
        }
        for (name, value) in self.union(|request| &request.query, |own, under| own == under) {
            parts.query.add_further(name, value).map_err(wrong_in("query"))?;
        }
        Ok(Request {
            target: self.bucket().parse()?,
            key: ObjectKey::try_from(self.text(|request| &request.key))?,
            operation,
            headers: parts.headers,
            query: parts.query,
            expires_in: expires_in(self.option(|request| request.expires_in.as_ref()))?,
            min_expires_in: min_expires_in(self.option(|request| request.min_expires_in.as_ref()))?,
        })
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

fn expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    let field = "expires_in";
    let too_short = Failure::Duration { field, problem: "is under 1 second: ask for 1 second or more" };
    duration(field, wire)?.map(|asked| Seconds::rounded_down(asked).ok_or(too_short)).transpose()
}

/// Under a second it asks for nothing: no URL works for less.
fn min_expires_in(wire: Option<&WireDuration>) -> Result<Option<Seconds>, Failure> {
    Ok(duration("min_expires_in", wire)?.and_then(Seconds::rounded_down))
}

/// The row of the core's table for a typed operation, and its parameters.
fn typed(wire: &Wire) -> Result<(&'static Operation, &dyn Parameters), Failure> {
    Ok(match wire {
        Wire::GetObject(message) => (&operation::GET_OBJECT, message),
        Wire::HeadObject(message) => (&operation::HEAD_OBJECT, message),
        Wire::PutObject(message) => (&operation::PUT_OBJECT, message),
        Wire::DeleteObject(message) => (&operation::DELETE_OBJECT, message),
        Wire::DeleteObjects(message) => (&operation::DELETE_OBJECTS, message),
        Wire::CopyObject(message) => (&operation::COPY_OBJECT, message),
        Wire::CreateMultipartUpload(message) => (&operation::CREATE_MULTIPART_UPLOAD, message),
        Wire::UploadPart(message) => (&operation::UPLOAD_PART, message),
        Wire::UploadPartCopy(message) => (&operation::UPLOAD_PART_COPY, message),
        Wire::CompleteMultipartUpload(message) => (&operation::COMPLETE_MULTIPART_UPLOAD, message),
        Wire::AbortMultipartUpload(message) => (&operation::ABORT_MULTIPART_UPLOAD, message),
        Wire::ListParts(message) => (&operation::LIST_PARTS, message),
        Wire::ListMultipartUploads(message) => (&operation::LIST_MULTIPART_UPLOADS, message),
        Wire::ListObjects(message) => (&operation::LIST_OBJECTS, message),
        Wire::ListObjectsV2(message) => (&operation::LIST_OBJECTS_V2, message),
        Wire::ListObjectVersions(message) => (&operation::LIST_OBJECT_VERSIONS, message),
        Wire::HeadBucket(message) => (&operation::HEAD_BUCKET, message),
        Wire::GetObjectTagging(message) => (&operation::GET_OBJECT_TAGGING, message),
        Wire::PutObjectTagging(message) => (&operation::PUT_OBJECT_TAGGING, message),
        Wire::DeleteObjectTagging(message) => (&operation::DELETE_OBJECT_TAGGING, message),
        Wire::GetObjectAttributes(message) => (&operation::GET_OBJECT_ATTRIBUTES, message),
        Wire::GetObjectAcl(message) => (&operation::GET_OBJECT_ACL, message),
        Wire::PutObjectAcl(message) => (&operation::PUT_OBJECT_ACL, message),
        Wire::RestoreObject(message) => (&operation::RESTORE_OBJECT, message),
        Wire::Http(_) => return Err(Failure::NotInThisVersion("the http operation")),
    })
}
