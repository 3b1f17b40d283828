//! `PresignPost`: a form with which a browser uploads a file.

use std::sync::Arc;

use prost::{Message as _, bytes::Bytes};
use prost_types::Timestamp;

use crate::{
    clock::Stopwatch,
    metrics::OperationLabel,
    pb,
    presign::{
        post::{self, Form, FormFields, LengthRange, PostError, PostKey, PostRequest},
        target::Target,
    },
    service::{
        admission::call::Call,
        codec::EncodedMessage,
        failure::Failure,
        request::{
            merged::{expires_in, min_expires_in, signer_or_default},
            protobuf::MalformedMessage,
        },
        response::encode::{to_wire_clamp_reason, to_wire_duration},
        sign::{
            authorize::{RequestedAction, authorize},
            decision::{Decision, DecisionRecorder, Outcome},
            needs::{CredentialNeeds, LifetimeNeeded},
            snapshot::CallSnapshot,
        },
    },
};

/// Signs one form, and encodes the response. A form has at most 20 KB, so the response is short.
pub(in crate::service) async fn presign_post(
    call: Arc<Call>,
    message: Bytes,
) -> Result<EncodedMessage, Failure> {
    let snapshot = CallSnapshot::take(&call.state);
    let decoded = pb::PresignPostRequest::decode(message);
    let request = decoded.as_ref().map_err(|_| Failure::from(MalformedMessage::new("request")));
    let newer = match &request {
        Ok(request) => ensure_credentials(&call, &snapshot, request).await,
        Err(_) => None,
    };
    let snapshot = newer.unwrap_or(snapshot);
    let mut recorder = DecisionRecorder::new(&call);
    let signed = match &request {
        Ok(request) => sign(&call, request, &snapshot, &mut recorder),
        Err(failure) => Err(failure.clone()),
    };
    let request = request.ok();
    recorder.record(&Decision {
        signer: request
            .and_then(|request| snapshot.signer(signer_or_default(&request.signer)).ok())
            .map(|signer| &**signer),
        target: request.and_then(|request| Some(request.bucket.parse::<Target>().ok()?.kind())),
        operation: Some(OperationLabel::FORM),
        key: request.map_or("", |request| &request.key),
        outcome: signed.as_ref().map_or_else(Outcome::Failed, |form| Outcome::Signed(&form.presigned)),
    });
    Ok(encode(signed?))
}

/// Gets from AWS what a valid and authorized form needs. Returns a newer snapshot, if anything changed.
async fn ensure_credentials(
    call: &Call,
    snapshot: &CallSnapshot,
    request: &pb::PresignPostRequest,
) -> Option<CallSnapshot> {
    // There are no forms for directory buckets, so no session is needed.
    let mut needs = CredentialNeeds::new(snapshot, b"");
    if needs.are_final() {
        return None;
    }
    let expires_in = expires_in(request.expires_in.as_ref()).ok()?;
    let (signer, bucket) = (signer_or_default(&request.signer), &request.bucket);
    let needed = LifetimeNeeded { expires_in, reuse_window: None };
    if needs.would_grow(signer, bucket, needed) && is_valid_and_authorized(call, snapshot, request).is_ok() {
        needs.add(signer, bucket, needed);
    }
    needs.ensure(&call.state, call.context.deadline).await
}

fn is_valid_and_authorized(
    call: &Call,
    snapshot: &CallSnapshot,
    request: &pb::PresignPostRequest,
) -> Result<(), Failure> {
    let fields = read_fields(request)?;
    let to_sign = to_core(request, &fields)?;
    validate_and_authorize(call, request, &to_sign)?;
    let credentials = snapshot.credentials_of(snapshot.signer(signer_or_default(&request.signer))?)?;
    credentials.target_signer(&request.bucket, snapshot.now())?;
    Ok(())
}

/// Checks what the request alone determines, and then whether the caller is allowed to have it signed.
fn validate_and_authorize(
    call: &Call,
    request: &pb::PresignPostRequest,
    to_sign: &PostRequest<'_>,
) -> Result<(), Failure> {
    let target: Target = request.bucket.parse()?;
    post::check_target(&target)?;
    let signer = signer_or_default(&request.signer);
    authorize(call.context.caller, &RequestedAction::Form { signer, target: &target, request: to_sign })
}

fn sign(
    call: &Call,
    request: &pb::PresignPostRequest,
    snapshot: &CallSnapshot,
    recorder: &mut DecisionRecorder<'_>,
) -> Result<Form, Failure> {
    let fields = read_fields(request)?;
    let to_sign = to_core(request, &fields)?;
    validate_and_authorize(call, request, &to_sign)?;
    let signer = snapshot.signer(signer_or_default(&request.signer))?;
    let signing = snapshot.credentials_of(signer)?.target_signer(&request.bucket, snapshot.now())?;
    let stopwatch = Stopwatch::start();
    let form = post::sign_form(&to_sign, &signing)?;
    recorder.record_time(post::ALGORITHM, stopwatch.elapsed());
    Ok(form)
}

fn read_fields(request: &pb::PresignPostRequest) -> Result<FormFields<'_>, Failure> {
    let in_field = |field| move |error: PostError| Failure::Post { field, error };
    let mut fields = FormFields::default();
    for (name, value) in &request.fields {
        fields.add_exact(name, value).map_err(in_field("fields"))?;
    }
    for (name, text) in &request.starts_with {
        fields.add_starts_with(name, text).map_err(in_field("starts_with"))?;
    }
    Ok(fields)
}

fn to_core<'a>(
    request: &'a pb::PresignPostRequest,
    fields: &'a FormFields<'a>,
) -> Result<PostRequest<'a>, Failure> {
    let range = request.content_length_range.as_ref();
    Ok(PostRequest {
        key: PostKey::try_from(request.key.as_str())?,
        fields,
        length: range.map(|range| LengthRange::new(range.min, range.max)).transpose()?,
        expires_in: expires_in(request.expires_in.as_ref())?,
        min_expires_in: min_expires_in(request.min_expires_in.as_ref())?,
    })
}

fn encode(form: Form) -> EncodedMessage {
    let Form { url, fields, presigned } = form;
    let response = pb::PresignPostResponse {
        url,
        fields: fields.into_iter().collect(),
        expires_at: Some(Timestamp::from(presigned.expires_at())),
        granted: Some(to_wire_duration(presigned.grant.granted)),
        requested: Some(to_wire_duration(presigned.requested)),
        clamp_reason: to_wire_clamp_reason(presigned.grant.reason).into(),
    };
    EncodedMessage::encode(&response)
}
