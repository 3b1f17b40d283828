//! From a valid request to a signed URL, a form or an explanation, in one order for all of them: validate, authorize,
//! ensure credentials, sign, record.

pub(super) mod authorize;
pub(super) mod call_signer;
pub(super) mod decision;
pub(super) mod needs;
pub(super) mod snapshot;
