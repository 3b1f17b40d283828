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
    #[error("the directory bucket needs a session, and there is none yet: try again shortly")]
    NeedsSession,
    /// A part of a form is wrong, or the target takes no forms.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The URL, or the form, would work for less than the caller needs.
    #[error(
        "it could work for {} only, less than the min_expires_in of {}: {}",
        format_duration(grant.granted.as_duration()),
        format_duration(minimum.as_duration()),
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
        "reuse_window is {} and expires_in counts from its beginning, where the URL works for {} ({}): \
         reuse_window must be shorter than that, or a URL handed out at its end would not work",
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
    #[error("the signer's credentials have expired and no newer ones are there yet: try again shortly")]
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
        None => "expires_in asks for no more",
        ServiceMaximum => "S3 allows 7 days at most",
        ServerMaximum => "this server's expiry.max allows no more",
        PolicyMaximum => "the rule that allows this request allows no more",
        CredentialExpiry => "the credentials behind it end then",
        SessionExpiry => "the S3 Express session behind it ends then",
    }
}
