//! The S3 operations that can be signed: one row each.
//!
//! The parameters of each operation stand beside the wire format (`service::parameters`); here is what signing needs.

use std::fmt;

/// An S3 operation: the fixed part of its request.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// S3's name of it, as in the API reference, in policies and in metrics.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// Whether it works on an object or on the whole bucket.
    pub level: Level,
    /// The query parameter that tells this operation from others with the same method, where there is one.
    pub subresource: Option<(&'static str, &'static str)>,
    /// Headers and query parameters without which S3 refuses it, by their names on the wire.
    pub required: &'static [&'static str],
    /// Its place in [`OPERATIONS`].
    pub index: usize,
}

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An object: a key is needed.
    Object,
    /// The bucket: a key has no place.
    Bucket,
}

/// The HTTP methods that S3 operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
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
}

impl Method {
    /// The method as it stands in a request line.
    pub fn as_str(self) -> &'static str {
        self.line().trim_ascii_end()
    }

    /// The same as the first line of a canonical request.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Get => "GET\n",
            Self::Head => "HEAD\n",
            Self::Put => "PUT\n",
            Self::Post => "POST\n",
            Self::Delete => "DELETE\n",
        }
    }
}

impl fmt::Display for Method {
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
            pub static $constant: Operation = Operation {
                name: $name,
                method: Method::$method,
                level: Level::$level,
                subresource: operations!(@subresource $($key = $value)?),
                required: &[$($required),*],
                index: Index::$constant as usize,
            };
        )+

        /// Every operation, in the order of their fields in the contract.
        pub static OPERATIONS: [&Operation; [$($name),+].len()] = [$(&$constant),+];
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_knows_its_place_in_the_table() {
        for (place, operation) in OPERATIONS.iter().enumerate() {
            assert_eq!(operation.index, place, "{}", operation.name);
        }
    }
}
