//! `Explain`: why a URL fails.

use std::sync::Arc;

use prost::{Message as _, bytes::Bytes};
use prost_types::Timestamp;
use tokio::task::JoinError;

use crate::{
    explain::{self, Explanation, MAX_ERROR_BODY_BYTES, UrlVerdict, UsedRequest, UsedRequestError},
    pb,
    service::{
        DEFAULT_SIGNER,
        admission::call::Call,
        codec::EncodedMessage,
        failure::Failure,
        request::protobuf::MalformedMessage,
        sign::{
            authorize::{RequestedAction, authorize},
            snapshot::CallSnapshot,
        },
    },
};

/// Explains one URL. Nothing is signed, so there is no decision to record.
pub(in crate::service) async fn explain(call: Arc<Call>, message: Bytes) -> Result<EncodedMessage, Failure> {
    let request = pb::ExplainRequest::decode(message).map_err(|_| MalformedMessage::new("request"))?;
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let used = UsedRequest::new(&request.url, &request.method, headers)?;
    let error_body = request.s3_error_body;
    if error_body.len() > MAX_ERROR_BODY_BYTES {
        return Err(UsedRequestError::ErrorBodyTooLong(error_body.len()).into());
    }
    authorize(call.context.caller, &RequestedAction::Explanation { request: &used })?;
    let snapshot = CallSnapshot::take(&call.state);
    let known = snapshot.known_credentials();
    if known.is_empty() {
        let signer = snapshot.signers().first().map_or(DEFAULT_SIGNER, |signer| signer.name()).to_owned();
        return Err(Failure::NoCredentials { signer });
    }
    // It may take some milliseconds: apart from the calls for URLs, and on no more cores than there are. The semaphore
    // is never closed.
    let permit = Arc::clone(&call.state.core_permits).acquire_owned().await.ok();
    let now = snapshot.now();
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        encode(explain::explain(&used, &error_body, &known, now))
    });
    match work.await.map_err(JoinError::try_into_panic) {
        Ok(response) => Ok(response),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Cancelled before it began: the server is stopping.
        Err(Err(_)) => Err(Failure::Overloaded),
    }
}

fn encode(explanation: Explanation) -> EncodedMessage {
    let Explanation { parts, host, target, canonical_request, string_to_sign, verdict, findings } =
        explanation;
    let expires_at = parts.expires_at().map(Timestamp::from);
    let response = pb::ExplainResponse {
        signed_at: parts.signed_at.map(Timestamp::from),
        expires_at,
        parts: Some(pb::UrlParts {
            algorithm: parts.algorithm,
            access_key_id: parts.access_key_id,
            scope_date: parts.scope_date,
            scope_region: parts.scope_region,
            scope_service: parts.scope_service,
            signed_headers: parts.signed_headers,
            host,
            bucket: target.bucket,
            key: target.key,
            expires: parts.expires.map(to_wire_seconds),
            has_session_token: parts.has_session_token,
        }),
        canonical_request,
        string_to_sign,
        verdict: to_wire_verdict(verdict).into(),
        findings: findings.iter().map(ToString::to_string).collect(),
    };
    EncodedMessage::encode(&response)
}

fn to_wire_seconds(seconds: u64) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}

fn to_wire_verdict(verdict: UrlVerdict) -> pb::Verdict {
    match verdict {
        UrlVerdict::Valid => pb::Verdict::Valid,
        UrlVerdict::Expired => pb::Verdict::Expired,
        UrlVerdict::NotYetValid => pb::Verdict::NotYetValid,
        UrlVerdict::SignatureMismatch => pb::Verdict::SignatureMismatch,
        UrlVerdict::UnknownAccessKey => pb::Verdict::UnknownAccessKey,
        UrlVerdict::Malformed => pb::Verdict::Malformed,
    }
}
