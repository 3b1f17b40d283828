//! Parses flags, environment and file to typed settings. No other module uses clap or reads the settings' variables.

pub mod arguments;
mod environment;
pub mod error;
mod file;
pub mod layers;
mod names;
pub mod reload;
pub mod settings;
mod signers;
pub mod tables;
mod values;

use std::{net::SocketAddr, str::FromStr, time::Duration};

use thiserror::Error;

use self::{
    error::{LayerError, Origin},
    layers::Layers,
    tables::FileTable,
    values::{
        AdminAddress, Boolean, HumanDuration, OctalMode, parse, parse_bounded, parse_if_set, parse_or_off,
    },
};
use crate::{
    address::{LoopbackAddress, UnixAddress},
    credentials::SignerSettings,
};

/// The upper limit of `limits.batch_items`, by the contract.
pub const MAX_BATCH_ITEMS: usize = 1_000;

/// The tables that the file may have in addition to the settings.
pub const FILE_TABLES: &[&dyn FileTable] = &[];

/// The configuration of the server, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen.tcp`.
    pub tcp: Option<LoopbackAddress>,
    /// `listen.unix` and `listen.unix_mode`.
    pub unix: Option<UnixSocket>,
    /// `admin.listen`.
    pub admin: Option<SocketAddr>,
    /// `signers.NAME.*`, `default` first.
    pub signers: Vec<SignerSettings>,
    /// `limits.*`.
    pub limits: Limits,
    /// `reflection`.
    pub reflection: bool,
    /// `log.format`.
    pub log_format: LogFormat,
}

/// `limits.*`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of requests in one batch.
    pub batch_items: usize,
    /// Maximum size of one received message, in bytes.
    pub message_bytes: usize,
    /// Maximum number of open gRPC connections.
    pub connections: usize,
    /// Maximum number of concurrent calls on one connection.
    pub streams: u32,
    /// Maximum number of concurrent calls on all connections.
    pub requests: usize,
    /// How long a new connection may take to send the HTTP/2 preface.
    pub handshake_time: Duration,
    /// How long open calls may take to end after SIGTERM or SIGINT.
    pub drain_time: Duration,
}

/// A Unix socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// `listen.unix`.
    pub address: UnixAddress,
    /// `listen.unix_mode`, for a socket that has a path.
    pub mode: u32,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("text or json"),
        }
    }
}

/// An error in the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file or the environment is invalid.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The value of a setting is invalid.
    #[error("{name} is {text:?} ({origin}), but must be {expected}")]
    Value {
        /// The setting.
        name: String,
        /// Its value.
        text: String,
        /// The origin of the value.
        origin: Origin,
        /// The expected form.
        expected: String,
    },
    /// A required setting is not set.
    #[error("{0} is required, but is not set")]
    Unset(String),
    /// No socket is configured.
    #[error(
        "listen.tcp is off and listen.unix is not set: no client could reach the server; set one of them"
    )]
    NoListener,
    /// The name of a signer is invalid.
    #[error(
        "signers.{0} is not a valid name of a signer: use 1 to 32 lower-case letters, digits, '-' and '_'"
    )]
    SignerName(String),
    /// Settings of a signer conflict.
    #[error("signers.{signer}: {problem}")]
    Signer {
        /// Its name.
        signer: String,
        /// The conflict and its remedy.
        problem: &'static str,
    },
    /// A reload would change settings that need a restart; their names.
    #[error("{0} cannot change while the server runs: restart it, or restore the previous value")]
    NeedsRestart(String),
    /// `open` is not set; this version cannot authenticate callers.
    #[error(
        "this version of presignd does not authenticate callers, \
         so any process that can reach its sockets can have any URL signed.\n\
         To accept this, for development or where the host or pod is the security boundary, set open:\n\
         \x20   presignd serve --open        or   PRESIGND_OPEN=true        or   open = true in the file"
    )]
    NotOpen,
}

/// Whether the server may sign without authentication of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `open = true`: requests of all callers are signed.
    Open,
    /// `open` is not set.
    Unset,
}

impl Config {
    /// Parses every setting.
    ///
    /// # Errors
    /// The first invalid value, with its origin.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let config = Self {
            tcp: parse_or_off(layers, "listen.tcp")?,
            unix: parse_unix(layers)?,
            admin: parse_or_off::<AdminAddress>(layers, "admin.listen")?.map(|address| address.0),
            signers: signers::parse_signers(layers)?,
            limits: parse_limits(layers)?,
            reflection: parse::<Boolean>(layers, "reflection")?.0,
            log_format: parse(layers, "log.format")?,
        };
        if config.tcp.is_none() && config.unix.is_none() {
            return Err(ConfigError::NoListener);
        }
        Ok(config)
    }
}

impl Access {
    /// Parses `open`.
    ///
    /// # Errors
    /// When `open` is not a boolean.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(if parse::<Boolean>(layers, "open")?.0 { Self::Open } else { Self::Unset })
    }

    /// Fails unless `open` is set.
    ///
    /// # Errors
    /// [`ConfigError::NotOpen`].
    pub fn require_open(self) -> Result<(), ConfigError> {
        match self {
            Self::Open => Ok(()),
            Self::Unset => Err(ConfigError::NotOpen),
        }
    }
}

fn parse_unix(layers: &Layers) -> Result<Option<UnixSocket>, ConfigError> {
    let mode = parse::<OctalMode>(layers, "listen.unix_mode")?.0;
    Ok(parse_if_set(layers, "listen.unix")?.map(|address| UnixSocket { address, mode }))
}

fn parse_limits(layers: &Layers) -> Result<Limits, ConfigError> {
    let number = |name, min, max| parse_bounded(layers, name, min, max);
    Ok(Limits {
        batch_items: number("limits.batch_items", 1, MAX_BATCH_ITEMS)?,
        message_bytes: number("limits.message_bytes", 1_024, 64 * 1024 * 1024)?,
        connections: number("limits.connections", 1, 65_536)?,
        streams: u32::try_from(number("limits.streams", 1, 65_536)?).unwrap_or(u32::MAX),
        requests: number("limits.requests", 1, 1_000_000)?,
        handshake_time: parse::<HumanDuration>(layers, "limits.handshake_time")?.0,
        drain_time: parse::<HumanDuration>(layers, "limits.drain_time")?.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::defaults();
        let owned: Vec<_> =
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        layers.apply_environment(&owned).unwrap();
        Config::from_layers(&layers).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = parse_variables(&[]).unwrap();
        assert_eq!(config.tcp.unwrap().get().to_string(), "127.0.0.1:4780");
        assert_eq!(config.admin.unwrap().to_string(), "127.0.0.1:4781");
        assert_eq!((config.unix, config.signers.len()), (None, 1));
        let rules = &config.signers[0].rules;
        assert_eq!((rules.default_expiry.get(), rules.max_expiry.get()), (900, 604_800));
    }

    #[test]
    fn invalid_value_is_rejected_with_origin_and_expected_form() {
        for (variable, text, message) in [
            (
                "PRESIGND_LISTEN_TCP",
                "0.0.0.0:4780",
                "listen.tcp is \"0.0.0.0:4780\" (PRESIGND_LISTEN_TCP), but must be a loopback address",
            ),
            ("PRESIGND_LISTEN_TCP", "[::]:1", "a loopback address"),
            ("PRESIGND_LISTEN_TCP", "localhost", "an address such as 127.0.0.1:4780"),
            ("PRESIGND_LISTEN_UNIX_MODE", "rw", "an octal mode"),
            ("PRESIGND_EXPIRY_MAX", "8d", "a duration from 1s to 7d"),
            ("PRESIGND_EXPIRY_DEFAULT", "0s", "a duration from 1s to 7d"),
            ("PRESIGND_LIMITS_BATCH_ITEMS", "1001", "a number from 1 to 1000"),
            ("PRESIGND_SIGNERS_DEFAULT_REGION", "US East", "must be a region name, such as us-east-1"),
            ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "minio:9000", "must be an endpoint, http://HOST"),
            ("PRESIGND_REFLECTION", "yes", "true or false"),
            ("PRESIGND_LOG_FORMAT", "xml", "text or json"),
        ] {
            let error = parse_variables(&[(variable, text)]).unwrap_err();
            assert!(error.contains(message), "{variable}={text}: {error}");
        }
    }

    /// Regression test for a bug that the fuzz target `config` detected.
    #[test]
    fn errors_hide_the_password_of_an_endpoint() {
        let endpoint = ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "https://user:pa55word@s3.example");
        let error = parse_variables(&[endpoint]).unwrap_err();
        assert!(error.contains("\"https://***@s3.example\"") && !error.contains("pa55word"), "{error}");
    }

    #[test]
    fn configuration_without_a_socket_is_rejected() {
        assert!(
            parse_variables(&[("PRESIGND_LISTEN_TCP", "off")]).unwrap_err().contains("no client could reach")
        );
        let unix = parse_variables(&[("PRESIGND_LISTEN_TCP", "off"), ("PRESIGND_LISTEN_UNIX", "@presignd")])
            .unwrap();
        assert_eq!(unix.unix.unwrap().address, UnixAddress::Abstract("presignd".into()));
    }

    #[test]
    fn server_does_not_start_without_open() {
        let mut layers = Layers::defaults();
        let error = Access::from_layers(&layers).unwrap().require_open().unwrap_err();
        assert!(error.to_string().contains("presignd serve --open"));
        layers.apply_environment(&[("PRESIGND_OPEN".into(), "true".into())]).unwrap();
        Access::from_layers(&layers).unwrap().require_open().unwrap();
    }
}
