//! From the core's answer to the wire's.

use std::time::SystemTime;

use prost_types::{Duration, Timestamp};

use crate::{
    pb,
    presign::{
        expiry::{ClampReason, Seconds},
        presigned::PresignedRequest,
    },
};

pub(super) fn presigned(core: PresignedRequest<'_>) -> pb::PresignedRequest {
    pb::PresignedRequest {
        method: core.method.as_str().to_owned(),
        headers: core.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        signed_at: Some(timestamp(core.signed_at)),
        expires_at: Some(timestamp(core.expires_at())),
        granted: Some(duration(core.grant.granted)),
        requested: Some(duration(core.requested)),
        clamp_reason: clamp_reason(core.grant.reason).into(),
        url: core.url,
    }
}

fn clamp_reason(core: ClampReason) -> pb::ClampReason {
    match core {
        ClampReason::None => pb::ClampReason::None,
        ClampReason::ServiceMaximum => pb::ClampReason::ServiceMaximum,
        ClampReason::ServerMaximum => pb::ClampReason::ServerMaximum,
        ClampReason::PolicyMaximum => pb::ClampReason::PolicyMaximum,
        ClampReason::CredentialExpiry => pb::ClampReason::CredentialExpiry,
        ClampReason::SessionExpiry => pb::ClampReason::SessionExpiry,
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}

fn duration(seconds: Seconds) -> Duration {
    Duration { seconds: i64::try_from(seconds.get()).unwrap_or(i64::MAX), nanos: 0 }
}
