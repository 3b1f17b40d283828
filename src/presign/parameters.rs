//! The headers and query parameters of a request: checked as they come in, in canonical order when they leave.

use std::borrow::Cow;

use thiserror::Error;

use super::encode;

/// The most headers, and the most query parameters, of one request.
pub const MAX_PARAMETERS: usize = 100;

/// The most bytes in a header's value or a query parameter's; S3 takes 8 KB of headers in all.
pub const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Headers that the signature covers in another way, or that change between the holder of the URL and S3.
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

/// Query parameters of other ways to authenticate: S3 refuses a request that has two.
///
/// Source: [Authenticating requests (SigV2)](https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html).
const FORBIDDEN_QUERY: [&str; 3] = ["AWSAccessKeyId", "Signature", "Expires"];

/// Authentication parameters of SigV4: presignd writes them.
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

/// Query parameters that make S3 do another thing than the method alone says: they choose the operation.
///
/// A typed operation sets its own; taken from a caller's `query` they would turn `GetObject` into `GetObjectAcl`
/// behind the back of every rule that names operations. Source: the request syntax of each page of the
/// [S3 API reference](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html);
/// `tests/python/s3_model.py` holds them against botocore's model of S3.
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

/// Headers that make a PUT do another thing.
const OPERATION_HEADERS: [&str; 2] = ["x-amz-copy-source", "x-amz-rename-source"];

/// The headers to sign beside `host`: names in lower case, values trimmed, sorted by name.
#[derive(Clone, Default)]
pub struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// The query parameters to sign beside the authentication, not yet encoded.
#[derive(Clone, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Why a header or a query parameter cannot be signed. Values are never repeated: they may be secrets (SSE-C keys).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ParameterError {
    /// Not a header name.
    #[error("{0:?} is not a header name: use only letters, digits and !#$%&'*+-.^_`|~")]
    HeaderName(String),
    /// Not a header value.
    #[error(
        "the value of header {0} contains a control character or a non-ASCII character: \
         encode it first (RFC 8187 for file names, otherwise Base64 or percent-encoding)"
    )]
    HeaderValue(String),
    /// A header that may not be signed by the caller.
    #[error("header {name} cannot be set: {why}")]
    ForbiddenHeader {
        /// The header.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The same header twice.
    #[error("header {0} is given twice: set it once, in the operation or in headers")]
    HeaderTwice(String),
    /// A header or a query parameter that would make the request another operation.
    #[error("{0} would change the operation: use the operation that has this parameter, or http")]
    ChangesOperation(String),
    /// The same next to `http`, which has a field of its own for it.
    #[error("{name} would change the operation: set it in {field} instead")]
    ChangesHttpOperation {
        /// The header or the query parameter.
        name: String,
        /// The field of the request that takes it.
        field: &'static str,
    },
    /// Not an HTTP method.
    #[error("{0:?} is not an HTTP method: use capital letters, such as GET, HEAD, PUT, POST or DELETE")]
    Method(String),
    /// A nameless query parameter.
    #[error("a query parameter has an empty name: give it a name")]
    QueryName,
    /// A query parameter that presignd writes, or that belongs to another way to authenticate.
    #[error("query parameter {0} cannot be set: it is reserved for authentication, which presignd adds")]
    ForbiddenQuery(String),
    /// The same query parameter twice.
    #[error("query parameter {} is given twice: set it once, in the operation or in query", .0.escape_debug())]
    QueryTwice(String),
    /// A parameter without which S3 refuses the request.
    #[error("{name} is not set: {operation} requires it")]
    Missing {
        /// The operation.
        operation: &'static str,
        /// The parameter's name on the wire.
        name: &'static str,
    },
    /// A number outside its range.
    #[error("{name} is {value}: it must be from {min} to {max}")]
    Range {
        /// The parameter's name on the wire.
        name: &'static str,
        /// What was given.
        value: i64,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A time that cannot be written.
    #[error("{0} is out of range: it must be a time in the years 1 to 9999")]
    Time(&'static str),
    /// Too many of them.
    #[error("too many headers or query parameters: at most {MAX_PARAMETERS} of each are allowed")]
    TooMany,
    /// A value too long.
    #[error("the name or the value of {} is too long: at most {MAX_VALUE_BYTES} bytes are allowed", .0.escape_debug())]
    TooLong(String),
}

impl ParameterError {
    /// There is no HTTP method at all.
    pub fn no_method() -> Self {
        Self::Method(String::new())
    }

    /// The same error for a request whose operation is `http`: there, the parameter belongs in `field`.
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
    /// When the header may not be signed, cannot stand in a request, or is there already.
    pub fn add(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, str>>,
    ) -> Result<(), ParameterError> {
        let (name, value) = (lower_case(name.into()), trimmed(value.into()));
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(ParameterError::HeaderName(name.into_owned()));
        }
        if let Some((_, why)) = FORBIDDEN_HEADERS.iter().find(|(forbidden, _)| is_read_as(&name, forbidden)) {
            return Err(ParameterError::ForbiddenHeader { name: name.into_owned(), why });
        }
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(ParameterError::HeaderValue(name.into_owned()));
        }
        check_size(self.0.len(), &name, &value)?;
        match self.0.binary_search_by(|(known, _)| known.as_ref().cmp(&name)) {
            Ok(_) => Err(ParameterError::HeaderTwice(name.into_owned())),
            Err(place) => {
                self.0.insert(place, (name, value));
                Ok(())
            }
        }
    }

    /// Adds a header that the caller named freely, beside those of the operation.
    ///
    /// # Errors
    /// As [`Self::add`], and when the header would make the request another operation.
    pub fn add_further(&mut self, name: &'a str, value: &'a str) -> Result<(), ParameterError> {
        if chooses_operation(name) {
            return Err(ParameterError::ChangesOperation(name.to_ascii_lowercase()));
        }
        self.add(name, value)
    }

    /// Whether a header is there; the name is in lower case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).is_ok()
    }

    /// Whether there is none.
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
    /// When it belongs to the authentication, has no name, or is there already.
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

    /// Adds a parameter that the caller named freely, beside those of the operation.
    ///
    /// # Errors
    /// As [`Self::add`], and when the parameter would make the request another operation.
    pub fn add_further(&mut self, name: &'a str, value: &'a str) -> Result<(), ParameterError> {
        if chooses_operation(name) || (OPERATION_QUERY.contains(&name) && !self.contains(name)) {
            return Err(ParameterError::ChangesOperation(name.to_owned()));
        }
        self.add(name, value)
    }

    /// Whether a parameter is there.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Names and values, as they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Encoded names and values that are not, sorted by name; `subresource` is one of them.
    pub(super) fn canonical<'q>(
        &'q self,
        subresource: Option<(&'q str, &'q str)>,
    ) -> Vec<(Cow<'q, str>, &'q str)> {
        if self.0.is_empty() && subresource.is_none() {
            return Vec::new();
        }
        let mut all: Vec<_> =
            self.iter().chain(subresource).map(|(name, value)| (encoded_name(name), value)).collect();
        all.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        all
    }
}

/// Whether a server may take one header for another: what speaks CGI or WSGI to its application cannot tell `_` from `-`.
fn is_read_as(name: &str, header: &str) -> bool {
    let alike = |(one, other): (u8, u8)| one == other || (one == b'_' && other == b'-');
    let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
    name.len() == header.len() && lower.zip(header.bytes()).all(alike)
}

fn chooses_operation(name: &str) -> bool {
    OPERATION_HEADERS.iter().any(|header| is_read_as(name, header))
}

fn encoded_name(name: &str) -> Cow<'_, str> {
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

fn lower_case(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        name
    }
}

fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches([' ', '\t'])),
        Cow::Owned(text) => Cow::Owned(text.trim_matches([' ', '\t']).to_owned()),
    }
}

/// A character of a header name: `token` of [RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_leave_in_lower_case_trimmed_and_sorted() {
        let mut headers = Headers::default();
        headers.add("X-Amz-Meta-B", "  two  words ").unwrap();
        headers.add("content-type", "text/plain").unwrap();
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("content-type", "text/plain"), ("x-amz-meta-b", "two  words")]);
    }

    #[test]
    fn a_header_that_presignd_or_the_way_to_s3_decides_is_refused() {
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
    fn a_header_that_could_split_a_request_is_refused_without_its_value() {
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
    fn no_error_holds_a_control_character_of_a_name() {
        let mut query = Query::default();
        query.add("W\0loadId\n", "a").unwrap();
        let twice = query.add("W\0loadId\n", "b").unwrap_err();
        let long = query.add("x\u{1b}[0m", "y".repeat(MAX_VALUE_BYTES + 1)).unwrap_err();
        for error in [twice, long] {
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn a_header_or_a_query_parameter_given_twice_is_refused() {
        let mut headers = Headers::default();
        headers.add("Content-Type", "a").unwrap();
        assert_eq!(headers.add("content-type", "a"), Err(ParameterError::HeaderTwice("content-type".into())));
        let mut query = Query::default();
        query.add("versionId", "a").unwrap();
        assert_eq!(query.add("versionId", "a"), Err(ParameterError::QueryTwice("versionId".into())));
    }

    #[test]
    fn authentication_parameters_may_not_be_given_in_any_case() {
        for name in ["X-Amz-Signature", "x-amz-expires", "X-AMZ-DATE", "Signature", "AWSAccessKeyId"] {
            let error = Query::default().add(name, "x").unwrap_err();
            assert_eq!(error, ParameterError::ForbiddenQuery(name.into()));
        }
    }

    #[test]
    fn what_would_make_the_request_another_operation_is_refused() {
        for name in OPERATION_QUERY {
            let error = Query::default().add_further(name, "").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.into()));
        }
        for name in ["X-Amz-Copy-Source", "x_amz_copy_source", "x-amz_rename-SOURCE"] {
            let error = Headers::default().add_further(name, "a/b").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.to_ascii_lowercase()));
            let error = Query::default().add_further(name, "a/b").unwrap_err();
            assert_eq!(error, ParameterError::ChangesOperation(name.into()));
        }
        Headers::default().add_further("x-amz-meta-copy_source", "a/b").unwrap();
        Query::default().add_further("x-id", "GetObject").unwrap();
    }

    #[test]
    fn the_canonical_query_is_sorted_by_encoded_name() {
        let mut query = Query::default();
        for name in ["b", "a b", "a", "ä", "A"] {
            query.add(name, "1/2").unwrap();
        }
        let sorted = query.canonical(Some(("acl", "")));
        let names: Vec<_> = sorted.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["%C3%A4", "A", "a", "a%20b", "acl", "b"]);
    }
}
