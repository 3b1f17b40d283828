//! `PresignPost`: forms with which a browser uploads a file.

use std::time::Duration;

use prost::{
    Message as _,
    bytes::{Bytes, BytesMut},
};
use prost_types::Timestamp;

use super::{
    DEFAULT_SIGNER, Shared,
    answer::{clamp_reason, duration},
    codec::Answer,
    early::{self, Wish},
    request::{expires_in, min_expires_in},
    status::{Failure, code_name},
    wire::Malformed,
    work::Moment,
};
use crate::{
    clock::Stopwatch,
    pb,
    presign::{
        post::{self, Fields, Form, LengthRange, PostError, PostKey, PostRequest},
        target::Target,
    },
};

/// Signs one form, counts it, and puts its answer together. A form has 20 KB at most, so the answer is short.
pub(super) async fn presign_post(
    shared: &Shared,
    message: Bytes,
    deadline: Option<Duration>,
) -> Result<Answer, Failure> {
    let request = pb::PresignPostRequest::decode(message).map_err(|_| Malformed::new("request"))?;
    // What is not valid is refused where it is signed.
    let asked = expires_in(request.expires_in.as_ref()).ok().flatten();
    let wish = Wish { signer: signer_of(&request), asked, window: None };
    early::renew_for_one(shared, wish, deadline).await;
    let moment = Moment::new(shared);
    match sign(&request, &moment) {
        Ok(form) => {
            let mut out = BytesMut::new();
            out.reserve(form.encoded_len());
            form.encode_raw(&mut out);
            Ok(out.into())
        }
        Err(failure) => {
            refused(shared, &request, &moment, &failure);
            Err(failure)
        }
    }
}

/// The signer's name; that of the default one when none is named.
fn signer_of(request: &pb::PresignPostRequest) -> &str {
    if request.signer.is_empty() { DEFAULT_SIGNER } else { &request.signer }
}

fn sign(request: &pb::PresignPostRequest, moment: &Moment) -> Result<pb::PresignPostResponse, Failure> {
    let fields = fields(request)?;
    let to_sign = to_core(request, &fields)?;
    let (signer, snapshot) = moment.signer(signer_of(request))?;
    // What can never work is said first, with credentials or without.
    post::check(&request.bucket.parse::<Target>()?)?;
    let Some(snapshot) = snapshot else {
        return Err(Failure::NoCredentials { signer: signer.name().to_owned() });
    };
    let signing = snapshot.signing(&request.bucket, moment.now())?;
    let watch = Stopwatch::start();
    let form = post::post(&to_sign, &signing)?;
    signer.metrics().form_signed(signing.target().kind(), &form.presigned, watch.elapsed());
    Ok(answer(form))
}

fn fields(request: &pb::PresignPostRequest) -> Result<Fields<'_>, Failure> {
    let wrong_in = |field| move |error: PostError| Failure::Post { field, error };
    let mut fields = Fields::default();
    for (name, value) in &request.fields {
        fields.add_exact(name, value).map_err(wrong_in("fields"))?;
    }
    for (name, text) in &request.starts_with {
        fields.add_starts_with(name, text).map_err(wrong_in("starts_with"))?;
    }
    Ok(fields)
}

fn to_core<'a>(
    request: &'a pb::PresignPostRequest,
    fields: &'a Fields<'a>,
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

fn answer(form: Form) -> pb::PresignPostResponse {
    let Form { url, fields, presigned } = form;
    pb::PresignPostResponse {
        url,
        fields: fields.into_iter().collect(),
        expires_at: Some(Timestamp::from(presigned.expires_at())),
        granted: Some(duration(presigned.grant.granted)),
        requested: Some(duration(presigned.requested)),
        clamp_reason: clamp_reason(presigned.grant.reason).into(),
    }
}

fn refused(shared: &Shared, request: &pb::PresignPostRequest, moment: &Moment, failure: &Failure) {
    let signer = moment.signer(signer_of(request)).map_or("unknown", |(signer, _)| signer.name());
    let target = request.bucket.parse::<Target>().map_or("unknown", |target| target.kind().as_str());
    shared.metrics.url_refused(post::OPERATION, target, signer, code_name(failure.code()));
}
