//! `presignd post`.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_file, layers, option, server, switch, text, texts};
use crate::config::{ConfigError, layers::Layers};

/// `presignd post`.
#[derive(Debug)]
pub struct PostArguments {
    /// Where the server is.
    pub server: Option<String>,
    /// The settings, for the server's sockets when `server` is not given.
    pub layers: Layers,
    /// `s3://BUCKET/KEY`, whose key may end in `${filename}`.
    pub uri: String,
    /// `--expires-in`.
    pub expires_in: Option<String>,
    /// `--min-expires-in`.
    pub min_expires_in: Option<String>,
    /// `--signer`.
    pub signer: String,
    /// `--field`, as `NAME=VALUE`.
    pub fields: Vec<String>,
    /// `--starts-with`, as `NAME=TEXT`.
    pub starts_with: Vec<String>,
    /// `--content-length-range`, as `MIN:MAX`.
    pub content_length_range: Option<String>,
    /// `--json`.
    pub json: bool,
    /// `--verbose`.
    pub verbose: bool,
}

pub(super) fn read(
    given: &ArgMatches,
    environment: &[(String, String)],
) -> Result<PostArguments, ConfigError> {
    Ok(PostArguments {
        server: text(given, "server"),
        layers: layers(given, environment)?,
        uri: text(given, "uri").unwrap_or_default(),
        expires_in: text(given, "expires-in"),
        min_expires_in: text(given, "min-expires-in"),
        signer: text(given, "signer").unwrap_or_default(),
        fields: texts(given, "field"),
        starts_with: texts(given, "starts-with"),
        content_length_range: text(given, "content-length-range"),
        json: given.get_flag("json"),
        verbose: given.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("post")
        .about("Ask a running server for an upload form (POST policy) and print a curl command that sends it")
        .arg(Arg::new("uri").required(true).value_name("URI").help(
            "s3://BUCKET/KEY; a key that ends in '${filename}' stands for every key that begins so (quote it)",
        ))
        .arg(option(
            "expires-in",
            "DURATION",
            "how long the form should work, such as 10m; the server's default otherwise",
        ))
        .arg(option(
            "min-expires-in",
            "DURATION",
            "fail rather than print a form that works for less than this",
        ))
        .arg(option("signer", "NAME", "which of the server's signers signs"))
        .arg(
            option("field", "NAME=VALUE", "a field of the form and the value that it must have; repeatable")
                .action(ArgAction::Append),
        )
        .arg(
            option(
                "starts-with",
                "NAME=TEXT",
                "a field of the form and the text that its value must start with; repeatable",
            )
            .action(ArgAction::Append),
        )
        .arg(option("content-length-range", "MIN:MAX", "how many bytes the file may have, both included"))
        .arg(switch("json", "print the whole answer as JSON"))
        .arg(switch("verbose", "also print, on stderr, what was granted").short('v'))
        .arg(config_file())
        .arg(server())
}
