//! Authorization of a request. It runs for every item of every RPC, after validation and before any call to AWS.

use crate::{
    explain::UsedRequest,
    presign::{Request, post::PostRequest, target::Target},
    service::{admission::call::Caller, failure::Failure},
};

/// The request that a caller wants to be authorized.
#[expect(dead_code, reason = "the rules of a later version use the fields")]
pub(in crate::service) enum RequestedAction<'a> {
    /// To sign a URL for this request.
    Url { signer: &'a str, target: &'a Target, request: &'a Request<'a> },
    /// To sign a form for this request.
    Form { signer: &'a str, target: &'a Target, request: &'a PostRequest<'a> },
    /// To explain this request.
    Explanation { request: &'a UsedRequest },
}

/// Allows every request: a server without rules starts only with `open = true`.
///
/// # Errors
/// None so far. With rules, a request that they do not allow fails here with `PERMISSION_DENIED`.
#[expect(clippy::unnecessary_wraps, reason = "rules will deny requests here")]
pub(in crate::service) fn authorize(caller: Caller, _action: &RequestedAction<'_>) -> Result<(), Failure> {
    match caller {
        Caller::Open => Ok(()),
    }
}
