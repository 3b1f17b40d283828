//! The command line: its definition for clap, and the parsed arguments of each command.

pub mod explain;
pub mod post;
pub mod presign;

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::{explain::ExplainArguments, post::PostArguments, presign::PresignArguments};
use super::{
    ConfigError, FILE_TABLES,
    layers::Layers,
    settings::{SETTINGS, Setting},
};

/// The variable that names the configuration file, as `--config` does.
const CONFIG_VARIABLE: &str = "PRESIGND_CONFIG";

/// A parsed command line.
#[derive(Debug)]
pub enum Invocation {
    /// `presignd serve`: run the server.
    Serve(Layers),
    /// `presignd config check`: print the effective settings.
    ConfigCheck(Layers),
    /// `presignd presign`: get a URL from a running server.
    Presign(PresignArguments),
    /// `presignd post`: get an upload form from a running server.
    Post(PostArguments),
    /// `presignd explain`: ask a running server why a URL fails.
    Explain(ExplainArguments),
    /// `presignd healthcheck`: ask a running server whether it can sign.
    Healthcheck(HealthcheckArguments),
}

/// `presignd healthcheck`.
#[derive(Debug)]
pub struct HealthcheckArguments {
    /// The server's address; none: the one in `layers`.
    pub server: Option<String>,
    /// The settings, for the server's address.
    pub layers: Layers,
    /// The name of the gRPC health service to check.
    pub service: String,
}

/// Parses the command line and the environment, and reads the configuration file that they name.
///
/// For help, version and invalid arguments, clap prints a text and ends the process: exit code 0 for help and version, 2
/// for invalid arguments.
///
/// # Errors
/// When the file cannot be read, or the file or the environment has an unknown setting.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &[(String, String)],
) -> Result<Invocation, ConfigError> {
    let matches = command().try_get_matches_from(arguments).unwrap_or_else(|error| error.exit());
    Ok(match matches.subcommand() {
        Some(("presign", matches)) => Invocation::Presign(presign::read_arguments(matches, environment)?),
        Some(("post", matches)) => Invocation::Post(post::read_arguments(matches, environment)?),
        Some(("explain", matches)) => Invocation::Explain(explain::read_arguments(matches, environment)?),
        Some(("healthcheck", matches)) => Invocation::Healthcheck(HealthcheckArguments {
            server: get_text(matches, "server"),
            layers: load_layers(matches, environment)?,
            service: get_text(matches, "service").unwrap_or_default(),
        }),
        Some(("config", matches)) => {
            let check = matches.subcommand_matches("check").unwrap_or(matches);
            Invocation::ConfigCheck(load_layers_with_flags(check, environment)?)
        }
        Some((_, matches)) => Invocation::Serve(load_layers_with_flags(matches, environment)?),
        None => Invocation::Serve(load_layers(&matches, environment)?),
    })
}

/// The command line of this process.
pub fn command_line() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The environment of this process, without variables that are not UTF-8.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Whether the environment sets tokio's number of threads.
pub fn sets_worker_threads() -> bool {
    std::env::var_os("TOKIO_WORKER_THREADS").is_some()
}

fn load_layers(matches: &ArgMatches, environment: &[(String, String)]) -> Result<Layers, ConfigError> {
    let mut layers = Layers::defaults();
    let named = environment.iter().find(|(name, _)| name == CONFIG_VARIABLE);
    let path = matches.get_one::<PathBuf>("config").cloned().or_else(|| named.map(|(_, path)| path.into()));
    if let Some(path) = path {
        layers.apply_file(&path, FILE_TABLES)?;
    }
    layers.apply_environment(environment)?;
    Ok(layers)
}

fn load_layers_with_flags(
    matches: &ArgMatches,
    environment: &[(String, String)],
) -> Result<Layers, ConfigError> {
    let mut layers = load_layers(matches, environment)?;
    for setting in SETTINGS {
        if let Some(value) = get_text(matches, setting.name) {
            layers.apply_flag(setting, value);
        }
    }
    Ok(layers)
}

fn get_text(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.get_one::<String>(id).cloned()
}

fn get_texts(matches: &ArgMatches, id: &str) -> Vec<String> {
    matches.get_many::<String>(id).into_iter().flatten().cloned().collect()
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
                .arg(config_argument())
                .args(SETTINGS.iter().map(setting_argument))
                .after_help(
                    "Each setting can be a flag (--listen-tcp), an environment variable (PRESIGND_LISTEN_TCP) or a key of \
                     the TOML file (listen.tcp). A flag overrides a variable, and a variable overrides the file.",
                ),
        )
        .subcommand(presign::command())
        .subcommand(post::command())
        .subcommand(explain::command())
        .subcommand(
            Command::new("healthcheck")
                .about("Ask a running server whether it can sign: exit code 0 if it can, else 1")
                .arg(config_argument())
                .arg(server_argument())
                .arg(
                    Arg::new("service")
                        .long("service")
                        .value_name("NAME")
                        .default_value("")
                        .help("gRPC health service to check: \"\" (the whole server), liveness, readiness or signer.NAME"),
                ),
        )
        .subcommand(
            Command::new("config").about("Inspect the configuration").subcommand_required(true).subcommand(
                Command::new("check")
                    .about("Check the configuration, and print every setting with its origin")
                    .arg(config_argument())
                    .args(SETTINGS.iter().map(setting_argument)),
            ),
        )
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn config_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("TOML file with settings [env: {CONFIG_VARIABLE}]"))
}

fn server_argument() -> Arg {
    Arg::new("server").long("server").value_name("ADDRESS").help(
        "address of the server: unix:PATH, unix:@NAME or HOST:PORT; if unset, listen.unix, or else listen.tcp, from the file \
         or the environment",
    )
}

/// The flag of a setting. For a boolean, the flag without a value means true.
fn setting_argument(setting: &'static Setting) -> Arg {
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
    fn command_line_definition_is_valid() {
        command().debug_assert();
    }

    #[test]
    fn boolean_flag_needs_no_value() {
        for (argument, value) in [("--open", "true"), ("--open=false", "false")] {
            let arguments = ["presignd", "serve", argument].map(OsString::from);
            let Invocation::Serve(layers) = parse(arguments, &[]).unwrap() else {
                panic!("expected Invocation::Serve")
            };
            assert_eq!(layers.get("open").unwrap().text, value);
        }
    }
}
