//! `presignd explain`: the request from the command line, and the answer as text or JSON.

use std::{
    borrow::Cow,
    fmt::Write as _,
    fs,
    io::{self, Read},
};

use serde_json::json;

use super::{ClientError, client_error, connect, parse_pairs, terms::rfc3339};
use crate::{
    config::arguments::explain::ExplainArguments,
    pb::{self, Verdict, presign_service_client::PresignServiceClient},
};

/// The argument for the standard input.
const STDIN: &str = "-";

/// Asks the server to explain a URL. Returns the output, and whether the URL is valid.
///
/// # Errors
/// See [`ClientError`].
pub async fn explain(arguments: ExplainArguments) -> Result<(String, bool), ClientError> {
    let request = build_request(&arguments)?;
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let answer = PresignServiceClient::new(channel).explain(request).await;
    let explained = answer.map_err(|status| client_error(&address, status))?.into_inner();
    let output =
        if arguments.json { format_json(&explained) } else { format_text(&explained, arguments.verbose) };
    Ok((output, explained.verdict() == Verdict::Valid))
}

fn build_request(arguments: &ExplainArguments) -> Result<pb::ExplainRequest, ClientError> {
    let error_body = arguments.error_body.as_deref();
    if arguments.url == STDIN && error_body == Some(STDIN) {
        return Err(ClientError::Argument(
            "the URL and the error body cannot both be read from standard input: give one as an argument or a file"
                .to_owned(),
        ));
    }
    let url = match arguments.url.as_str() {
        STDIN => read_argument("the URL", STDIN)?,
        url => url.to_owned(),
    };
    Ok(pb::ExplainRequest {
        url: url.trim().to_owned(),
        method: arguments.method.clone(),
        headers: parse_pairs("--header", &arguments.headers, ':')?,
        s3_error_body: error_body.map_or(Ok(String::new()), |file| read_argument("--error-body", file))?,
    })
}

/// Reads a file, or the standard input for `-`.
fn read_argument(what: &str, file: &str) -> Result<String, ClientError> {
    let mut bytes = Vec::new();
    let (source, result) = match file {
        STDIN => ("standard input", io::stdin().read_to_end(&mut bytes).map(drop)),
        file => (file, fs::read(file).map(|all| bytes = all)),
    };
    result.map_err(|error| ClientError::Argument(format!("failed to read {what} from {source}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn format_text(explained: &pb::ExplainResponse, verbose: bool) -> String {
    let mut text = format!("verdict   {}", verdict_name(explained));
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            let _infallible = write!(text, "\n{what:<9} {}", escape_control(value));
        }
    };
    for finding in &explained.findings {
        line("finding", finding);
    }
    if let Some(parts) = &explained.parts {
        let scope = [parts.scope_date.as_str(), &parts.scope_region, &parts.scope_service];
        line("host", &parts.host);
        line("bucket", &parts.bucket);
        line("key", &parts.key);
        line("signed", &rfc3339(explained.signed_at.as_ref()));
        line("expires", &rfc3339(explained.expires_at.as_ref()));
        line("algorithm", &parts.algorithm);
        line("key id", &parts.access_key_id);
        line("scope", scope.join("/").trim_matches('/'));
        line("headers", &parts.signed_headers.join(";"));
        line("token", if parts.has_session_token { "present" } else { "" });
    }
    if verbose && !explained.canonical_request.is_empty() {
        for (what, value) in [
            ("canonical request", &explained.canonical_request),
            ("string to sign", &explained.string_to_sign),
        ] {
            let _infallible = write!(text, "\n\n{what}:");
            for line in value.lines() {
                let _infallible = write!(text, "\n{}", escape_control(line));
            }
        }
    }
    text
}

/// Escapes control characters: a key or an error document may contain some.
fn escape_control(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn format_json(explained: &pb::ExplainResponse) -> String {
    let parts = explained.parts.clone().unwrap_or_default();
    json!({
        "verdict": verdict_name(explained),
        "findings": explained.findings,
        "parts": {
            "algorithm": parts.algorithm,
            "access_key_id": parts.access_key_id,
            "scope_date": parts.scope_date,
            "scope_region": parts.scope_region,
            "scope_service": parts.scope_service,
            "signed_headers": parts.signed_headers,
            "host": parts.host,
            "bucket": parts.bucket,
            "key": parts.key,
            "expires_seconds": parts.expires.map(|expires| expires.seconds),
            "has_session_token": parts.has_session_token,
        },
        "signed_at": rfc3339(explained.signed_at.as_ref()),
        "expires_at": rfc3339(explained.expires_at.as_ref()),
        "canonical_request": explained.canonical_request,
        "string_to_sign": explained.string_to_sign,
    })
    .to_string()
}

fn verdict_name(explained: &pb::ExplainResponse) -> &'static str {
    explained.verdict().as_str_name().trim_start_matches("VERDICT_")
}
