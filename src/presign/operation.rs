//! The table of S3 operations that can be signed.
//!
//! It has what signing needs. The parameters of each operation, and the fields of the API that set them, are in
//! `service::request::operations`.

use std::fmt;

use super::parameters::{ParameterError, is_token};

/// The fixed part of an S3 operation's request. Operations of the table are `'static`; [`Operation::http`] creates others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The name in the S3 API reference, in policies and in metrics.
    pub name: &'static str,
    /// The HTTP method.
    pub method: HttpMethod<'a>,
    /// Whether it works on an object or on the bucket.
    pub level: Level,
    /// The query parameter that distinguishes this operation from others with the same method, if any.
    pub subresource: Option<(&'static str, &'static str)>,
    /// Names of the headers and query parameters that S3 requires.
    pub required: &'static [&'static str],
    /// A unique number below [`OPERATION_COUNT`], for tables of metrics: 0 for [`HTTP`], the others in the order of
    /// [`OPERATIONS`].
    pub index: usize,
}

/// Any S3 call, given by its HTTP method, headers and query. The method here is GET; [`Operation::http`] sets another.
///
/// It has the same name in policies and metrics for every call: a rule that allows `GetObject` does not allow it.
pub static HTTP: Operation<'static> = Operation {
    name: "Http",
    method: HttpMethod::Get,
    level: Level::Either,
    subresource: None,
    required: &[],
    index: 0,
};

/// The number of operations, including [`HTTP`].
pub const OPERATION_COUNT: usize = OPERATIONS.len() + 1;

impl<'a> Operation<'a> {
    /// The [`HTTP`] operation with this method.
    pub fn http(method: HttpMethod<'a>) -> Self {
        Self { method, ..HTTP.clone() }
    }

    /// Whether it is the [`HTTP`] operation, with any method.
    pub fn is_http(&self) -> bool {
        self.index == HTTP.index
    }
}

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An object: the key is required.
    Object,
    /// The bucket: no key is allowed.
    Bucket,
    /// The object if a key is set, otherwise the bucket.
    Either,
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod<'a> {
    /// GET
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// A method that no operation of the table uses.
    Other(MethodName<'a>),
}

/// The validated name of an HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodName<'a>(&'a str);

/// The maximum length of a method's name.
const MAX_METHOD_BYTES: usize = 32;

impl<'a> HttpMethod<'a> {
    /// The method as in a request line.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Other(MethodName(name)) => name,
            known => known.canonical_line().trim_ascii_end(),
        }
    }

    /// The first line of a canonical request, with its line feed. Empty for [`Self::Other`], whose line must be formatted.
    pub(super) fn canonical_line(self) -> &'static str {
        match self {
            Self::Get => "GET\n",
            Self::Head => "HEAD\n",
            Self::Put => "PUT\n",
            Self::Post => "POST\n",
            Self::Delete => "DELETE\n",
            Self::Other(_) => "",
        }
    }
}

impl<'a> TryFrom<&'a str> for HttpMethod<'a> {
    type Error = ParameterError;

    /// A token of [RFC 9110, section 9.1](https://www.rfc-editor.org/rfc/rfc9110#section-9.1), without lower-case letters:
    /// methods are case-sensitive, but some HTTP clients change lower-case methods.
    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        let known = [Self::Get, Self::Head, Self::Put, Self::Post, Self::Delete];
        if let Some(known) = known.into_iter().find(|known| known.as_str() == text) {
            return Ok(known);
        }
        let is_valid = (1..=MAX_METHOD_BYTES).contains(&text.len())
            && text.bytes().all(|byte| is_token(byte) && !byte.is_ascii_lowercase());
        if is_valid {
            Ok(Self::Other(MethodName(text)))
        } else {
            Err(ParameterError::Method(text.chars().take(MAX_METHOD_BYTES).collect()))
        }
    }
}

impl fmt::Display for HttpMethod<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares a static for each operation, and the table [`OPERATIONS`].
macro_rules! operations {
    ($($constant:ident: $name:literal $method:ident $level:ident $(? $key:literal = $value:literal)? [$($required:literal),*];)+) => {
        #[expect(non_camel_case_types, reason = "the names are those of the statics")]
        enum Index { $($constant),+ }

        $(
            #[doc = concat!("<https://docs.aws.amazon.com/AmazonS3/latest/API/API_", $name, ".html>")]
            pub static $constant: Operation<'static> = Operation {
                name: $name,
                method: HttpMethod::$method,
                level: Level::$level,
                subresource: operations!(@subresource $($key = $value)?),
                required: &[$($required),*],
                index: 1 + Index::$constant as usize,
            };
        )+

        /// Every operation except [`HTTP`].
        pub static OPERATIONS: [&Operation<'static>; [$($name),+].len()] = [$(&$constant),+];
    };
    (@subresource) => { None };
    (@subresource $key:literal = $value:literal) => { Some(($key, $value)) };
}

// Source of methods, sub-resources and required parameters: the page of each operation in the S3 API reference.
operations! {
    GET_OBJECT: "GetObject" Get Object [];
    HEAD_OBJECT: "HeadObject" Head Object [];
    PUT_OBJECT: "PutObject" Put Object [];
    DELETE_OBJECT: "DeleteObject" Delete Object [];
    DELETE_OBJECTS: "DeleteObjects" Post Bucket ?"delete" = "" [];
    COPY_OBJECT: "CopyObject" Put Object ["x-amz-copy-source"];
    CREATE_MULTIPART_UPLOAD: "CreateMultipartUpload" Post Object ?"uploads" = "" [];
    UPLOAD_PART: "UploadPart" Put Object ["partNumber", "uploadId"];
    UPLOAD_PART_COPY: "UploadPartCopy" Put Object ["x-amz-copy-source", "partNumber", "uploadId"];
    COMPLETE_MULTIPART_UPLOAD: "CompleteMultipartUpload" Post Object ["uploadId"];
    ABORT_MULTIPART_UPLOAD: "AbortMultipartUpload" Delete Object ["uploadId"];
    LIST_PARTS: "ListParts" Get Object ["uploadId"];
    LIST_MULTIPART_UPLOADS: "ListMultipartUploads" Get Bucket ?"uploads" = "" [];
    LIST_OBJECTS: "ListObjects" Get Bucket [];
    LIST_OBJECTS_V2: "ListObjectsV2" Get Bucket ?"list-type" = "2" [];
    LIST_OBJECT_VERSIONS: "ListObjectVersions" Get Bucket ?"versions" = "" [];
    HEAD_BUCKET: "HeadBucket" Head Bucket [];
    GET_OBJECT_TAGGING: "GetObjectTagging" Get Object ?"tagging" = "" [];
    PUT_OBJECT_TAGGING: "PutObjectTagging" Put Object ?"tagging" = "" [];
    DELETE_OBJECT_TAGGING: "DeleteObjectTagging" Delete Object ?"tagging" = "" [];
    GET_OBJECT_ATTRIBUTES: "GetObjectAttributes" Get Object ?"attributes" = "" ["x-amz-object-attributes"];
    GET_OBJECT_ACL: "GetObjectAcl" Get Object ?"acl" = "" [];
    PUT_OBJECT_ACL: "PutObjectAcl" Put Object ?"acl" = "" [];
    RESTORE_OBJECT: "RestoreObject" Post Object ?"restore" = "" [];
    GET_OBJECT_RETENTION: "GetObjectRetention" Get Object ?"retention" = "" [];
    PUT_OBJECT_RETENTION: "PutObjectRetention" Put Object ?"retention" = "" [];
    GET_OBJECT_LEGAL_HOLD: "GetObjectLegalHold" Get Object ?"legal-hold" = "" [];
    PUT_OBJECT_LEGAL_HOLD: "PutObjectLegalHold" Put Object ?"legal-hold" = "" [];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_indexes_are_unique_and_consecutive() {
        let indexes: Vec<_> =
            [&HTTP].into_iter().chain(OPERATIONS).map(|operation| operation.index).collect();
        assert_eq!(indexes, (0..OPERATION_COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn only_http_operations_are_http() {
        assert!(HTTP.is_http() && Operation::http(HttpMethod::Put).is_http());
        assert!(!OPERATIONS.iter().any(|operation| operation.is_http()));
    }

    #[test]
    fn method_is_a_token_without_lower_case() {
        for text in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"] {
            assert_eq!(HttpMethod::try_from(text).unwrap().as_str(), text);
        }
        for text in ["", "get", "Get", "GET ", "GET\n", "G/T", "GÉT", &"X".repeat(33)] {
            assert!(matches!(HttpMethod::try_from(text), Err(ParameterError::Method(_))), "{text:?}");
        }
    }
}
