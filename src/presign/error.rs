//! Why a request is not signed.

use humantime::format_duration;
use thiserror::Error;

use super::{
    endpoint::EndpointError,
    expiry::{Expired, Grant, Seconds, WindowError},
    keys::NoRandomness,
    name::KeyError,
    parameters::ParameterError,
    post::parts::PostError,
    target::TargetError,
};

/// Why a request is not signed. Each message says what to change, and none repeats a value that may be secret.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// `bucket` is invalid.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// `key` is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A header or a query parameter is invalid or missing.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The target has no endpoint under the rules of the signer.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The target is a directory bucket, which needs the credentials of an S3 Express session.
    #[error("the directory bucket has no S3 Express session yet: try again shortly")]
    NeedsSession,
    /// A part of a form is invalid, or S3 does not support forms for the target.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The URL or form would expire before `min_expires_in`.
    #[error(
        "min_expires_in is {}, but at most {} can be granted: {}",
        format_duration(minimum.as_duration()),
        format_duration(grant.granted.as_duration()),
        describe_limit(*grant)
    )]
    TooShort {
        /// The longest lifetime that can be granted, counted from now.
        grant: Grant,
        /// `min_expires_in`.
        minimum: Seconds,
    },
    /// A URL that is returned late in its reuse window would already have expired.
    #[error(
        "reuse_window is {}, but its URLs expire {} after the window begins ({}): \
         reuse_window must be shorter, or URLs from the end of the window would already have expired",
        format_duration(window.as_duration()),
        format_duration(lifetime.granted.as_duration()),
        describe_limit(*lifetime)
    )]
    WindowTooLong {
        /// `reuse_window`.
        window: Seconds,
        /// The lifetime of its URLs from the beginning of the window, not limited by credentials.
        lifetime: Grant,
    },
    /// The operating system returned no random bytes for a signature.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The credentials have expired.
    #[error("the signer's credentials have expired, and no newer ones are loaded yet: try again shortly")]
    Expired(#[from] Expired),
}

impl From<WindowError> for Error {
    fn from(error: WindowError) -> Self {
        match error {
            WindowError::TooLong { window, lifetime } => Self::WindowTooLong { window, lifetime },
            WindowError::Expired(expired) => Self::Expired(expired),
        }
    }
}

/// Which limit gives this grant, for a message.
fn describe_limit(grant: Grant) -> &'static str {
    use super::expiry::ClampReason::{
        CredentialExpiry, None, PolicyMaximum, ServerMaximum, ServiceMaximum, SessionExpiry,
    };
    match grant.reason {
        None => "expires_in does not ask for more",
        ServiceMaximum => "S3 allows at most 7 days",
        ServerMaximum => "limited by this server's expiry.max",
        PolicyMaximum => "limited by the rule that allows this request",
        CredentialExpiry => "the credentials expire then",
        SessionExpiry => "the S3 Express session expires then",
    }
}
