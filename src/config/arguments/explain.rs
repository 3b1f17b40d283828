//! `presignd explain`.

use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_argument, get_text, get_texts, load_layers, option, server_argument, switch};
use crate::config::{ConfigError, layers::Layers};

/// `presignd explain`.
pub struct ExplainArguments {
    /// The server's address; none: the one in `layers`.
    pub server: Option<String>,
    /// The settings, for the server's address.
    pub layers: Layers,
    /// The URL, or `-` for standard input. It grants access, so it is a secret.
    pub url: String,
    /// `--method`.
    pub method: String,
    /// `--header`, as `NAME: VALUE`.
    pub headers: Vec<String>,
    /// `--error-body`: a file, or `-` for standard input.
    pub error_body: Option<String>,
    /// `--json`.
    pub json: bool,
    /// `--verbose`.
    pub verbose: bool,
}

impl fmt::Debug for ExplainArguments {
    /// Leaves out the URL and the headers, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExplainArguments").field("server", &self.server).finish_non_exhaustive()
    }
}

pub(super) fn read_arguments(
    matches: &ArgMatches,
    environment: &[(String, String)],
) -> Result<ExplainArguments, ConfigError> {
    Ok(ExplainArguments {
        server: get_text(matches, "server"),
        layers: load_layers(matches, environment)?,
        url: get_text(matches, "url").unwrap_or_default(),
        method: get_text(matches, "method").unwrap_or_default(),
        headers: get_texts(matches, "header"),
        error_body: get_text(matches, "error-body"),
        json: matches.get_flag("json"),
        verbose: matches.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("explain")
        .about("Ask a running server why a presigned URL fails: exit code 0 if it is valid, else 1")
        .arg(
            Arg::new("url").required(true).value_name("URL").help(
                "the whole URL, as it was requested; -: read it from standard input, which keeps it out of the shell's \
                 history and the process list",
            ),
        )
        .arg(option("method", "METHOD", "HTTP method of the request").default_value("GET"))
        .arg(
            option("header", "NAME: VALUE", "header of the request; repeatable")
                .action(ArgAction::Append),
        )
        .arg(option(
            "error-body",
            "FILE",
            "file with the XML error response of S3, which shows what S3 received; -: read it from standard input",
        ))
        .arg(switch("json", "print the whole response as JSON"))
        .arg(switch("verbose", "also print the canonical request and the string to sign").short('v'))
        .arg(config_argument())
        .arg(server_argument())
        .after_help(
            "Exit code: 0 when the verdict is VALID; 1 for any other verdict, and when the server cannot be reached. No secret is \
             printed: session tokens and SSE-C keys are shown as ***.",
        )
}
