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

/// Why a request is not signed. Each says what to change; none repeats a value that may be secret.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// `bucket` is wrong.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// `key` is wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A header or a query parameter is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The target has no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A directory bucket is signed for with the credentials of a session of its own.
    #[error("the directory bucket has no S3 Express session yet: try again shortly")]
    NeedsSession,
    /// A part of a form is wrong, or the target takes no forms.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The URL, or the form, would work for less than the caller needs.
    #[error(
        "min_expires_in is {}, but at most {} can be granted: {}",
        format_duration(minimum.as_duration()),
        format_duration(grant.granted.as_duration()),
        explain(*grant)
    )]
    TooShort {
        /// What could be granted, as far as it is not over yet.
        grant: Grant,
        /// What the caller needs.
        minimum: Seconds,
    },
    /// A URL handed out late in its window would work no more.
    #[error(
        "reuse_window is {}, but its URLs expire {} after the window begins ({}): \
         reuse_window must be shorter, or URLs from the end of the window would already have expired",
        format_duration(window.as_duration()),
        format_duration(lasting.granted.as_duration()),
        explain(*lasting)
    )]
    WindowTooLong {
        /// `reuse_window`.
        window: Seconds,
        /// How long its URLs work from its beginning on, whatever the credentials.
        lasting: Grant,
    },
    /// A signature needs randomness, and there is none.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The credentials have ended.
    #[error("the signer's credentials have expired, and no newer ones are loaded yet: try again shortly")]
    Expired(#[from] Expired),
}

impl From<WindowError> for Error {
    fn from(error: WindowError) -> Self {
        match error {
            WindowError::TooLong { window, lasting } => Self::WindowTooLong { window, lasting },
            WindowError::Expired(expired) => Self::Expired(expired),
        }
    }
}

fn explain(grant: Grant) -> &'static str {
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
