//! Why a URL fails: the request is taken apart and handed to the core, and what it finds is put into the answer.

use std::sync::Arc;

use prost_types::Timestamp;
use tokio::task::JoinError;

use super::{Shared, status::Failure};
use crate::{
    explain::{self, Explanation, MAX_ERROR_BODY_BYTES, UrlVerdict, UsedRequest, UsedRequestError},
    pb,
};

/// Explains one URL.
pub(super) async fn explain(
    shared: &Arc<Shared>,
    asked: pb::ExplainRequest,
) -> Result<pb::ExplainResponse, Failure> {
    let headers = asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let used = UsedRequest::new(&asked.url, &asked.method, headers)?;
    let error_body = asked.s3_error_body;
    if error_body.len() > MAX_ERROR_BODY_BYTES {
        return Err(UsedRequestError::ErrorBodyTooLong(error_body.len()).into());
    }
    // Policy: whether this caller may sign what it wants explained is looked at here, before anything is verified.
    let all = shared.signers.all();
    let now = shared.clock.now();
    let own = all.iter().filter_map(|signer| signer.snapshot());
    let sessions = all.iter().flat_map(|signer| signer.sessions().all());
    let past = all.iter().flat_map(|signer| signer.past(now));
    let signers: Vec<_> = own.chain(sessions).chain(past).collect();
    if signers.is_empty() {
        let signer = all.first().map_or("default", |signer| signer.name()).to_owned();
        return Err(Failure::NoCredentials { signer });
    }
    // It may take some milliseconds: beside the calls for URLs, and on no more cores than there are. The semaphore is
    // never closed.
    let place = Arc::clone(&shared.cores).acquire_owned().await.ok();
    let work = tokio::task::spawn_blocking(move || {
        let _place = place;
        answer(explain::explain(&used, &error_body, &signers, now))
    });
    match work.await.map_err(JoinError::try_into_panic) {
        Ok(answer) => Ok(answer),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // It never began: the server is stopping.
        Err(Err(_)) => Err(Failure::Overloaded),
    }
}

fn answer(explained: Explanation) -> pb::ExplainResponse {
    let Explanation { parts, host, target, canonical_request, string_to_sign, verdict, findings } = explained;
    let expires_at = parts.expires_at().map(Timestamp::from);
    pb::ExplainResponse {
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
            expires: parts.expires.map(seconds),
            has_session_token: parts.has_session_token,
        }),
        canonical_request,
        string_to_sign,
        verdict: wire(verdict).into(),
        findings: findings.iter().map(ToString::to_string).collect(),
    }
}

fn seconds(number: u64) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(number).unwrap_or(i64::MAX), nanos: 0 }
}

fn wire(verdict: UrlVerdict) -> pb::Verdict {
    match verdict {
        UrlVerdict::Valid => pb::Verdict::Valid,
        UrlVerdict::Expired => pb::Verdict::Expired,
        UrlVerdict::NotYetValid => pb::Verdict::NotYetValid,
        UrlVerdict::SignatureMismatch => pb::Verdict::SignatureMismatch,
        UrlVerdict::UnknownAccessKey => pb::Verdict::UnknownAccessKey,
        UrlVerdict::Malformed => pb::Verdict::Malformed,
    }
}
