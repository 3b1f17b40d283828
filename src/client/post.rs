//! `presignd post`: prints an upload form as a curl command or as JSON.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    ClientError, client_error, connect, curl, parse_duration, parse_pairs, terms::GrantSummary, uri::S3Uri,
};
use crate::{
    config::arguments::post::PostArguments,
    pb::{self, presign_service_client::PresignServiceClient},
};

/// Returns the text for stdout and the text for stderr.
///
/// # Errors
/// See [`ClientError`].
pub async fn post(arguments: PostArguments) -> Result<(String, String), ClientError> {
    let request = build_request(&arguments)?;
    let prefixes = request.starts_with.clone();
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let response = PresignServiceClient::new(channel).presign_post(request).await;
    let form = response.map_err(|status| client_error(&address, status))?.into_inner();
    let terms = if arguments.verbose { GrantSummary::of_form(&form).to_string() } else { String::new() };
    let hint = if arguments.json { String::new() } else { incomplete_fields_hint(&prefixes) };
    let output = if arguments.json { to_json(&form) } else { curl::form_command(&form, &prefixes) };
    Ok((output, terms + &hint))
}

/// A line that names the fields of `--starts-with`: in the command their values are only the required prefixes.
fn incomplete_fields_hint(prefixes: &BTreeMap<String, String>) -> String {
    let names: Vec<&str> = prefixes.keys().map(String::as_str).collect();
    match names.join(", ") {
        names if names.is_empty() => names,
        names => format!("complete the value of {names}: the command has only the required prefix\n"),
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
        ClientError::Argument(format!(
            "{flag} is {text:?}, but must be MIN:MAX in bytes, such as {flag} 1:10485760"
        ))
    })?;
    Ok(pb::ContentLengthRange { min, max })
}

fn to_json(form: &pb::PresignPostResponse) -> String {
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
