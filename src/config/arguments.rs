//! The command line.

pub mod post;

use std::{ffi::OsString, fmt, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::post::PostArguments;
use super::{
    ConfigError,
    layers::Layers,
    settings::{SETTINGS, Setting},
};

/// The variable that names the configuration file, as `--config` does.
const CONFIG_VARIABLE: &str = "PRESIGND_CONFIG";

/// What the user wants.
#[derive(Debug)]
pub enum Invocation {
    /// Run the server.
    Serve(Layers),
    /// Print the effective settings.
    ConfigCheck(Layers),
    /// Ask a server for a URL.
    Presign(PresignArguments),
    /// Ask a server for an upload form.
    Post(PostArguments),
    /// Ask a server why a URL fails.
    Explain(ExplainArguments),
    /// Ask a server whether it can sign.
    Healthcheck(HealthcheckArguments),
}

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

/// `presignd healthcheck`.
#[derive(Debug)]
pub struct HealthcheckArguments {
    /// Where the server is.
    pub server: Option<String>,
    /// The settings, for the server's sockets when `server` is not given.
    pub layers: Layers,
    /// The health service's name for what is asked after.
    pub service: String,
}

/// Reads the command line, the environment and the file that they name.
///
/// Help, version and mistakes are printed by clap, which ends the process: 0 for help and version, 2 for mistakes.
///
/// # Errors
/// When the file or the environment sets what is not a setting.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &[(String, String)],
) -> Result<Invocation, ConfigError> {
    let matches = command().try_get_matches_from(arguments).unwrap_or_else(|error| error.exit());
    Ok(match matches.subcommand() {
        Some(("presign", given)) => Invocation::Presign(PresignArguments {
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
        }),
        Some(("post", given)) => Invocation::Post(post::read(given, environment)?),
        Some(("explain", given)) => Invocation::Explain(ExplainArguments {
            server: text(given, "server"),
            layers: layers(given, environment)?,
            url: text(given, "url").unwrap_or_default(),
            method: text(given, "method").unwrap_or_default(),
            headers: texts(given, "header"),
            error_body: text(given, "error-body"),
            json: given.get_flag("json"),
            verbose: given.get_flag("verbose"),
        }),
        Some(("healthcheck", given)) => Invocation::Healthcheck(HealthcheckArguments {
            server: text(given, "server"),
            layers: layers(given, environment)?,
            service: text(given, "service").unwrap_or_default(),
        }),
        Some(("config", given)) => {
            let check = given.subcommand_matches("check").unwrap_or(given);
            Invocation::ConfigCheck(with_flags(check, environment)?)
        }
        Some((_, given)) => Invocation::Serve(with_flags(given, environment)?),
        None => Invocation::Serve(layers(&matches, environment)?),
    })
}

/// The command line of this process.
pub fn command_line() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The environment of this process, as far as it is text.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn layers(given: &ArgMatches, environment: &[(String, String)]) -> Result<Layers, ConfigError> {
    let mut layers = Layers::defaults();
    let named = environment.iter().find(|(name, _)| name == CONFIG_VARIABLE);
    let path = given.get_one::<PathBuf>("config").cloned().or_else(|| named.map(|(_, path)| path.into()));
    if let Some(path) = path {
        layers.file(&path)?;
    }
    layers.environment(environment)?;
    Ok(layers)
}

fn with_flags(given: &ArgMatches, environment: &[(String, String)]) -> Result<Layers, ConfigError> {
    let mut layers = layers(given, environment)?;
    for setting in SETTINGS {
        if let Some(value) = text(given, setting.name) {
            layers.flag(setting, value);
        }
    }
    Ok(layers)
}

fn text(given: &ArgMatches, id: &str) -> Option<String> {
    given.get_one::<String>(id).cloned()
}

fn texts(given: &ArgMatches, id: &str) -> Vec<String> {
    given.get_many::<String>(id).into_iter().flatten().cloned().collect()
}

fn command() -> Command {
    Command::new("presignd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Presigns S3 and S3 on Outposts URLs over gRPC, so that applications hold no AWS credentials")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("serve")
                .about("Run the server")
                .arg(config_file())
                .args(SETTINGS.iter().map(flag))
                .after_help("Each flag is also an environment variable (PRESIGND_LISTEN_TCP) and a key of the TOML file (listen.tcp)."),
        )
        .subcommand(presign())
        .subcommand(post::command())
        .subcommand(explain())
        .subcommand(
            Command::new("healthcheck")
                .about("Ask a running server whether it can sign: exit 0 if so, else 1")
                .arg(config_file())
                .arg(server())
                .arg(
                    Arg::new("service")
                        .long("service")
                        .value_name("NAME")
                        .default_value("")
                        .help("health of: \"\" (all), liveness, readiness, signer.NAME"),
                ),
        )
        .subcommand(
            Command::new("config").about("Look at the configuration").subcommand_required(true).subcommand(
                Command::new("check")
                    .about("Check the configuration and print every setting with the place that it comes from")
                    .arg(config_file())
                    .args(SETTINGS.iter().map(flag)),
            ),
        )
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn explain() -> Command {
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

fn presign() -> Command {
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

fn config_file() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("TOML file with settings [env: {CONFIG_VARIABLE}]"))
}

fn server() -> Arg {
    Arg::new("server").long("server").value_name("ADDRESS").help(
        "unix:PATH, unix:@NAME or HOST:PORT; otherwise listen.unix, or else listen.tcp, of the file or the environment",
    )
}

/// The flag of a setting; a switch may be given without a value.
fn flag(setting: &'static Setting) -> Arg {
    let default = setting.default.map_or(String::new(), |default| format!(" [default: {default}]"));
    let arg = Arg::new(setting.name).long(setting.flag()).help(format!("{}{default}", setting.help));
    match setting.value {
        Some(value) => arg.value_name(value),
        None => arg.value_name("BOOL").num_args(0..=1).require_equals(true).default_missing_value("true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn a_switch_needs_no_value() {
        for (argument, value) in [("--open", "true"), ("--open=false", "false")] {
            let arguments = ["presignd", "serve", argument].map(OsString::from);
            let Invocation::Serve(layers) = parse(arguments, &[]).unwrap() else {
                panic!("serve was asked for")
            };
            assert_eq!(layers.get("open").unwrap().text, value);
        }
    }
}
