//! Forms with which a browser uploads a file: a POST policy and its signature.
//!
//! For the same inputs the policy is, byte for byte, the one of boto3's `generate_presigned_post`, and so is the signature.
//!
//! Source: [Browser-based uploads using POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html).

pub(super) mod parts;
mod policy;

use std::fmt;

pub use self::parts::{Bound, FORM_LIMIT, Fields, LengthRange, OPERATION, PostError, PostKey};
use self::policy::Condition;
use super::{
    endpoint::Endpoint,
    error::Error,
    expiry::Seconds,
    grant,
    name::Region,
    presigned::Presigned,
    sign::{self, Algorithm, Regions},
    signing::Signing,
    target::Target,
    time::AmzDate,
};

/// What stands around the value of a field in `multipart/form-data`, beside its name: a boundary of 70 characters, the
/// most that there may be, its dashes and line ends, and `Content-Disposition: form-data; name=""`.
///
/// Source: [RFC 2046, section 5.1.1](https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1).
const AROUND_A_FIELD: usize = 120;

/// The form to sign. Every part was checked when it was made.
pub struct PostRequest<'a> {
    /// The key of the object, or what it begins with.
    pub key: PostKey<'a>,
    /// What the other fields must be.
    pub fields: &'a Fields<'a>,
    /// How large the file may be.
    pub length: Option<LengthRange>,
    /// How long the form should work; without it, the server's default.
    pub expires_in: Option<Seconds>,
    /// How long the form must work.
    pub min_expires_in: Option<Seconds>,
}

/// A signed form. Its fields together are a bearer secret.
pub struct Form {
    /// Where the form is sent.
    pub url: String,
    /// What to put into it, before the file.
    pub fields: Vec<(String, String)>,
    /// What was granted.
    pub presigned: Presigned,
}

/// The secret is left out.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("presigned", &self.presigned).finish_non_exhaustive()
    }
}

/// How a form is signed: S3 takes no SigV4A here.
pub const ALGORITHM: Algorithm = Algorithm::SigV4;

/// Signs one form, in stages: the target takes forms, so much is granted, this is the policy, these are the fields. The
/// same arguments give the same form.
///
/// # Errors
/// See [`Error`].
pub fn post(request: &PostRequest<'_>, signing: &Signing) -> Result<Form, Error> {
    check(signing.target())?;
    let endpoint = signing.endpoint();
    let Regions::One(region) = &endpoint.scope().regions else {
        return Err(PostError::NotOffered(signing.target().kind()).into());
    };
    let (requested, grant) = grant(request.expires_in, request.min_expires_in, signing)?;
    let presigned = Presigned { signed_at: signing.signed_at(), grant, requested };
    let fields = fields(request, &presigned, region, signing);
    match form_bytes(request, &fields) {
        bytes if bytes > FORM_LIMIT => Err(PostError::TooLarge(bytes).into()),
        _ => Ok(Form { url: url(endpoint), fields, presigned }),
    }
}

/// Looks whether S3 takes forms for a target, which needs no credentials.
///
/// Buckets do. Access points do by all that is known, as the table of what they support says that it is a partial list
/// ([Access point compatibility](https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-service-api-support.html));
/// but nothing tells what S3 compares the policy's `bucket` with for one that is named by its ARN, and boto3 refuses those.
/// The lists of the others are whole, and have no POST Object:
/// [S3 on Outposts](https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsAPI.html),
/// [Multi-Region Access Points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html),
/// [Object Lambda](https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-use.html),
/// [directory buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-APIs.html).
///
/// # Errors
/// When it does not.
pub fn check(target: &Target) -> Result<(), PostError> {
    match target {
        Target::Bucket(_) | Target::AccessPointAlias(_) => Ok(()),
        Target::AccessPoint(_) => Err(PostError::AccessPointArn),
        other => Err(PostError::NotOffered(other.kind())),
    }
}

/// The fields of the form, in the order in which they are put into it.
fn fields(
    request: &PostRequest<'_>,
    presigned: &Presigned,
    region: &Region,
    signing: &Signing,
) -> Vec<(String, String)> {
    let date = AmzDate::of(presigned.signed_at);
    let credentials = signing.snapshot().credentials();
    let scope = signing.endpoint().scope();
    let mut credential = format!("{}/", credentials.access_key_id());
    scope.write(&date, "/", &mut credential);
    let mut authentication = vec![
        ("x-amz-algorithm", ALGORITHM.as_str()),
        ("x-amz-credential", &credential),
        ("x-amz-date", date.as_str()),
    ];
    if let Some(token) = credentials.session_token() {
        authentication.push(("x-amz-security-token", token.expose()));
    }
    let bucket = signing.target().canonical();
    let conditions = conditions(request, &bucket, &authentication);
    let policy = policy::encoded(presigned.expires_at(), conditions);
    let signature =
        sign::policy_signature(credentials, &date, presigned.signed_at, (region, &scope.service), &policy);

    let exact = request.fields.exact().chain([("key", request.key.as_str())]);
    let all = exact.chain(authentication.iter().copied());
    all.chain([("policy", &*policy), ("x-amz-signature", &*signature)])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What S3 is to look at, in the order of boto3.
fn conditions<'a>(
    request: &'a PostRequest<'a>,
    bucket: &'a str,
    authentication: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = Condition<'a>> {
    let exact = |(name, value)| Condition::Exact(name, value);
    let given = request.fields.exact().map(exact);
    let prefixes = request.fields.starts_with().map(|(name, text)| Condition::StartsWith(name, text));
    let length = request.length.map(|range| Condition::Length(range.min(), range.max()));
    let key = match request.key.prefix() {
        Some(prefix) => Condition::StartsWith("key", prefix),
        None => Condition::Exact("key", request.key.as_str()),
    };
    let target = [Condition::Exact("bucket", bucket), key];
    given.chain(prefixes).chain(length).chain(target).chain(authentication.iter().copied().map(exact))
}

/// How long the form will be at least, beside its file. The holder supplies the fields of `starts_with`.
fn form_bytes(request: &PostRequest<'_>, fields: &[(String, String)]) -> usize {
    let supplied = request.fields.starts_with().map(|(name, text)| name.len() + text.len());
    let made = fields.iter().map(|(name, value)| name.len() + value.len());
    made.chain(supplied).map(|bytes| bytes + AROUND_A_FIELD).sum()
}

/// A bucket in the path is sent to without a slash behind it, as boto3 does; a path is never empty.
fn url(endpoint: &Endpoint) -> String {
    let slash = if endpoint.path_at() == endpoint.url().len() { "/" } else { "" };
    format!("{}{slash}", endpoint.url())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointRules,
        snapshot::{Rules, Snapshot},
    };

    #[test]
    fn nothing_secret_is_printed() {
        let secret = |text: &str| Secret::from(text.to_owned());
        let credentials =
            Credentials::new("AKIACANARY".to_owned(), secret("canary"), Some(secret("canary-token")), None);
        let seconds = |number| Seconds::rounded_down(Duration::from_secs(number)).unwrap();
        let endpoint = EndpointRules { region: Some("us-east-1".parse().unwrap()), ..Default::default() };
        let rules = Rules { endpoint, default_expiry: seconds(900), max_expiry: seconds(900) };
        let snapshot = Arc::new(Snapshot::new(credentials, rules));
        let signing = snapshot.signing("plain-bucket", SystemTime::UNIX_EPOCH).unwrap();
        let mut fields = Fields::default();
        fields.add_exact("x-amz-meta-a", "canary-value").unwrap();
        let request = PostRequest {
            key: PostKey::try_from("key").unwrap(),
            fields: &fields,
            length: None,
            expires_in: None,
            min_expires_in: None,
        };
        let form = post(&request, &signing).unwrap();
        assert!(form.fields.iter().any(|(_, value)| value == "canary-token"));
        let printed = format!("{form:#?}").to_lowercase();
        assert!(!printed.contains("canary") && !printed.contains("policy"), "{printed}");
    }
}
