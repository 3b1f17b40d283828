//! The S3 operations that can be signed: one row each.
//!
//! The parameters of each operation are in `service::operations`, with its field in the contract; here is what signing
//! needs.

use std::fmt;

use super::parameters::{ParameterError, is_token};

/// An S3 operation: the fixed part of its request. Those of the table are `'static`; [`Operation::http`] makes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// S3's name of it, as in the API reference, in policies and in metrics.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method<'a>,
    /// Whether it works on an object or on the whole bucket.
    pub level: Level,
    /// The query parameter that tells this operation from others with the same method, where there is one.
    pub subresource: Option<(&'static str, &'static str)>,
    /// Headers and query parameters without which S3 refuses it, by their names on the wire.
    pub required: &'static [&'static str],
    /// A number below [`KINDS`] that no other operation has, for tables of metrics: 0 is [`HTTP`], and the others follow
    /// in the order of [`OPERATIONS`].
    pub index: usize,
}

/// Any S3 call by its method, here GET: its query and headers make it what it is. [`Operation::http`] has another
/// method.
///
/// It has one name in policies and in metrics, whatever it does: a rule that allows `GetObject` does not allow it.
pub static HTTP: Operation<'static> = Operation {
    name: "Http",
    method: Method::Get,
    level: Level::Either,
    subresource: None,
    required: &[],
    index: 0,
};

/// How many kinds of operations there are, [`HTTP`] among them.
pub const KINDS: usize = OPERATIONS.len() + 1;

impl<'a> Operation<'a> {
    /// Any S3 call with this method.
    pub fn http(method: Method<'a>) -> Self {
        Self { method, ..HTTP.clone() }
    }

    /// Whether it is a call by its method.
    pub fn is_http(&self) -> bool {
        self.index == HTTP.index
    }
}

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An object: a key is needed.
    Object,
    /// The bucket: a key has no place.
    Bucket,
    /// The object when there is a key, otherwise the bucket.
    Either,
}

/// The HTTP methods that S3 operations use, and any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
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
    /// A method that no operation of the table has.
    Other(MethodName<'a>),
}

/// The name of an HTTP method, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodName<'a>(&'a str);

/// The longest name of a method.
const MAX_METHOD_BYTES: usize = 32;

impl<'a> Method<'a> {
    /// The method as it stands in a request line.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Other(MethodName(name)) => name,
            known => known.line().trim_ascii_end(),
        }
    }

    /// The same as the first line of a canonical request, in one piece; another method has no piece of its own.
    pub(super) fn line(self) -> &'static str {
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

impl<'a> TryFrom<&'a str> for Method<'a> {
    type Error = ParameterError;

    /// A token of [RFC 9110, section 9.1](https://www.rfc-editor.org/rfc/rfc9110#section-9.1), without small letters:
    /// methods are case-sensitive, and HTTP clients would not send others as they are.
    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        let known = [Self::Get, Self::Head, Self::Put, Self::Post, Self::Delete];
        if let Some(known) = known.into_iter().find(|known| known.as_str() == text) {
            return Ok(known);
        }
        let fits = (1..=MAX_METHOD_BYTES).contains(&text.len())
            && text.bytes().all(|byte| is_token(byte) && !byte.is_ascii_lowercase());
        if fits {
            Ok(Self::Other(MethodName(text)))
        } else {
            Err(ParameterError::Method(text.chars().take(MAX_METHOD_BYTES).collect()))
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares each operation as a constant and all of them as one table.
macro_rules! operations {
    ($($constant:ident: $name:literal $method:ident $level:ident $(? $key:literal = $value:literal)? [$($required:literal),*];)+) => {
        #[expect(non_camel_case_types, reason = "numbers the rows; the names are those of the constants")]
        enum Index { $($constant),+ }

        $(
            #[doc = concat!("<https://docs.aws.amazon.com/AmazonS3/latest/API/API_", $name, ".html>")]
            pub static $constant: Operation<'static> = Operation {
                name: $name,
                method: Method::$method,
                level: Level::$level,
                subresource: operations!(@subresource $($key = $value)?),
                required: &[$($required),*],
                index: 1 + Index::$constant as usize,
            };
        )+

        /// Every operation but [`HTTP`].
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
    fn each_operation_has_an_index_of_its_own() {
        let indexes: Vec<_> =
            [&HTTP].into_iter().chain(OPERATIONS).map(|operation| operation.index).collect();
        assert_eq!(indexes, (0..KINDS).collect::<Vec<_>>());
    }

    #[test]
    fn only_a_call_by_method_is_http() {
        assert!(HTTP.is_http() && Operation::http(Method::Put).is_http());
        assert!(!OPERATIONS.iter().any(|operation| operation.is_http()));
    }

    #[test]
    fn a_method_is_any_token_in_capitals() {
        for text in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"] {
            assert_eq!(Method::try_from(text).unwrap().as_str(), text);
        }
        for text in ["", "get", "Get", "GET ", "GET\n", "G/T", "GÉT", &"X".repeat(33)] {
            assert!(matches!(Method::try_from(text), Err(ParameterError::Method(_))), "{text:?}");
        }
    }
}
