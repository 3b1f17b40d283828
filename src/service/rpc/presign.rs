//! `Presign`: one URL.

use std::sync::Arc;

use prost::bytes::{Bytes, BytesMut};

use super::batch::MAX_RESPONSE_BYTES;
use crate::{
    pb,
    service::{
        admission::call::Call,
        codec::EncodedMessage,
        failure::Failure,
        request::{merged::MergedRequest, protobuf::decode_request},
        response::encode,
        sign::{
            call_signer::{CallSigner, add_needs},
            needs::CredentialNeeds,
            snapshot::CallSnapshot,
        },
    },
};

/// Signs one request and encodes its response.
pub(in crate::service) async fn presign(call: Arc<Call>, message: Bytes) -> Result<EncodedMessage, Failure> {
    let mut snapshot = CallSnapshot::take(&call.state);
    let mut request = Box::<pb::PresignRequest>::default();
    if let Err(failure) = decode_request(&message, &mut request) {
        CallSigner::new(&call, &snapshot).record_undecoded(&failure);
        return Err(failure);
    }
    let request = MergedRequest::new(&request, None);
    let mut needs = CredentialNeeds::new(&snapshot, request.bucket().as_bytes());
    if !needs.are_final() {
        add_needs(&call, &snapshot, request, None, &mut needs);
        let newer = needs.ensure(&call.state, call.context.deadline).await;
        snapshot = newer.unwrap_or(snapshot);
    }
    let mut response = BytesMut::new();
    CallSigner::new(&call, &snapshot).sign(request, None, encode::write_response, &mut response)?;
    if response.len() > MAX_RESPONSE_BYTES {
        return Err(Failure::ResultTooLarge { limit: MAX_RESPONSE_BYTES });
    }
    Ok(response.into())
}
