//! `presignd explain`.

use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{config_file, layers, option, server, switch, text, texts};
use crate::config::{ConfigError, layers::Layers};

/// `presignd explain`.
pub struct ExplainArguments {
    /// Where the server is.
    pub server: Option<String>,
    /// The settings, for the server's sockets when `server` is not given.
    pub layers: Layers,
    /// The URL, or `-` for the standard input. A bearer secret.
    pub url: String,
    /// `--method`.
    pub method: String,
    /// `--header`, as `NAME: VALUE`.
    pub headers: Vec<String>,
    /// `--error-body`: a file, or `-` for the standard input.
    pub error_body: Option<String>,
    /// `--json`.
    pub json: bool,
    /// `--verbose`.
    pub verbose: bool,
}

impl fmt::Debug for ExplainArguments {
    /// Without the URL and the headers, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExplainArguments").field("server", &self.server).finish_non_exhaustive()
    }
}

pub(super) fn read(
    given: &ArgMatches,
    environment: &[(String, String)],
) -> Result<ExplainArguments, ConfigError> {
    Ok(ExplainArguments {
        server: text(given, "server"),
        layers: layers(given, environment)?,
        url: text(given, "url").unwrap_or_default(),
        method: text(given, "method").unwrap_or_default(),
        headers: texts(given, "header"),
        error_body: text(given, "error-body"),
        json: given.get_flag("json"),
        verbose: given.get_flag("verbose"),
    })
}

pub(super) fn command() -> Command {
    Command::new("explain")
        .about("Ask a running server why a presigned URL fails: exit 0 if it is valid, else 1")
        .arg(
            Arg::new("url").required(true).value_name("URL").help(
                "the whole URL, as it was used; - reads it from standard input, so that it stays out of the shell's \
                 history and the list of processes",
            ),
        )
        .arg(option("method", "METHOD", "the HTTP method with which it was used").default_value("GET"))
        .arg(
            option("header", "NAME: VALUE", "a header with which it was used; repeatable")
                .action(ArgAction::Append),
        )
        .arg(option(
            "error-body",
            "FILE",
            "the XML that S3 answered, which tells what S3 received; - reads it from standard input",
        ))
        .arg(switch("json", "print the whole answer as JSON"))
        .arg(switch("verbose", "also print the canonical request and the string to sign").short('v'))
        .arg(config_file())
        .arg(server())
        .after_help(
            "Exit code: 0 when the verdict is VALID; 1 when it is another one, or when there is no answer. Nothing secret \
             is printed: session tokens and SSE-C keys are shown as ***.",
        )
}
