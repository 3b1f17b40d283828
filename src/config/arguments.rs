//! The command line.

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
        Some(("presign", given)) => Invocation::Presign(presign::read(given, environment)?),
        Some(("post", given)) => Invocation::Post(post::read(given, environment)?),
        Some(("explain", given)) => Invocation::Explain(explain::read(given, environment)?),
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
        layers.file(&path, FILE_TABLES)?;
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
        .subcommand(presign::command())
        .subcommand(post::command())
        .subcommand(explain::command())
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
