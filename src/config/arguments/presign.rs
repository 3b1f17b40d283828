//! `presignd presign`.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_argument, get_text, get_texts, load_layers, option, server_argument, switch};
use crate::config::{ConfigError, layers::Layers};

/// `presignd presign`.
#[derive(Debug)]
pub struct PresignArguments {
    /// The server's address; none: the one in `layers`.
    pub server: Option<String>,
    /// The settings, for the server's address.
    pub layers: Layers,
    /// `get`, `head`, `put`, `delete` or `list`.
    pub method: String,
    /// `s3://BUCKET/KEY`, `s3://ARN/KEY` or `ARN/KEY`; for `list`, the key is an optional prefix.
    pub uri: String,
    /// `--expires-in`.
    pub expires_in: Option<String>,
    /// `--min-expires-in`.
    pub min_expires_in: Option<String>,
    /// `--signer`.
    pub signer: String,
    /// `--header`, as `NAME: VALUE`.
    pub headers: Vec<String>,
    /// `--query`, as `NAME=VALUE`.
    pub query: Vec<String>,
    /// `--json`.
    pub json: bool,
    /// `--curl`.
    pub curl: bool,
    /// `--verbose`.
    pub verbose: bool,
}

pub(super) fn read_arguments(
    matches: &ArgMatches,
    environment: &[(String, String)],
) -> Result<PresignArguments, ConfigError> {
    Ok(PresignArguments {
        server: get_text(matches, "server"),
        layers: load_layers(matches, environment)?,
        method: get_text(matches, "method").unwrap_or_default(),
        uri: get_text(matches, "uri").unwrap_or_default(),
        expires_in: get_text(matches, "expires-in"),
        min_expires_in: get_text(matches, "min-expires-in"),
        signer: get_text(matches, "signer").unwrap_or_default(),
        headers: get_texts(matches, "header"),
        query: get_texts(matches, "query"),
        json: matches.get_flag("json"),
        curl: matches.get_flag("curl"),
        verbose: matches.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("presign")
        .about("Get a presigned URL from a running server, and print it")
        .arg(
            Arg::new("method")
                .required(true)
                .value_name("METHOD")
                .value_parser(["get", "head", "put", "delete", "list"])
                .help("operation that the URL allows on the object; list: list the objects of a bucket"),
        )
        .arg(Arg::new("uri").required(true).value_name("URI").help(
            "s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY, with the key not percent-encoded; \
                 for list, KEY is an optional prefix of the keys",
        ))
        .arg(option(
            "expires-in",
            "DURATION",
            "lifetime of the URL, such as 10m; if unset, the server's default",
        ))
        .arg(option("min-expires-in", "DURATION", "fail if the granted lifetime would be shorter than this"))
        .arg(option("signer", "NAME", "name of the server's signer to use; if unset, default"))
        .arg(
            option(
                "header",
                "NAME: VALUE",
                "header to sign, which every request with the URL must send; repeatable",
            )
            .action(ArgAction::Append),
        )
        .arg(option("query", "NAME=VALUE", "query parameter to sign; repeatable").action(ArgAction::Append))
        .arg(switch("json", "print the whole response as JSON"))
        .arg(
            switch("curl", "print a curl command that uses the URL, with every required header")
                .conflicts_with("json"),
        )
        .arg(switch("verbose", "also print, on stderr, the granted lifetime and a curl command").short('v'))
        .arg(config_argument())
        .arg(server_argument())
}
