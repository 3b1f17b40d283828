//! Credentials that the endpoints give, and whether a URL is of them.

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

/// One set of credentials. All of it but the end has `canary` in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// The access key ID.
    pub id: String,
    /// The secret key.
    pub secret: String,
    /// The session token.
    pub token: Option<String>,
    /// When they end.
    pub end: Option<SystemTime>,
}

impl Keys {
    /// Those of this name, which end so many seconds after the second that is now.
    pub fn lasting(name: &str, seconds: u64) -> Self {
        Self::temporary(name, from_now(Duration::from_secs(seconds)))
    }

    /// Those of this name, which ended an hour ago.
    pub fn ended(name: &str) -> Self {
        Self::temporary(name, from_now(Duration::ZERO) - Duration::from_secs(3_600))
    }

    /// Those of this name as an IAM user has them: without a token and without an end.
    pub fn unending(name: &str) -> Self {
        let id = format!("{:X<20}", format!("AKIA{}CANARY", name.to_uppercase()));
        Self { id, secret: format!("canary/secret+{name}/0123456789+abcdefghij"), token: None, end: None }
    }

    fn temporary(name: &str, end: SystemTime) -> Self {
        let unending = Self::unending(name);
        let id = unending.id.replace("AKIA", "ASIA");
        Self { id, token: Some(format!("canary//token+{name}==")), end: Some(end), ..unending }
    }

    /// Their end, as AWS writes it.
    pub fn expiration(&self) -> String {
        self.end.map(|end| Timestamp::from(end).to_string()).unwrap_or_default()
    }

    /// Their section of a credentials file.
    pub fn section(&self, profile: &str) -> String {
        let Self { id, secret, .. } = self;
        let token = self.token.as_ref().map(|token| format!("aws_session_token = {token}\n"));
        let token = token.unwrap_or_default();
        format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n{token}")
    }

    /// Whether a URL names them.
    pub fn are_in(&self, presigned: &PresignedRequest) -> bool {
        let credential = Parts::of(&presigned.url).value("X-Amz-Credential").expect("it has a credential");
        credential.split('/').next() == Some(&*self.id)
    }

    /// Asserts that a URL is wholly of them (ID, token and signature), that it does not outlive them, and that it says
    /// so where that made it shorter.
    pub fn signed(&self, presigned: &PresignedRequest) {
        let parts = Parts::of(&presigned.url);
        assert!(self.are_in(presigned), "another key than {} signed", self.id);
        assert_eq!(parts.value("X-Amz-Security-Token"), self.token, "the token of {}", self.id);
        assert_eq!(parts.value("X-Amz-Signature"), Some(self.signature(presigned)), "by {}", self.id);

        let expires_at: SystemTime = presigned.expires_at.unwrap().try_into().unwrap();
        let shorter = presigned.granted != presigned.requested;
        let reason = if shorter { ClampReason::CredentialExpiry } else { ClampReason::None };
        assert_eq!(presigned.clamp_reason().as_str_name(), reason.as_str_name());
        if shorter && self.end.is_none() && self.token.is_some() {
            // Nobody told when the session ends, but none of AWS's lasts longer.
            let longest = from_now(Duration::from_hours(36));
            assert!(expires_at <= longest && expires_at > longest - Duration::from_mins(1), "{}", self.id);
        } else if shorter {
            assert_eq!(Some(expires_at), self.end, "it ends with {}", self.id);
        } else {
            assert!(self.end.is_none_or(|end| expires_at <= end), "it outlives {}", self.id);
        }
    }

    /// What aws-sigv4 signs the same request with, given these.
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
