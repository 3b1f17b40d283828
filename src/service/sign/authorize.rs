//! Whether a caller may have a request signed. It is asked for every item of every RPC, after the request was found
//! valid and before anything is asked of AWS for it.

use crate::{
    explain::UsedRequest,
    presign::{Request, post::PostRequest, target::Target},
    service::{admission::call::Caller, failure::Failure},
};

/// What a caller asks for.
#[expect(dead_code, reason = "the rules of a later version read them")]
pub(in crate::service) enum Subject<'a> {
    /// A URL for this request.
    Url { signer: &'a str, target: &'a Target, request: &'a Request<'a> },
    /// A form for this request.
    Form { signer: &'a str, target: &'a Target, request: &'a PostRequest<'a> },
    /// What became of this request.
    Explanation { request: &'a UsedRequest },
}

/// Allows everything: the server starts with `open = true` alone until there are rules.
///
/// # Errors
/// None yet; a caller without a rule gets PERMISSION_DENIED here.
#[expect(clippy::unnecessary_wraps, reason = "rules deny here")]
pub(in crate::service) fn authorize(caller: Caller, _subject: &Subject<'_>) -> Result<(), Failure> {
    match caller {
        Caller::Open => Ok(()),
    }
}
