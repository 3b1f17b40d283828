//! `presignd post`: an upload form, as a command line or as JSON.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    ClientError, client_error, connect, curl, parse_duration, parse_pairs, terms::GrantSummary, uri::S3Uri,
};
use crate::{
    config::arguments::post::PostArguments,
    pb::{self, presign_service_client::PresignServiceClient},
};

/// What to print on stdout, and on stderr.
///
/// # Errors
/// See [`ClientError`].
pub async fn post(arguments: PostArguments) -> Result<(String, String), ClientError> {
    let request = build_request(&arguments)?;
    let supplied = request.starts_with.clone();
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let answer = PresignServiceClient::new(channel).presign_post(request).await;
    let form = answer.map_err(|status| client_error(&address, status))?.into_inner();
    let terms = if arguments.verbose { GrantSummary::of_form(&form).to_string() } else { String::new() };
    let to_complete = if arguments.json { String::new() } else { to_complete(&supplied) };
    let output = if arguments.json { as_json(&form) } else { curl::form_command(&form, &supplied) };
    Ok((output, terms + &to_complete))
}

/// What the holder has to see to: the command has the beginning of these values only.
fn to_complete(supplied: &BTreeMap<String, String>) -> String {
    let names: Vec<&str> = supplied.keys().map(String::as_str).collect();
    match names.join(", ") {
        none if none.is_empty() => none,
        names => format!("complete {names}: the values only begin as they must\n"),
    }
}

fn build_request(arguments: &PostArguments) -> Result<pb::PresignPostRequest, ClientError> {
    let S3Uri { bucket, key } = arguments.uri.parse().map_err(ClientError::Argument)?;
    Ok(pb::PresignPostRequest {
        bucket,
        key,
        expires_in: parse_duration("--expires-in", arguments.expires_in.as_deref())?,
        min_expires_in: parse_duration("--min-expires-in", arguments.min_expires_in.as_deref())?,
        signer: arguments.signer.clone(),
        fields: parse_pairs("--field", &arguments.fields, '=')?,
        starts_with: parse_pairs("--starts-with", &arguments.starts_with, '=')?,
        content_length_range: arguments.content_length_range.as_deref().map(parse_range).transpose()?,
    })
}

fn parse_range(text: &str) -> Result<pb::ContentLengthRange, ClientError> {
    let bounds = text.split_once(':').and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
    let (min, max) = bounds.ok_or_else(|| {
        let flag = "--content-length-range";
        ClientError::Argument(format!("{flag} {text:?} is not MIN:MAX in bytes, as in {flag} 1:10485760"))
    })?;
    Ok(pb::ContentLengthRange { min, max })
}

fn as_json(form: &pb::PresignPostResponse) -> String {
    let terms = GrantSummary::of_form(form);
    json!({
        "url": form.url,
        "fields": form.fields,
        "expires_at": terms.expires_at,
        "granted_seconds": terms.granted,
        "requested_seconds": terms.requested,
        "clamp_reason": terms.clamp_reason,
    })
    .to_string()
}
