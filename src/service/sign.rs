//! The stages after decoding, the same for URLs and forms: validate, authorize, ensure credentials, sign, record. An
//! explanation is authorized here, too.

pub(super) mod authorize;
pub(super) mod call_signer;
pub(super) mod decision;
pub(super) mod needs;
pub(super) mod snapshot;
