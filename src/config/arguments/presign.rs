//! `presignd presign`.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_file, layers, option, server, switch, text, texts};
use crate::config::{ConfigError, layers::Layers};

/// `presignd presign`.
#[derive(Debug)]
pub struct PresignArguments {
    /// Where the server is.
    pub server: Option<String>,
    /// The settings, for the server's sockets when `server` is not given.
    pub layers: Layers,
    /// `get`, `head`, `put`, `delete` or `list`.
    pub method: String,
    /// `s3://BUCKET-OR-ARN/KEY`; to list, the key is a prefix and may be left out.
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

pub(super) fn read(
    given: &ArgMatches,
    environment: &[(String, String)],
) -> Result<PresignArguments, ConfigError> {
    Ok(PresignArguments {
        server: text(given, "server"),
        layers: layers(given, environment)?,
        method: text(given, "method").unwrap_or_default(),
        uri: text(given, "uri").unwrap_or_default(),
        expires_in: text(given, "expires-in"),
        min_expires_in: text(given, "min-expires-in"),
        signer: text(given, "signer").unwrap_or_default(),
        headers: texts(given, "header"),
        query: texts(given, "query"),
        json: given.get_flag("json"),
        curl: given.get_flag("curl"),
        verbose: given.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("presign")
        .about("Ask a running server for a URL and print it")
        .arg(
            Arg::new("method")
                .required(true)
                .value_name("METHOD")
                .value_parser(["get", "head", "put", "delete", "list"])
                .help("what the URL's holder may do with the object, or list for those of a bucket"),
        )
        .arg(Arg::new("uri").required(true).value_name("URI").help(
            "s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY; the key as it is stored, not percent-encoded; \
                 to list, what the keys begin with, or nothing",
        ))
        .arg(option(
            "expires-in",
            "DURATION",
            "how long the URL should work, such as 10m; the server's default otherwise",
        ))
        .arg(option(
            "min-expires-in",
            "DURATION",
            "fail rather than print a URL that works for less than this",
        ))
        .arg(option("signer", "NAME", "which of the server's signers signs"))
        .arg(
            option("header", "NAME: VALUE", "a header to sign, which the holder must send; repeatable")
                .action(ArgAction::Append),
        )
        .arg(option("query", "NAME=VALUE", "a query parameter to sign; repeatable").action(ArgAction::Append))
        .arg(switch("json", "print the whole answer as JSON"))
        .arg(
            switch("curl", "print a command line that uses the URL, with every header that it needs")
                .conflicts_with("json"),
        )
        .arg(switch("verbose", "also print, on stderr, what was granted and a ready curl command").short('v'))
        .arg(config_file())
        .arg(server())
}
