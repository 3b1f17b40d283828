//! Reads the configuration again while the server runs.

use std::ffi::OsString;

use super::{
    Access, Config, ConfigError,
    arguments::{self, Invocation},
    layers::Layers,
};
use crate::credentials::SignerSettings;

/// Prefixes of the settings that can change while the server runs. All others need a restart.
const RELOADABLE: [&str; 2] = ["signers.", "expiry."];

/// Reads the configuration again, from the original command line and environment and the current file.
pub struct Reload {
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    /// The configuration in use.
    running: Layers,
}

impl Reload {
    /// `running` is the configuration in use; it was read from `arguments` and `environment`.
    pub fn new(arguments: Vec<OsString>, environment: Vec<(String, String)>, running: Layers) -> Self {
        Self { arguments, environment, running }
    }

    /// Reads the settings of the signers.
    ///
    /// # Errors
    /// When the configuration is invalid, or a setting changed that needs a restart.
    pub fn read(&self) -> Result<Vec<SignerSettings>, ConfigError> {
        let invocation = arguments::parse(self.arguments.iter().cloned(), &self.environment)?;
        let Invocation::Serve(layers) = invocation else { return Ok(Vec::new()) };
        let config = Config::from_layers(&layers)?;
        Access::from_layers(&layers)?.require_open()?;
        let fixed = |name: &&str| !RELOADABLE.iter().any(|prefix| name.starts_with(prefix));
        let changed: Vec<&str> = layers.changed_names(&self.running).into_iter().filter(fixed).collect();
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
    fn only_signers_and_expiry_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("presignd.toml");
        let arguments = ["presignd", "serve", "--config", file.to_str().unwrap()].map(OsString::from);
        let start = "open = true\n[expiry]\nmax = \"1h\"\n";
        fs::write(&file, start).unwrap();
        let Invocation::Serve(running) = arguments::parse(arguments.clone(), &[]).unwrap() else {
            panic!("expected Invocation::Serve")
        };
        let reload = Reload::new(arguments.to_vec(), Vec::new(), running);
        for (text, expected) in [
            (start, Ok(1)),
            ("open = true\n[signers.partner]\nregion = \"eu-west-1\"\n", Ok(2)),
            ("open = true\n[expiry]\nmax = \"8d\"\n", Err("expiry.max is \"8d\"")),
            ("open = tru", Err("is not valid TOML")),
            ("", Err("this version of presignd does not authenticate callers")),
            (
                "open = true\n[limits]\nstreams = 7\n[listen]\ntcp = \"off\"\nunix = \"@x\"\n",
                Err("limits.streams, listen.tcp, listen.unix cannot change while the server runs"),
            ),
        ] {
            fs::write(&file, text).unwrap();
            let read = reload.read().map(|signers| signers.len()).map_err(|error| error.to_string());
            match (read, expected) {
                (Ok(signers), Ok(expected)) => assert_eq!(signers, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (read, expected) => panic!("{text}: {read:?} instead of {expected:?}"),
            }
        }
        fs::remove_file(&file).unwrap();
        assert!(reload.read().unwrap_err().to_string().contains("cannot read the configuration file"));
    }
}
