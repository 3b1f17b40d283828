//! The headers and query parameters of a request: validated when added, written in canonical order.

use std::borrow::Cow;

use thiserror::Error;

use super::encode;

/// The maximum number of headers, and of query parameters, in one request.
pub const MAX_PARAMETERS: usize = 100;

/// The maximum size, in bytes, of the name or the value of a header or query parameter. S3 allows 8 KB for all headers.
pub const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Headers that callers cannot set, and why: presignd sets them, or proxies may change them on the way to S3.
const FORBIDDEN_HEADERS: [(&str, &str); 21] = [
    ("host", "it is always signed, with the host of the URL"),
    ("authorization", "the query of the URL carries the authentication"),
    ("x-amz-algorithm", "presignd adds it to the query of the URL"),
    ("x-amz-credential", "presignd adds it to the query of the URL"),
    ("x-amz-date", "presignd adds it to the query of the URL"),
    ("x-amz-expires", "set expires_in instead"),
    ("x-amz-signature", "presignd adds it to the query of the URL"),
    ("x-amz-signedheaders", "presignd adds it to the query of the URL"),
    ("x-amz-security-token", "presignd adds it to the query of the URL"),
    ("x-amz-content-sha256", "presigned URLs are signed with UNSIGNED-PAYLOAD"),
    ("x-amz-s3session-token", "presignd adds it to the query of the URL"),
    ("proxy-authenticate", "it may change on the way to S3, which would break the signature"),
    ("proxy-authorization", "it may change on the way to S3, which would break the signature"),
    ("proxy-connection", "it may change on the way to S3, which would break the signature"),
    ("connection", "it may change on the way to S3, which would break the signature"),
    ("keep-alive", "it may change on the way to S3, which would break the signature"),
    ("te", "it may change on the way to S3, which would break the signature"),
    ("trailer", "it may change on the way to S3, which would break the signature"),
    ("transfer-encoding", "it may change on the way to S3, which would break the signature"),
    ("upgrade", "it may change on the way to S3, which would break the signature"),
    ("expect", "it may change on the way to S3, which would break the signature"),
];

/// Query parameters of SigV2. S3 rejects a request with two kinds of authentication.
///
/// Source: [Authenticating requests (SigV2)](https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html).
const FORBIDDEN_QUERY: [&str; 3] = ["AWSAccessKeyId", "Signature", "Expires"];

/// Authentication parameters of SigV4, which presignd writes.
///
/// Source: [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
const AUTHENTICATION_QUERY: [&str; 10] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Region-Set",
    "X-Amz-S3session-Token",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Content-Sha256",
];

/// Query parameters that select the operation, in addition to the method.
///
/// A typed operation sets its own. In a caller's `query` they would turn `GetObject` into `GetObjectAcl`, which would
/// bypass every rule that names operations. Source: the request syntax of each page of the
/// [S3 API reference](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html);
/// `tests/python/s3_model.py` compares them with botocore's model of S3.
pub(crate) const OPERATION_QUERY: [&str; 45] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "annotations",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Headers that change the operation of a PUT.
const OPERATION_HEADERS: [&str; 2] = ["x-amz-copy-source", "x-amz-rename-source"];

/// The headers to sign in addition to `host`: names in lower case, values trimmed, sorted by name.
#[derive(Clone, Default)]
pub struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// The query parameters to sign in addition to the authentication parameters, not percent-encoded.
#[derive(Clone, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Why a header or query parameter is rejected. Messages never contain values, which may be secrets (SSE-C keys).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ParameterError {
    /// Not a valid header name.
    #[error("{0:?} is not a header name: use only letters, digits and !#$%&'*+-.^_`|~")]
    HeaderName(String),
    /// Not a valid header value.
    #[error(
        "the value of header {0} contains a control character or a non-ASCII character: \
         encode it first (RFC 8187 for file names, otherwise Base64 or percent-encoding)"
    )]
    HeaderValue(String),
    /// A header that callers cannot set.
    #[error("header {name} cannot be set: {why}")]
    ForbiddenHeader {
        /// The header.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The same header is set twice.
    #[error("header {0} is given twice: set it once, in the operation or in headers")]
    HeaderTwice(String),
    /// A header or query parameter that would change the operation of the request.
    #[error("{0} would change the operation: use the operation that has this parameter, or http")]
    ChangesOperation(String),
    /// The same in a request whose operation is `http`, which has a field for such parameters.
    #[error("{name} would change the operation: set it in {field} instead")]
    ChangesHttpOperation {
        /// The header or query parameter.
        name: String,
        /// The field of the request to set instead.
        field: &'static str,
    },
    /// Not an HTTP method.
    #[error("{0:?} is not an HTTP method: use capital letters, such as GET, HEAD, PUT, POST or DELETE")]
    Method(String),
    /// A query parameter without a name.
    #[error("a query parameter has an empty name: give it a name")]
    QueryName,
    /// A query parameter that presignd writes, or that belongs to SigV2.
    #[error("query parameter {0} cannot be set: it is reserved for authentication, which presignd adds")]
    ForbiddenQuery(String),
    /// The same query parameter is set twice.
    #[error("query parameter {} is given twice: set it once, in the operation or in query", .0.escape_debug())]
    QueryTwice(String),
    /// A required parameter is not set.
    #[error("{name} is not set: {operation} requires it")]
    Missing {
        /// The operation.
        operation: &'static str,
        /// The name of the header or query parameter.
        name: &'static str,
    },
    /// A number outside its range.
    #[error("{name} is {value}: it must be from {min} to {max}")]
    Range {
        /// The name of the header or query parameter.
        name: &'static str,
        /// The rejected value.
        value: i64,
        /// The minimum.
        min: i64,
        /// The maximum.
        max: i64,
    },
    /// A time that the header or query parameter cannot express.
    #[error("{0} is out of range: it must be a time in the years 1 to 9999")]
    Time(&'static str),
    /// Over [`MAX_PARAMETERS`].
    #[error("too many headers or query parameters: at most {MAX_PARAMETERS} of each are allowed")]
    TooMany,
    /// A name or value over [`MAX_VALUE_BYTES`].
    #[error("the name or the value of {} is too long: at most {MAX_VALUE_BYTES} bytes are allowed", .0.escape_debug())]
    TooLong(String),
}

impl ParameterError {
    /// The error for a request without an HTTP method.
    pub fn no_method() -> Self {
        Self::Method(String::new())
    }

    /// The same error for a request whose operation is `http`, where the parameter belongs in `field`.
    #[must_use]
    pub fn for_http(self, field: &'static str) -> Self {
        match self {
            Self::ChangesOperation(name) => Self::ChangesHttpOperation { name, field },
            other => other,
        }
    }
}

impl<'a> Headers<'a> {
    /// Adds a header.
    ///
    /// # Errors
    /// When callers cannot set the header, its name or value is invalid, or it is set already.
    pub fn add(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, str>>,
    ) -> Result<(), ParameterError> {
        let (name, value) = (to_lower_case(name.into()), trim(value.into()));
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(ParameterError::HeaderName(name.into_owned()));
        }
        if let Some((_, why)) =
            FORBIDDEN_HEADERS.iter().find(|(forbidden, _)| is_equivalent_header(&name, forbidden))
        {
            return Err(ParameterError::ForbiddenHeader { name: name.into_owned(), why });
        }
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(ParameterError::HeaderValue(name.into_owned()));
        }
        check_size(self.0.len(), &name, &value)?;
        match self.0.binary_search_by(|(known, _)| known.as_ref().cmp(&name)) {
            Ok(_) => Err(ParameterError::HeaderTwice(name.into_owned())),
            Err(index) => {
                self.0.insert(index, (name, value));
                Ok(())
            }
        }
    }

    /// Adds a header from the caller's `headers`, in addition to those of the operation.
    ///
    /// # Errors
    /// As [`Self::add`], and when the header would change the operation.
    pub fn add_custom(&mut self, name: &'a str, value: &'a str) -> Result<(), ParameterError> {
        if changes_operation(name) {
            return Err(ParameterError::ChangesOperation(name.to_ascii_lowercase()));
        }
        self.add(name, value)
    }

    /// Whether a header is set. `name` must be in lower case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).is_ok()
    }

    /// Whether no header is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<'a> Query<'a> {
    /// Adds a query parameter; name and value are not encoded.
    ///
    /// # Errors
    /// When it is reserved for authentication, has no name, or is set already.
    pub fn add(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, str>>,
    ) -> Result<(), ParameterError> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err(ParameterError::QueryName);
        }
        if FORBIDDEN_QUERY.contains(&name.as_ref())
            || AUTHENTICATION_QUERY.iter().any(|known| known.eq_ignore_ascii_case(&name))
        {
            return Err(ParameterError::ForbiddenQuery(name.into_owned()));
        }
        check_size(self.0.len(), &name, &value)?;
        if self.contains(&name) {
            return Err(ParameterError::QueryTwice(name.into_owned()));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Adds a parameter from the caller's `query`, in addition to those of the operation.
    ///
    /// # Errors
    /// As [`Self::add`], and when the parameter would change the operation.
    pub fn add_custom(&mut self, name: &'a str, value: &'a str) -> Result<(), ParameterError> {
        if changes_operation(name) || (OPERATION_QUERY.contains(&name) && !self.contains(name)) {
            return Err(ParameterError::ChangesOperation(name.to_owned()));
        }
        self.add(name, value)
    }

    /// Whether a parameter is set.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Names and values, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Pairs of encoded name and unencoded value, sorted by name, including `subresource`.
    pub(super) fn canonical<'q>(
        &'q self,
        subresource: Option<(&'q str, &'q str)>,
    ) -> Vec<(Cow<'q, str>, &'q str)> {
        if self.0.is_empty() && subresource.is_none() {
            return Vec::new();
        }
        let mut all: Vec<_> =
            self.iter().chain(subresource).map(|(name, value)| (encode_name(name), value)).collect();
        all.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        all
    }
}

/// Whether a server may treat one header as another: CGI and WSGI do not distinguish `_` from `-`.
fn is_equivalent_header(name: &str, header: &str) -> bool {
    let is_same = |(one, other): (u8, u8)| one == other || (one == b'_' && other == b'-');
    let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
    name.len() == header.len() && lower.zip(header.bytes()).all(is_same)
}

fn changes_operation(name: &str) -> bool {
    OPERATION_HEADERS.iter().any(|header| is_equivalent_header(name, header))
}

fn encode_name(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Cow::Borrowed(name);
    }
    let mut encoded = String::with_capacity(name.len() + 8);
    encode::query(name, &mut encoded);
    Cow::Owned(encoded)
}

fn check_size(count: usize, name: &str, value: &str) -> Result<(), ParameterError> {
    if count >= MAX_PARAMETERS {
        return Err(ParameterError::TooMany);
    }
    if name.len() > MAX_VALUE_BYTES || value.len() > MAX_VALUE_BYTES {
        return Err(ParameterError::TooLong(name.chars().take(64).collect()));
    }
    Ok(())
}

fn to_lower_case(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        name
    }
}

fn trim(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches([' ', '\t'])),
        Cow::Owned(text) => Cow::Owned(text.trim_matches([' ', '\t']).to_owned()),
    }
}

/// Whether a header name can contain this byte: `token` of [RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lower_case_trimmed_and_sorted() {
        let mut headers = Headers::default();
        headers.add("X-Amz-Meta-B", "  two  words ").unwrap();
        headers.add("content-type", "text/plain").unwrap();
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("content-type", "text/plain"), ("x-amz-meta-b", "two  words")]);
    }

    #[test]
    fn reserved_and_hop_by_hop_headers_are_rejected() {
        for name in [
            "host",
            "Host",
            "x-amz-date",
            "X-Amz-Security-Token",
            "authorization",
            "connection",
            "x_amz_date",
            "X_Amz-Security_Token",
            "transfer_encoding",
        ] {
            let error = Headers::default().add(name, "x").unwrap_err();
            assert!(matches!(error, ParameterError::ForbiddenHeader { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn header_that_could_split_a_request_is_rejected() {
        for (name, value) in [("a b", "x"), ("", "x"), ("a:b", "x"), ("a\r\nb", "x")] {
            let error = Headers::default().add(name, value).unwrap_err();
            assert!(matches!(error, ParameterError::HeaderName(_)), "{name:?}");
        }
        for value in ["a\nb", "a\r\nx: y", "\u{0}", "a\tb", "ü", "\u{7f}"] {
            let error = Headers::default().add("x-amz-meta-a", value).unwrap_err();
            assert_eq!(error, ParameterError::HeaderValue("x-amz-meta-a".into()), "{value:?}");
        }
    }

    /// Found by the fuzz target `url`.
    #[test]
    fn errors_escape_control_characters_in_names() {
        let mut query = Query::default();
        query.add("W\0loadId\n", "a").unwrap();
        let twice = query.add("W\0loadId\n", "b").unwrap_err();
        let long = query.add("x\u{1b}[0m", "y".repeat(MAX_VALUE_BYTES + 1)).unwrap_err();
        for error in [twice, long] {
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn duplicate_headers_and_query_parameters_are_rejected() {
        let mut headers = Headers::default();
        headers.add("Content-Type", "a").unwrap();
        assert_eq!(headers.add("content-type", "a"), Err(ParameterError::HeaderTwice("content-type".into())));
        let mut query = Query::default();
        query.add("versionId", "a").unwrap();
        assert_eq!(query.add("versionId", "a"), Err(ParameterError::QueryTwice("versionId".into())));
    }

    #[test]
    fn authentication_parameters_are_rejected_in_any_case() {
        for name in ["X-Amz-Signature", "x-amz-expires", "X-AMZ-DATE", "Signature", "AWSAccessKeyId"] {
            let error = Query::default().add(name, "x").unwrap_err();
            assert_eq!(error, ParameterError::ForbiddenQuery(name.into()));
        }
    }

    #[test]
    fn parameters_that_change_the_operation_are_rejected() {
        for name in OPERATION_QUERY {
            let error = Query::default().add_custom(name, "").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.into()));
        }
        for name in ["X-Amz-Copy-Source", "x_amz_copy_source", "x-amz_rename-SOURCE"] {
            let error = Headers::default().add_custom(name, "a/b").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.to_ascii_lowercase()));
            let error = Query::default().add_custom(name, "a/b").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.into()));
        }
        Headers::default().add_custom("x-amz-meta-copy_source", "a/b").unwrap();
        Query::default().add_custom("x-id", "GetObject").unwrap();
    }

    #[test]
    fn canonical_query_is_sorted_by_encoded_name() {
        let mut query = Query::default();
        for name in ["b", "a b", "a", "ä", "A"] {
            query.add(name, "1/2").unwrap();
        }
        let sorted = query.canonical(Some(("acl", "")));
        let names: Vec<_> = sorted.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["%C3%A4", "A", "a", "a%20b", "acl", "b"]);
    }
}
