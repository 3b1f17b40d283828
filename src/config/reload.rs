//! The configuration, read again while the server runs.

use std::ffi::OsString;

use super::{
    Access, Config, ConfigError,
    arguments::{self, Invocation},
    layers::Layers,
};
use crate::credentials::SignerSettings;

/// What can change while the server runs. Sockets, limits and what is built once need a restart.
const CHANGEABLE: [&str; 2] = ["signers.", "expiry."];

/// Reads the configuration again: the command line and the environment of the start, and the file as it is now.
pub struct Reload {
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    /// The configuration in use.
    running: Layers,
}

impl Reload {
    /// With the command line and environment that `running` was read from.
    pub fn new(arguments: Vec<OsString>, environment: Vec<(String, String)>, running: Layers) -> Self {
        Self { arguments, environment, running }
    }

    /// Reads the settings of the signers.
    ///
    /// # Errors
    /// When the configuration is wrong, or something else than signers and expiry would change.
    pub fn read(&self) -> Result<Vec<SignerSettings>, ConfigError> {
        let invocation = arguments::parse(self.arguments.iter().cloned(), &self.environment)?;
        let Invocation::Serve(layers) = invocation else { return Ok(Vec::new()) };
        let config = Config::from_layers(&layers)?;
        Access::from_layers(&layers)?.must_be_open()?;
        let fixed = |name: &&str| !CHANGEABLE.iter().any(|family| name.starts_with(family));
        let changed: Vec<&str> = layers.differing_from(&self.running).into_iter().filter(fixed).collect();
        if changed.is_empty() {
            Ok(config.signers)
        } else {
            Err(ConfigError::NeedsRestart(changed.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn signers_and_expiry_may_change_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("presignd.toml");
        let arguments = ["presignd", "serve", "--config", file.to_str().unwrap()].map(OsString::from);
        let start = "open = true\n[expiry]\nmax = \"1h\"\n";
        fs::write(&file, start).unwrap();
        let Invocation::Serve(running) = arguments::parse(arguments.clone(), &[]).unwrap() else {
            panic!("serve was asked for")
        };
        let reload = Reload::new(arguments.to_vec(), Vec::new(), running);
        for (text, said) in [
            (start, Ok(1)),
            ("open = true\n[signers.partner]\nregion = \"eu-west-1\"\n", Ok(2)),
            ("open = true\n[expiry]\nmax = \"8d\"\n", Err("expiry.max is \"8d\"")),
            ("open = tru", Err("is not valid TOML")),
            ("", Err("presignd does not know its callers yet")),
            (
                "open = true\n[limits]\nstreams = 7\n[listen]\ntcp = \"off\"\nunix = \"@x\"\n",
                Err("limits.streams, listen.tcp, listen.unix can only change with a restart"),
            ),
        ] {
            fs::write(&file, text).unwrap();
            let read = reload.read().map(|signers| signers.len()).map_err(|error| error.to_string());
            match (read, said) {
                (Ok(read), Ok(said)) => assert_eq!(read, said, "{text}"),
                (Err(read), Err(said)) => assert!(read.contains(said), "{text}: {read}"),
                (read, said) => panic!("{text}: {read:?} instead of {said:?}"),
            }
        }
        fs::remove_file(&file).unwrap();
        assert!(reload.read().unwrap_err().to_string().contains("cannot read the configuration file"));
    }
}
