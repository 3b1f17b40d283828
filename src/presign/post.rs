//! Signs forms for uploads from a browser: a POST policy and its signature.
//!
//! For the same inputs, policy and signature are byte for byte those of boto3's `generate_presigned_post`.
//!
//! Source: [Browser-based uploads using POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html).

pub(super) mod parts;
mod policy;

use std::fmt;

pub use self::parts::{
    FormFields, LengthRange, MAX_FORM_BYTES, OPERATION_NAME, PostError, PostKey, SizeBound,
};
use self::policy::Condition;
use super::{
    endpoint::Endpoint,
    error::Error,
    expiry::Seconds,
    grant_lifetime,
    name::Region,
    presigned::Presigned,
    sign::{self, Algorithm, Regions},
    target::Target,
    target_signer::TargetSigner,
    time::AmzDate,
};

/// The bytes of a field in `multipart/form-data` in addition to its name and value: the boundary, of at most 70
/// characters, with its dashes and line breaks, and `Content-Disposition: form-data; name=""`.
///
/// Source: [RFC 2046, section 5.1.1](https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1).
const FIELD_OVERHEAD_BYTES: usize = 120;

/// A form to sign. Each part was validated when it was created.
pub struct PostRequest<'a> {
    /// The key of the object, or its prefix.
    pub key: PostKey<'a>,
    /// The conditions for the other fields.
    pub fields: &'a FormFields<'a>,
    /// The allowed size of the file.
    pub length: Option<LengthRange>,
    /// The requested lifetime; the server's default if unset.
    pub expires_in: Option<Seconds>,
    /// The minimum lifetime; a shorter one is an error.
    pub min_expires_in: Option<Seconds>,
}

/// A signed form. Its fields together are a bearer secret.
pub struct Form {
    /// The URL to send the form to.
    pub url: String,
    /// The fields of the form, which must precede the file.
    pub fields: Vec<(String, String)>,
    /// What was granted.
    pub presigned: Presigned,
}

/// Omits the secret fields.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("presigned", &self.presigned).finish_non_exhaustive()
    }
}

/// The algorithm for forms. S3 does not support SigV4A for them.
pub const ALGORITHM: Algorithm = Algorithm::SigV4;

/// Signs one form: checks the target, decides the lifetime, writes the policy and the fields. The same arguments give the
/// same form.
///
/// # Errors
/// See [`Error`].
pub fn sign_form(request: &PostRequest<'_>, signer: &TargetSigner) -> Result<Form, Error> {
    check_target(signer.target())?;
    let endpoint = signer.endpoint();
    let Regions::One(region) = &endpoint.scope().regions else {
        return Err(PostError::NotOffered(signer.target().kind()).into());
    };
    let (requested, grant) = grant_lifetime(request.expires_in, request.min_expires_in, signer)?;
    let presigned = Presigned { signed_at: signer.signed_at(), grant, requested };
    let fields = build_fields(request, &presigned, region, signer);
    match count_form_bytes(request, &fields) {
        bytes if bytes > MAX_FORM_BYTES => Err(PostError::TooLarge(bytes).into()),
        _ => Ok(Form { url: form_url(endpoint), fields, presigned }),
    }
}

/// Checks that S3 supports forms for a target. This needs no credentials.
///
/// Buckets support them. Access points are accepted by their alias: the table of what they support says that it is a
/// partial list ([Access point compatibility](https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-service-api-support.html)).
/// Access point ARNs are rejected, as by boto3, because it is not documented what S3 compares the policy's `bucket` with.
/// The lists of the other kinds are complete and do not contain POST Object:
/// [S3 on Outposts](https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsAPI.html),
/// [Multi-Region Access Points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html),
/// [Object Lambda](https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-use.html),
/// [directory buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-APIs.html).
///
/// # Errors
/// When S3 does not support them.
pub fn check_target(target: &Target) -> Result<(), PostError> {
    match target {
        Target::Bucket(_) | Target::AccessPointAlias(_) => Ok(()),
        Target::AccessPoint(_) => Err(PostError::AccessPointArn),
        other => Err(PostError::NotOffered(other.kind())),
    }
}

/// Builds the fields of the form, in order.
fn build_fields(
    request: &PostRequest<'_>,
    presigned: &Presigned,
    region: &Region,
    signer: &TargetSigner,
) -> Vec<(String, String)> {
    let date = AmzDate::of(presigned.signed_at);
    let credentials = signer.snapshot().credentials();
    let scope = signer.endpoint().scope();
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
    let bucket = signer.target().canonical();
    let conditions = build_conditions(request, &bucket, &authentication);
    let policy = policy::encode_policy(presigned.expires_at(), conditions);
    let signature =
        sign::sign_policy(credentials, &date, presigned.signed_at, (region, &scope.service), &policy);

    let exact = request.fields.exact().chain([("key", request.key.as_str())]);
    let all = exact.chain(authentication.iter().copied());
    all.chain([("policy", &*policy), ("x-amz-signature", &*signature)])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Builds the conditions of the policy, in the order of boto3.
fn build_conditions<'a>(
    request: &'a PostRequest<'a>,
    bucket: &'a str,
    authentication: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = Condition<'a>> {
    let exact = |(name, value)| Condition::Exact(name, value);
    let exact_fields = request.fields.exact().map(exact);
    let prefixes = request.fields.starts_with().map(|(name, text)| Condition::StartsWith(name, text));
    let length = request.length.map(|range| Condition::Length(range.min(), range.max()));
    let key = match request.key.prefix() {
        Some(prefix) => Condition::StartsWith("key", prefix),
        None => Condition::Exact("key", request.key.as_str()),
    };
    let target = [Condition::Exact("bucket", bucket), key];
    exact_fields.chain(prefixes).chain(length).chain(target).chain(authentication.iter().copied().map(exact))
}

/// Counts the bytes of the form without its file, at least: the values for `starts_with` fields may be longer.
fn count_form_bytes(request: &PostRequest<'_>, fields: &[(String, String)]) -> usize {
    let prefixes = request.fields.starts_with().map(|(name, text)| name.len() + text.len());
    let complete = fields.iter().map(|(name, value)| name.len() + value.len());
    complete.chain(prefixes).map(|bytes| bytes + FIELD_OVERHEAD_BYTES).sum()
}

/// A bucket in the path has no trailing slash, as with boto3. An empty path becomes a slash.
fn form_url(endpoint: &Endpoint) -> String {
    let slash = if endpoint.path_offset() == endpoint.url().len() { "/" } else { "" };
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
        snapshot::{SigningRules, Snapshot},
    };

    #[test]
    fn debug_output_contains_no_secrets() {
        let secret = |text: &str| Secret::from(text.to_owned());
        let credentials =
            Credentials::new("AKIACANARY".to_owned(), secret("canary"), Some(secret("canary-token")), None);
        let seconds = |number| Seconds::rounded_down(Duration::from_secs(number)).unwrap();
        let endpoint = EndpointRules { region: Some("us-east-1".parse().unwrap()), ..Default::default() };
        let rules = SigningRules { endpoint, default_expiry: seconds(900), max_expiry: seconds(900) };
        let snapshot = Arc::new(Snapshot::new(credentials, rules));
        let signer = snapshot.target_signer("plain-bucket", SystemTime::UNIX_EPOCH).unwrap();
        let mut fields = FormFields::default();
        fields.add_exact("x-amz-meta-a", "canary-value").unwrap();
        let request = PostRequest {
            key: PostKey::try_from("key").unwrap(),
            fields: &fields,
            length: None,
            expires_in: None,
            min_expires_in: None,
        };
        let form = sign_form(&request, &signer).unwrap();
        assert!(form.fields.iter().any(|(_, value)| value == "canary-token"));
        let printed = format!("{form:#?}").to_lowercase();
        assert!(!printed.contains("canary") && !printed.contains("policy"), "{printed}");
    }
}
