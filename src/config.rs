//! From flags, environment and file to typed settings. The only home of clap and of the environment.

pub mod arguments;
mod environment;
mod file;
pub mod layers;
pub mod reload;
pub mod settings;
mod signers;
pub mod tables;
mod values;

use std::{net::SocketAddr, str::FromStr, time::Duration};

use thiserror::Error;

use self::{
    layers::{LayerError, Layers, Origin},
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
    /// Requests in one batch.
    pub batch_items: usize,
    /// Size of one received message.
    pub message_bytes: usize,
    /// gRPC connections open at once.
    pub connections: usize,
    /// Calls at once on one connection.
    pub streams: u32,
    /// Calls at once on all connections.
    pub requests: usize,
    /// How long a new connection may take to send the HTTP/2 preface.
    pub handshake_time: Duration,
    /// How long open calls may go on after SIGTERM.
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
    /// For people.
    Text,
    /// For machines: one object a line.
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

/// Why the configuration does not work.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A layer cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A value does not fit.
    #[error("{name} is {text:?} ({origin}), but must be {expected}")]
    Value {
        /// The setting.
        name: String,
        /// What was written.
        text: String,
        /// Where.
        origin: Origin,
        /// What fits.
        expected: String,
    },
    /// A setting that has no value, and needs one.
    #[error("{0} is not set")]
    Unset(String),
    /// There is no socket to listen on.
    #[error("listen.tcp is off and listen.unix is not set: nobody could reach the server; set one of them")]
    NoListener,
    /// A signer's name does not fit.
    #[error("signers.{0} is not a name for a signer: use 1 to 32 lower-case letters, digits, '-' and '_'")]
    SignerName(String),
    /// Settings of a signer that do not go together.
    #[error("signers.{signer}: {problem}")]
    Signer {
        /// Its name.
        signer: String,
        /// What does not go together, and what to do.
        problem: &'static str,
    },
    /// A reload would change what was built at the start.
    #[error("{0} can only change with a restart")]
    NeedsRestart(String),
    /// Callers and policy come with a later version.
    #[error(
        "presignd does not know its callers yet: this version has no tokens and no rules, \
         so everybody who reaches its sockets can have any URL signed.\n\
         To accept that, for development or where the host or pod is the boundary, say so:\n\
         \x20   presignd serve --open        or   PRESIGND_OPEN=true        or   open = true in the file"
    )]
    NotOpen,
}

/// Whether the server may start without authentication of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `open = true`: any request of any caller is signed.
    Open,
    /// `open` is not set.
    Unset,
}

impl Config {
    /// Checks every layer's value.
    ///
    /// # Errors
    /// The first value that does not fit, with its origin.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let config = Self {
            tcp: parse_or_off(layers, "listen.tcp")?,
            unix: parse_unix(layers)?,
            admin: parse_or_off::<AdminAddress>(layers, "admin.listen")?.map(|address| address.0),
            signers: signers::from_layers(layers)?,
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
    /// What the layers say.
    ///
    /// # Errors
    /// When `open` is not a boolean.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(if parse::<Boolean>(layers, "open")?.0 { Self::Open } else { Self::Unset })
    }

    /// Refuses to start a server without authentication, unless `open` is set.
    ///
    /// # Errors
    /// [`ConfigError::NotOpen`].
    pub fn must_be_open(self) -> Result<(), ConfigError> {
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

    fn with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::defaults();
        let owned: Vec<_> =
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        layers.environment(&owned).unwrap();
        Config::from_layers(&layers).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = with(&[]).unwrap();
        assert_eq!(config.tcp.unwrap().get().to_string(), "127.0.0.1:4780");
        assert_eq!(config.admin.unwrap().to_string(), "127.0.0.1:4781");
        assert_eq!((config.unix, config.signers.len()), (None, 1));
        let rules = &config.signers[0].rules;
        assert_eq!((rules.default_expiry.get(), rules.max_expiry.get()), (900, 604_800));
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_its_place_and_what_fits() {
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
            let error = with(&[(variable, text)]).unwrap_err();
            assert!(error.contains(message), "{variable}={text}: {error}");
        }
    }

    /// Found by the fuzz target `config`.
    #[test]
    fn a_password_in_an_endpoint_is_not_repeated() {
        let endpoint = ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "https://user:pa55word@s3.example");
        let error = with(&[endpoint]).unwrap_err();
        assert!(error.contains("\"https://***@s3.example\"") && !error.contains("pa55word"), "{error}");
    }

    #[test]
    fn a_server_that_nobody_could_reach_is_refused() {
        assert!(with(&[("PRESIGND_LISTEN_TCP", "off")]).unwrap_err().contains("nobody could reach"));
        let unix = with(&[("PRESIGND_LISTEN_TCP", "off"), ("PRESIGND_LISTEN_UNIX", "@presignd")]).unwrap();
        assert_eq!(unix.unix.unwrap().address, UnixAddress::Abstract("presignd".into()));
    }

    #[test]
    fn without_open_the_server_does_not_start() {
        let mut layers = Layers::defaults();
        let refused = Access::from_layers(&layers).unwrap().must_be_open().unwrap_err();
        assert!(refused.to_string().contains("presignd serve --open"));
        layers.environment(&[("PRESIGND_OPEN".into(), "true".into())]).unwrap();
        Access::from_layers(&layers).unwrap().must_be_open().unwrap();
    }
}
