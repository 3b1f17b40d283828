//! `presignd post`.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_argument, get_text, get_texts, load_layers, option, server_argument, switch};
use crate::config::{ConfigError, layers::Layers};

/// `presignd post`.
#[derive(Debug)]
pub struct PostArguments {
    /// The server's address; none: the one in `layers`.
    pub server: Option<String>,
    /// The settings, for the server's address.
    pub layers: Layers,
    /// `s3://BUCKET/KEY`, where KEY may end in `${filename}`.
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

pub(super) fn read_arguments(
    matches: &ArgMatches,
    environment: &[(String, String)],
) -> Result<PostArguments, ConfigError> {
    Ok(PostArguments {
        server: get_text(matches, "server"),
        layers: load_layers(matches, environment)?,
        uri: get_text(matches, "uri").unwrap_or_default(),
        expires_in: get_text(matches, "expires-in"),
        min_expires_in: get_text(matches, "min-expires-in"),
        signer: get_text(matches, "signer").unwrap_or_default(),
        fields: get_texts(matches, "field"),
        starts_with: get_texts(matches, "starts-with"),
        content_length_range: get_text(matches, "content-length-range"),
        json: matches.get_flag("json"),
        verbose: matches.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("post")
        .about("Get an upload form (POST policy) from a running server, and print a curl command that sends it")
        .arg(Arg::new("uri").required(true).value_name("URI").help(
            "s3://BUCKET/KEY; a key that ends in '${filename}' allows every key with the prefix before it (quote it in a shell)",
        ))
        .arg(option(
            "expires-in",
            "DURATION",
            "lifetime of the form, such as 10m; if unset, the server's default",
        ))
        .arg(option(
            "min-expires-in",
            "DURATION",
            "fail if the granted lifetime would be shorter than this",
        ))
        .arg(option("signer", "NAME", "name of the server's signer to use; if unset, default"))
        .arg(
            option("field", "NAME=VALUE", "form field with a fixed value; repeatable")
                .action(ArgAction::Append),
        )
        .arg(
            option(
                "starts-with",
                "NAME=TEXT",
                "form field whose value must start with TEXT; repeatable",
            )
            .action(ArgAction::Append),
        )
        .arg(option("content-length-range", "MIN:MAX", "allowed size of the file in bytes, both limits included"))
        .arg(switch("json", "print the whole response as JSON"))
        .arg(switch("verbose", "also print, on stderr, the granted lifetime").short('v'))
        .arg(config_argument())
        .arg(server_argument())
}
