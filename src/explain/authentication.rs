//! The authentication parameters of a URL: each by itself, and all of them as S3 reads them.
//!
//! Source: [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).

use std::time::{Duration, SystemTime};

use time::{Date, Month, Time, UtcDateTime};

use super::{
    url::{PlusMeaning, Url, decode},
    url_error::UrlError,
};
use crate::presign::{
    expiry::{SERVICE_MAXIMUM, Seconds},
    parameters::is_token,
    sign::{Algorithm, CredentialScope},
};

/// The authentication parameters of a URL, valid or not. A part is empty when it is missing or malformed: in a damaged URL
/// it may be a secret.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuthenticationParts {
    /// `X-Amz-Algorithm`.
    pub algorithm: String,
    /// The access key ID in `X-Amz-Credential`.
    pub access_key_id: String,
    /// The date of the credential scope.
    pub scope_date: String,
    /// The region of the credential scope; with SigV4A, `X-Amz-Region-Set`.
    pub scope_region: String,
    /// The service of the credential scope.
    pub scope_service: String,
    /// The names in `X-Amz-SignedHeaders`, in the same order and in lower case.
    pub signed_headers: Vec<String>,
    /// `X-Amz-Expires` in seconds, when it is a number.
    pub expires: Option<u64>,
    /// `X-Amz-Date`, when it is a time.
    pub signed_at: Option<SystemTime>,
    /// Whether the URL has a session token.
    pub has_session_token: bool,
}

/// Authentication parameters that S3 could read.
pub(super) struct Authentication {
    pub(super) algorithm: Algorithm,
    pub(super) access_key_id: String,
    /// `X-Amz-Date`.
    pub(super) date: String,
    pub(super) signed_at: SystemTime,
    pub(super) expires: Seconds,
    /// The region of the scope; empty for SigV4A, whose scope has no region.
    pub(super) region: String,
    pub(super) service: String,
    /// In lower case.
    pub(super) signed_headers: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) signature: String,
}

impl AuthenticationParts {
    /// Reads each part that is well-formed.
    pub(super) fn read(url: &Url) -> Self {
        let text = |name: &str| url.value(name).unwrap_or_default();
        let mut parts = Self {
            algorithm: find_algorithm(&text("X-Amz-Algorithm"))
                .map_or_else(String::new, |known| known.as_str().into()),
            signed_headers: parse_names(&text("X-Amz-SignedHeaders")),
            expires: text("X-Amz-Expires").parse().ok(),
            signed_at: parse_date(&text("X-Amz-Date")),
            has_session_token: TOKENS.iter().any(|name| url.value(name).is_some()),
            ..Self::default()
        };
        let credential = text("X-Amz-Credential");
        let Some([access_key_id, date, region, service]) = split_credential(&credential) else {
            parts.access_key_id = accept_part(credential.split('/').next().unwrap_or_default());
            return parts;
        };
        parts.access_key_id = accept_part(access_key_id);
        parts.scope_date = accept_part(date);
        parts.scope_region =
            if region.is_empty() { accept_part(&text("X-Amz-Region-Set")) } else { accept_part(region) };
        parts.scope_service = accept_part(service);
        parts
    }

    /// When the URL expires. None when its date or its lifetime is not valid.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let expires = Duration::from_secs(self.expires.filter(|expires| *expires <= SERVICE_MAXIMUM.get())?);
        self.signed_at?.checked_add(expires)
    }
}

/// The parameters for a session token: of STS, and of S3 Express.
pub(super) const TOKENS: [&str; 2] = ["X-Amz-Security-Token", "X-Amz-S3session-Token"];

/// The parameters that every presigned URL has.
const REQUIRED: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

impl Authentication {
    /// Checks and parses all parameters.
    ///
    /// # Errors
    /// The first reason why S3 could not read them.
    pub(super) fn parse(url: &Url, parts: &AuthenticationParts) -> Result<Self, UrlError> {
        check_kind(url)?;
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| url.count(name) == 0).collect();
        if !missing.is_empty() {
            return Err(UrlError::ParametersMissing(missing));
        }
        if let Some(name) = REQUIRED.iter().chain(&TOKENS).find(|name| url.count(name) > 1) {
            return Err(UrlError::DuplicateParameter(name));
        }
        let text = |name: &str| url.value(name).unwrap_or_default();
        let algorithm = find_algorithm(&parts.algorithm).ok_or(UrlError::Algorithm)?;
        let credential = text("X-Amz-Credential");
        let [access_key_id, scope_date, region, service] =
            split_credential(&credential).ok_or_else(|| find_credential_error(&credential))?;
        if region.is_empty() != (algorithm == Algorithm::SigV4A) || access_key_id.is_empty() {
            return Err(UrlError::Credential);
        }
        if algorithm == Algorithm::SigV4A && url.count("X-Amz-Region-Set") == 0 {
            return Err(UrlError::ParametersMissing(vec!["X-Amz-Region-Set"]));
        }
        let date = text("X-Amz-Date");
        let signed_at = parse_date(&date).ok_or(UrlError::Date)?;
        if !date.starts_with(scope_date) || scope_date.len() != DAY.len() {
            return Err(UrlError::ScopeDate);
        }
        let expires = parts.expires.and_then(|seconds| Seconds::rounded_down(Duration::from_secs(seconds)));
        let expires = expires.filter(|expires| *expires <= SERVICE_MAXIMUM).ok_or(UrlError::Expires)?;
        let signed_headers = parse_names(&text("X-Amz-SignedHeaders"));
        if !signed_headers.iter().any(|name| name == "host") {
            return Err(UrlError::HostUnsigned);
        }
        Ok(Self {
            algorithm,
            access_key_id: access_key_id.to_owned(),
            signed_at,
            expires,
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers,
            token: TOKENS.iter().find_map(|name| url.value(name)),
            signature: text("X-Amz-Signature"),
            date,
        })
    }

    /// The credential scope.
    pub(super) fn scope(&self) -> CredentialScope<'_> {
        self.scope_for(&self.region, &self.service)
    }

    /// The credential scope with another region and service.
    pub(super) fn scope_for<'a>(&'a self, region: &'a str, service: &'a str) -> CredentialScope<'a> {
        let day = self.date.get(..DAY.len()).unwrap_or_default();
        CredentialScope { day, region: Some(region).filter(|region| !region.is_empty()), service }
    }

    /// When the URL expires.
    pub(super) fn expires_at(&self) -> SystemTime {
        self.signed_at + self.expires.as_duration()
    }
}

/// Checks that the URL is presigned with Signature Version 4. One of its parameters is enough: the URL may be cut off.
fn check_kind(url: &Url) -> Result<(), UrlError> {
    let has = |name: &str| url.count(name) > 0;
    let any = |start: &str| url.query.iter().any(|parameter| parameter.name().starts_with(start));
    if any("X-Amz-Cred") || any("X-Amz-Sign") || any("X-Amz-Algorithm") {
        return Ok(());
    }
    if has("AWSAccessKeyId") && has("Signature") {
        return Err(UrlError::SigV2);
    }
    if has("Key-Pair-Id") && has("Signature") {
        return Err(UrlError::OtherService("CloudFront"));
    }
    if any("X-Goog-") {
        return Err(UrlError::OtherService("Google Cloud Storage"));
    }
    Err(UrlError::NotPresigned)
}

/// Why a credential is malformed. If it is well-formed after another decoding, the URL was encoded twice.
fn find_credential_error(credential: &str) -> UrlError {
    let is_encoded_twice = split_credential(&decode(credential, PlusMeaning::Plus)).is_some();
    if is_encoded_twice { UrlError::EncodedTwice } else { UrlError::Credential }
}

fn find_algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|known| known.as_str() == name)
}

/// The longest part of a credential, in bytes: an access key ID of IAM has at most 128.
const MAX_PART_BYTES: usize = 128;

/// A part of the credential, or an empty text when it is malformed.
fn accept_part(part: &str) -> String {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@:~*,".contains(&byte);
    let is_valid = part.len() <= MAX_PART_BYTES && part.bytes().all(may_be);
    if is_valid { part.to_owned() } else { String::new() }
}

/// Splits a credential into access key ID, date, region (empty for SigV4A) and service.
fn split_credential(credential: &str) -> Option<[&str; 4]> {
    let rest = credential.strip_suffix("/aws4_request")?;
    // From the right: an access key ID of other servers than AWS may contain a slash.
    let (rest, service) = rest.rsplit_once('/')?;
    let (rest, last) = rest.rsplit_once('/')?;
    let is_day = |text: &str| text.len() == DAY.len() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_day(last) {
        return Some([rest, last, "", service]);
    }
    let (access_key_id, day) = rest.rsplit_once('/')?;
    Some([access_key_id, day, last, service])
}

/// Splits a list of header names, without those that are malformed.
fn parse_names(list: &str) -> Vec<String> {
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(is_token);
    list.split(';').filter(is_name).map(str::to_ascii_lowercase).collect()
}

/// The form of a date in a credential scope.
const DAY: &str = "20130524";

/// Parses a time as `20130524T000000Z`. The year is from 1970 to 9998, so that seven days can be added.
fn parse_date(text: &str) -> Option<SystemTime> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_number =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(day, DAY.len()) || !is_number(time, "000000".len()) {
        return None;
    }
    let parse_two = |text: &str, index: usize| text.get(index..index + 2)?.parse::<u8>().ok();
    let month = Month::try_from(parse_two(day, 4)?).ok()?;
    let year: i32 = day.get(..4)?.parse().ok().filter(|year| (1970..9999).contains(year))?;
    let date = Date::from_calendar_date(year, month, parse_two(day, 6)?).ok()?;
    let time = Time::from_hms(parse_two(time, 0)?, parse_two(time, 2)?, parse_two(time, 4)?).ok()?;
    Some(UtcDateTime::new(date, time).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The URL of AWS's worked example, with a shorter signature.
    const GOOD: &str = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeee";

    fn read(text: &str) -> Result<Authentication, UrlError> {
        let url = Url::parse(text).unwrap();
        Authentication::parse(&url, &AuthenticationParts::read(&url))
    }

    #[test]
    fn worked_example_of_aws_is_parsed() {
        let good = read(GOOD).ok().unwrap();
        assert_eq!(
            (good.access_key_id.as_str(), good.region.as_str(), good.service.as_str()),
            ("AKIAIOSFODNN7EXAMPLE", "us-east-1", "s3")
        );
        assert_eq!(good.signed_at, SystemTime::UNIX_EPOCH + Duration::from_hours(380_376));
        assert_eq!(good.expires_at(), SystemTime::UNIX_EPOCH + Duration::from_hours(380_400));
        assert_eq!(good.scope().to_string(), "20130524/us-east-1/s3/aws4_request");
        assert_eq!(good.signed_headers, ["host"]);
        assert!(good.token.is_none());
    }

    #[test]
    fn each_malformed_parameter_has_its_error() {
        let missing = |name| UrlError::ParametersMissing(vec![name]);
        for (from, to, error) in [
            ("&X-Amz-Expires=86400", "", missing("X-Amz-Expires")),
            ("&X-Amz-Signature=aeee", "", missing("X-Amz-Signature")),
            (
                "&X-Amz-Expires=86400",
                "&X-Amz-Expires=1&X-Amz-Expires=86400",
                UrlError::DuplicateParameter("X-Amz-Expires"),
            ),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", UrlError::Algorithm),
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", UrlError::Credential),
            ("%2Faws4_request", "", UrlError::Credential),
            ("%2Fus-east-1%2Fs3", "%2Fs3", UrlError::Credential),
            ("20130524T000000Z", "20130524", UrlError::Date),
            ("20130524T000000Z", "20130532T000000Z", UrlError::Date),
            ("20130524T000000Z", "20130524T250000Z", UrlError::Date),
            ("20130524T000000Z", "20130525T000000Z", UrlError::ScopeDate),
            ("86400", "0", UrlError::Expires),
            ("86400", "604801", UrlError::Expires),
            ("86400", "-1", UrlError::Expires),
            ("SignedHeaders=host", "SignedHeaders=range", UrlError::HostUnsigned),
            ("%2F", "%252F", UrlError::EncodedTwice),
        ] {
            let changed = GOOD.replace(from, to);
            assert_ne!(changed, GOOD, "{from}");
            assert_eq!(read(&changed).err(), Some(error), "{to}");
        }
    }

    #[test]
    fn kind_of_url_depends_on_each_parameter() {
        let missing = |present: &str| {
            UrlError::ParametersMissing(REQUIRED.into_iter().filter(|name| *name != present).collect())
        };
        for (query, error) in [
            ("", UrlError::NotPresigned),
            ("?versionId=1&x-id=GetObject", UrlError::NotPresigned),
            // One parameter of Signature Version 4 is enough, even cut off or next to those of other signatures.
            ("?X-Amz-Credential=a", missing("X-Amz-Credential")),
            ("?X-Amz-Cred", missing("")),
            ("?X-Amz-Signature=b", missing("X-Amz-Signature")),
            ("?X-Amz-SignedHeaders=host", missing("X-Amz-SignedHeaders")),
            ("?X-Amz-Sign", missing("")),
            ("?X-Amz-Algorithm=AWS4-HMAC-SHA256", missing("X-Amz-Algorithm")),
            ("?X-Amz-Signature=b&AWSAccessKeyId=a&Signature=b", missing("X-Amz-Signature")),
            ("?X-Amz-Date=20130524T000000Z&X-Amz-Expires=1", UrlError::NotPresigned),
            // Other signatures need two parameters.
            ("?AWSAccessKeyId=a&Expires=1&Signature=b%3D", UrlError::SigV2),
            ("?AWSAccessKeyId=a&AWSAccessKeyId=a&Signature=b&Signature=b", UrlError::SigV2),
            ("?AWSAccessKeyId=a&Expires=1", UrlError::NotPresigned),
            ("?Expires=1&Signature=b", UrlError::NotPresigned),
            ("?Expires=1&Signature=b&Key-Pair-Id=k", UrlError::OtherService("CloudFront")),
            ("?Expires=1&Key-Pair-Id=k", UrlError::NotPresigned),
            ("?X-Goog-Algorithm=GOOG4-RSA-SHA256", UrlError::OtherService("Google Cloud Storage")),
            ("?X-Goog", UrlError::NotPresigned),
        ] {
            assert_eq!(read(&format!("https://b.s3.amazonaws.com/k{query}")).err(), Some(error), "{query}");
        }
    }
}
