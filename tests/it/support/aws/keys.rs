//! Credentials that the endpoints return, and the check that they signed a URL.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
use presignd::pb::{ClampReason, PresignedRequest, presign_request::Operation};
use prost_types::Timestamp;

use crate::{
    oracles::sigv4,
    support::{
        grpc::BUCKET,
        in_process::{Case, Parts},
        provider::from_now,
    },
};

/// One set of credentials. Every part but the expiry contains `canary`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// The access key ID.
    pub id: String,
    /// The secret key.
    pub secret: String,
    /// The session token.
    pub token: Option<String>,
    /// When they expire.
    pub end: Option<SystemTime>,
}

impl Keys {
    /// Credentials that expire in this many seconds, counted from the current whole second.
    pub fn expiring_in(name: &str, seconds: u64) -> Self {
        Self::temporary(name, from_now(Duration::from_secs(seconds)))
    }

    /// Credentials that expired an hour ago.
    pub fn expired(name: &str) -> Self {
        Self::temporary(name, from_now(Duration::ZERO) - Duration::from_secs(3_600))
    }

    /// Credentials of an IAM user: without a session token and without an expiry.
    pub fn permanent(name: &str) -> Self {
        let id = format!("{:X<20}", format!("AKIA{}CANARY", name.to_uppercase()));
        Self { id, secret: format!("canary/secret+{name}/0123456789+abcdefghij"), token: None, end: None }
    }

    fn temporary(name: &str, end: SystemTime) -> Self {
        let permanent = Self::permanent(name);
        let id = permanent.id.replace("AKIA", "ASIA");
        Self { id, token: Some(format!("canary//token+{name}==")), end: Some(end), ..permanent }
    }

    /// The expiry in the format of AWS.
    pub fn expiration(&self) -> String {
        self.end.map(|end| Timestamp::from(end).to_string()).unwrap_or_default()
    }

    /// A section of a credentials file with these credentials.
    pub fn section(&self, profile: &str) -> String {
        let Self { id, secret, .. } = self;
        let token = self.token.as_ref().map(|token| format!("aws_session_token = {token}\n"));
        let token = token.unwrap_or_default();
        format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n{token}")
    }

    /// Whether a URL has this access key ID.
    pub fn are_in(&self, presigned: &PresignedRequest) -> bool {
        let credential =
            Parts::of(&presigned.url).value("X-Amz-Credential").expect("the URL has a credential");
        credential.split('/').next() == Some(&*self.id)
    }

    /// Asserts that a URL has the access key ID, the token and the signature of these credentials, that it does not
    /// outlive them, and that its clamp reason is right.
    pub fn assert_signed(&self, presigned: &PresignedRequest) {
        let parts = Parts::of(&presigned.url);
        assert!(self.are_in(presigned), "not signed with {}", self.id);
        assert_eq!(parts.value("X-Amz-Security-Token"), self.token, "the token of {}", self.id);
        assert_eq!(parts.value("X-Amz-Signature"), Some(self.signature(presigned)), "by {}", self.id);

        let expires_at: SystemTime = presigned.expires_at.unwrap().try_into().unwrap();
        let shorter = presigned.granted != presigned.requested;
        let reason = if shorter { ClampReason::CredentialExpiry } else { ClampReason::None };
        assert_eq!(presigned.clamp_reason().as_str_name(), reason.as_str_name());
        if shorter && self.end.is_none() && self.token.is_some() {
            // The expiry of the session is unknown, so presignd assumes the longest lifetime of AWS.
            let longest = from_now(Duration::from_hours(36));
            assert!(expires_at <= longest && expires_at > longest - Duration::from_mins(1), "{}", self.id);
        } else if shorter {
            assert_eq!(Some(expires_at), self.end, "the URL expires with {}", self.id);
        } else {
            assert!(self.end.is_none_or(|end| expires_at <= end), "the URL outlives {}", self.id);
        }
    }

    /// The signature of aws-sigv4 for the same request with these credentials.
    fn signature(&self, presigned: &PresignedRequest) -> String {
        let parts = Parts::of(&presigned.url);
        let granted = presigned.granted.unwrap().seconds.unsigned_abs();
        let case =
            Case { expires_in: granted, ..Case::new(BUCKET, "", Operation::GetObject(<_>::default())) };
        let mut settings = sigv4::settings(&case);
        settings.excluded_headers = None;
        let credential = parts.value("X-Amz-Credential").unwrap();
        let scope: Vec<&str> = credential.split('/').collect();
        let identity = Credentials::new(&*self.id, &*self.secret, self.token.clone(), None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(scope[2])
            .name(scope[3])
            .time(presigned.signed_at.unwrap().try_into().unwrap())
            .settings(settings)
            .build()
            .unwrap();
        sigv4::sign_request(presigned, &parts, &params.into())
    }
}
