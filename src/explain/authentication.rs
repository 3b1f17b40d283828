//! The authentication in a URL's query: as it stands there, and as S3 would read it.
//!
//! Source: [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).

use std::time::{Duration, SystemTime};

use time::{Date, Month, Time, UtcDateTime};

use super::request::{Flaw, PlusMeaning, Url, decode};
use crate::presign::{
    expiry::{SERVICE_MAXIMUM, Seconds},
    parameters::is_token,
    sign::{Algorithm, CredentialScope},
};

/// The authentication parameters of a URL, right or wrong. A part is empty where it is missing or malformed: a damaged URL
/// may have a secret there.
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
    /// The names in `X-Amz-SignedHeaders`, in their order.
    pub signed_headers: Vec<String>,
    /// `X-Amz-Expires`, where it is a number.
    pub expires: Option<u64>,
    /// `X-Amz-Date`, where it is a time.
    pub signed_at: Option<SystemTime>,
    /// Whether there is a session token.
    pub has_session_token: bool,
}

/// An authentication that S3 could read.
pub(super) struct Authentication {
    pub(super) algorithm: Algorithm,
    pub(super) access_key_id: String,
    /// `X-Amz-Date`.
    pub(super) date: String,
    pub(super) signed_at: SystemTime,
    pub(super) expires: Seconds,
    /// The region of the scope; empty with SigV4A, whose scope has none.
    pub(super) region: String,
    pub(super) service: String,
    /// In lower case.
    pub(super) signed_headers: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) signature: String,
}

impl AuthenticationParts {
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

    /// When the URL expires, where it says so.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let expires = Duration::from_secs(self.expires.filter(|expires| *expires <= SERVICE_MAXIMUM.get())?);
        self.signed_at?.checked_add(expires)
    }
}

/// The parameters of a session's token: of STS, and of S3 Express.
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
    pub(super) fn parse(url: &Url, parts: &AuthenticationParts) -> Result<Self, Flaw> {
        check_kind(url)?;
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| url.count(name) == 0).collect();
        if !missing.is_empty() {
            return Err(Flaw::Missing(missing));
        }
        if let Some(name) = REQUIRED.iter().chain(&TOKENS).find(|name| url.count(name) > 1) {
            return Err(Flaw::Twice(name));
        }
        let text = |name: &str| url.value(name).unwrap_or_default();
        let algorithm = find_algorithm(&parts.algorithm).ok_or(Flaw::Algorithm)?;
        let credential = text("X-Amz-Credential");
        let [access_key_id, scope_date, region, service] =
            split_credential(&credential).ok_or_else(|| explain_credential(&credential))?;
        if region.is_empty() != (algorithm == Algorithm::SigV4A) || access_key_id.is_empty() {
            return Err(Flaw::Credential);
        }
        if algorithm == Algorithm::SigV4A && url.count("X-Amz-Region-Set") == 0 {
            return Err(Flaw::Missing(vec!["X-Amz-Region-Set"]));
        }
        let date = text("X-Amz-Date");
        let signed_at = parse_date(&date).ok_or(Flaw::Date)?;
        if !date.starts_with(scope_date) || scope_date.len() != DAY.len() {
            return Err(Flaw::ScopeDate);
        }
        let expires = parts.expires.and_then(|seconds| Seconds::rounded_down(Duration::from_secs(seconds)));
        let expires = expires.filter(|expires| *expires <= SERVICE_MAXIMUM).ok_or(Flaw::Expires)?;
        let signed_headers = parse_names(&text("X-Amz-SignedHeaders"));
        if !signed_headers.iter().any(|name| name == "host") {
            return Err(Flaw::HostUnsigned);
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

/// Checks that the URL is presigned with Signature Version 4: one of its parameters is enough, since a URL may be cut.
fn check_kind(url: &Url) -> Result<(), Flaw> {
    let has = |name: &str| url.count(name) > 0;
    let any = |start: &str| url.query.iter().any(|parameter| parameter.name().starts_with(start));
    if any("X-Amz-Cred") || any("X-Amz-Sign") || any("X-Amz-Algorithm") {
        return Ok(());
    }
    if has("AWSAccessKeyId") && has("Signature") {
        return Err(Flaw::SigV2);
    }
    if has("Key-Pair-Id") && has("Signature") {
        return Err(Flaw::Foreign("CloudFront"));
    }
    if any("X-Goog-") {
        return Err(Flaw::Foreign("Google Cloud Storage"));
    }
    Err(Flaw::NotPresigned)
}

/// Why a credential is malformed: a URL that was encoded twice has a good one after another decoding.
fn explain_credential(credential: &str) -> Flaw {
    let is_good = split_credential(&decode(credential, PlusMeaning::Plus)).is_some();
    if is_good { Flaw::EncodedTwice } else { Flaw::Credential }
}

fn find_algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|known| known.as_str() == name)
}

/// The longest part of a credential: IAM's access key IDs have 128 characters at most.
const LONGEST_PART: usize = 128;

/// A part of the credential; empty when it is malformed.
fn accept_part(part: &str) -> String {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@:~*,".contains(&byte);
    let is_good = part.len() <= LONGEST_PART && part.bytes().all(may_be);
    if is_good { part.to_owned() } else { String::new() }
}

/// Access key, date, region (empty with SigV4A) and service.
fn split_credential(credential: &str) -> Option<[&str; 4]> {
    let rest = credential.strip_suffix("/aws4_request")?;
    // An access key ID has no slash with AWS; elsewhere it may.
    let (rest, service) = rest.rsplit_once('/')?;
    let (rest, last) = rest.rsplit_once('/')?;
    let is_day = |text: &str| text.len() == DAY.len() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_day(last) {
        return Some([rest, last, "", service]);
    }
    let (access_key_id, day) = rest.rsplit_once('/')?;
    Some([access_key_id, day, last, service])
}

fn parse_names(list: &str) -> Vec<String> {
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(is_token);
    list.split(';').filter(is_name).map(str::to_ascii_lowercase).collect()
}

const DAY: &str = "20130524";

/// Parses `20130524T000000Z`. The year is below 9999, so that seven days can be added.
fn parse_date(text: &str) -> Option<SystemTime> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(day, DAY.len()) || !digits(time, "000000".len()) {
        return None;
    }
    let two = |text: &str, at: usize| text.get(at..at + 2)?.parse::<u8>().ok();
    let month = Month::try_from(two(day, 4)?).ok()?;
    let year: i32 = day.get(..4)?.parse().ok().filter(|year| (1970..9999).contains(year))?;
    let date = Date::from_calendar_date(year, month, two(day, 6)?).ok()?;
    let time = Time::from_hms(two(time, 0)?, two(time, 2)?, two(time, 4)?).ok()?;
    Some(UtcDateTime::new(date, time).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of AWS's worked example.
    const GOOD: &str = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeee";

    fn read(text: &str) -> Result<Authentication, Flaw> {
        let url = Url::parse(text).unwrap();
        Authentication::parse(&url, &AuthenticationParts::read(&url))
    }

    #[test]
    fn the_parts_of_the_worked_example_are_read() {
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
    fn what_s3_could_not_read_is_told_apart() {
        let missing = |name| Flaw::Missing(vec![name]);
        for (from, to, flaw) in [
            ("&X-Amz-Expires=86400", "", missing("X-Amz-Expires")),
            ("&X-Amz-Signature=aeee", "", missing("X-Amz-Signature")),
            ("&X-Amz-Expires=86400", "&X-Amz-Expires=1&X-Amz-Expires=86400", Flaw::Twice("X-Amz-Expires")),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", Flaw::Algorithm),
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", Flaw::Credential),
            ("%2Faws4_request", "", Flaw::Credential),
            ("%2Fus-east-1%2Fs3", "%2Fs3", Flaw::Credential),
            ("20130524T000000Z", "20130524", Flaw::Date),
            ("20130524T000000Z", "20130532T000000Z", Flaw::Date),
            ("20130524T000000Z", "20130524T250000Z", Flaw::Date),
            ("20130524T000000Z", "20130525T000000Z", Flaw::ScopeDate),
            ("86400", "0", Flaw::Expires),
            ("86400", "604801", Flaw::Expires),
            ("86400", "-1", Flaw::Expires),
            ("SignedHeaders=host", "SignedHeaders=range", Flaw::HostUnsigned),
            ("%2F", "%252F", Flaw::EncodedTwice),
        ] {
            let changed = GOOD.replace(from, to);
            assert_ne!(changed, GOOD, "{from}");
            assert_eq!(read(&changed).err(), Some(flaw), "{to}");
        }
    }

    #[test]
    fn each_condition_on_the_kind_of_url_is_needed() {
        let missing =
            |found: &str| Flaw::Missing(REQUIRED.into_iter().filter(|name| *name != found).collect());
        for (query, flaw) in [
            ("", Flaw::NotPresigned),
            ("?versionId=1&x-id=GetObject", Flaw::NotPresigned),
            // Each parameter of Signature Version 4 is enough, whole or cut, whatever else is in the query.
            ("?X-Amz-Credential=a", missing("X-Amz-Credential")),
            ("?X-Amz-Cred", missing("")),
            ("?X-Amz-Signature=b", missing("X-Amz-Signature")),
            ("?X-Amz-SignedHeaders=host", missing("X-Amz-SignedHeaders")),
            ("?X-Amz-Sign", missing("")),
            ("?X-Amz-Algorithm=AWS4-HMAC-SHA256", missing("X-Amz-Algorithm")),
            ("?X-Amz-Signature=b&AWSAccessKeyId=a&Signature=b", missing("X-Amz-Signature")),
            ("?X-Amz-Date=20130524T000000Z&X-Amz-Expires=1", Flaw::NotPresigned),
            // Other signed URLs have two parameters of theirs.
            ("?AWSAccessKeyId=a&Expires=1&Signature=b%3D", Flaw::SigV2),
            ("?AWSAccessKeyId=a&AWSAccessKeyId=a&Signature=b&Signature=b", Flaw::SigV2),
            ("?AWSAccessKeyId=a&Expires=1", Flaw::NotPresigned),
            ("?Expires=1&Signature=b", Flaw::NotPresigned),
            ("?Expires=1&Signature=b&Key-Pair-Id=k", Flaw::Foreign("CloudFront")),
            ("?Expires=1&Key-Pair-Id=k", Flaw::NotPresigned),
            ("?X-Goog-Algorithm=GOOG4-RSA-SHA256", Flaw::Foreign("Google Cloud Storage")),
            ("?X-Goog", Flaw::NotPresigned),
        ] {
            assert_eq!(read(&format!("https://b.s3.amazonaws.com/k{query}")).err(), Some(flaw), "{query}");
        }
    }
}
