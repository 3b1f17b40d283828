//! The layers of the configuration: flags override the environment, which overrides the file, which overrides the
//! defaults. Each value keeps its origin.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    environment,
    error::{LayerError, Origin},
    file::ConfigFile,
    names,
    settings::{ENVIRONMENT_PREFIX, SETTINGS, Setting},
    tables::{FileTable, FileTables},
};

/// The effective values of all settings, by name, and the tables of the file.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    settings: BTreeMap<String, SettingValue>,
    tables: FileTables,
}

/// The unparsed value of a setting, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingValue {
    /// The text; TOML numbers and booleans in their TOML form.
    pub text: String,
    /// The layer that set it.
    pub origin: Origin,
}

impl Layers {
    /// The defaults alone.
    pub fn defaults() -> Self {
        let defaults = SETTINGS.iter().filter_map(|setting| {
            let text = setting.default?.to_owned();
            Some((setting.name.to_owned(), SettingValue { text, origin: Origin::Default }))
        });
        Self { settings: defaults.collect(), tables: FileTables::default() }
    }

    /// Applies a TOML file, which may have the tables in `tables` in addition to settings.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has an unknown setting or an invalid table.
    pub fn apply_file(&mut self, path: &Path, tables: &[&dyn FileTable]) -> Result<(), LayerError> {
        let file = ConfigFile::read(path)?;
        let mut parsed = file.parse()?;
        self.tables = FileTables::new(&file, &parsed, tables)?;
        for table in tables {
            parsed.remove(table.name());
        }
        let table_names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
        file.for_each_setting(&parsed, &table_names, &mut |name, text, origin| {
            self.settings.insert(name.to_owned(), SettingValue { text, origin });
        })
    }

    /// Applies the environment variables with the prefix `PRESIGND_`. Those that Kubernetes sets for a Service named
    /// presignd are ignored.
    ///
    /// # Errors
    /// When a variable with the prefix does not belong to a setting.
    pub fn apply_environment(&mut self, variables: &[(String, String)]) -> Result<(), LayerError> {
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            match environment::setting_name(rest) {
                // Settings first: `PRESIGND_SIGNERS_PORT_REGION` of a signer `port` resembles a variable of Kubernetes.
                Some(name) => {
                    let origin = Origin::Environment(variable.clone());
                    names::check_name(&name, &origin, &[])?;
                    self.settings.insert(name, SettingValue { text: text.clone(), origin });
                }
                None if rest == "CONFIG" || environment::is_set_by_kubernetes(rest) => {}
                None => {
                    return Err(LayerError::Unknown {
                        name: variable.clone(),
                        origin: Origin::Environment("environment".to_owned()),
                        suggestion: environment::suggest_variable(variable),
                    });
                }
            }
        }
        Ok(())
    }

    /// Applies the value of a flag.
    pub fn apply_flag(&mut self, setting: &Setting, text: String) {
        let value = SettingValue { text, origin: Origin::Flag(setting.flag()) };
        self.settings.insert(setting.name.to_owned(), value);
    }

    /// The value of a setting; none if it is not set and has no default.
    pub fn get(&self, name: &str) -> Option<&SettingValue> {
        self.settings.get(name)
    }

    /// The tables of the file.
    pub fn tables(&self) -> &FileTables {
        &self.tables
    }

    /// The names of the settings and tables whose values differ between the two.
    pub fn changed_names<'s>(&'s self, others: &'s Self) -> Vec<&'s str> {
        let text = |layers: &'s Self, name: &str| layers.get(name).map(|value| value.text.as_str());
        let names = self.iter().chain(others.iter()).map(|(name, _)| name);
        let settings = names.filter(|name| text(self, name) != text(others, name));
        let changed: BTreeSet<&str> = settings.chain(self.tables.changed_names(&others.tables)).collect();
        changed.into_iter().collect()
    }

    /// Every setting that has a value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SettingValue)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> Result<Layers, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut layers = Layers::default();
        let path = file.path().display().to_string();
        layers.apply_file(file.path(), &[]).map_err(|error| error.to_string().replace(&path, "FILE"))?;
        Ok(layers)
    }

    #[test]
    fn each_value_of_the_file_keeps_its_line() {
        let layers = file("open = true\n[listen]\nunix = \"/run/p.sock\"\n[limits]\nstreams = 12\n").unwrap();
        let value_and_line = |name: &str| {
            let SettingValue { text, origin } = layers.get(name).unwrap();
            let Origin::File { line, .. } = origin else { panic!("{origin} is not a line of the file") };
            (text.clone(), *line)
        };
        assert_eq!(value_and_line("open"), ("true".into(), 1));
        assert_eq!(value_and_line("listen.unix"), ("/run/p.sock".into(), 3));
        assert_eq!(value_and_line("limits.streams"), ("12".into(), 5));
    }

    #[test]
    fn flags_override_environment_and_defaults() {
        let mut layers = Layers::defaults();
        assert_eq!(layers.get("expiry.max").unwrap().origin, Origin::Default);
        layers.apply_environment(&[("PRESIGND_EXPIRY_MAX".into(), "2h".into())]).unwrap();
        assert_eq!(layers.get("expiry.max").unwrap().text, "2h");
        layers.apply_flag(names::find_setting("expiry.max").unwrap(), "3h".into());
        assert_eq!(layers.get("expiry.max").unwrap().origin.to_string(), "--expiry-max");
    }

    #[test]
    fn unknown_setting_is_rejected_with_line_and_suggestion() {
        for (text, message) in [
            ("listn = 1", "FILE:1: unknown setting listn"),
            ("\n[listen]\ntpc = \"x\"", "FILE:3: unknown setting listen.tpc; did you mean listen.tcp?"),
            (
                "[signers.partner]\nregoin = \"x\"",
                "FILE:2: unknown setting signers.partner.regoin; did you mean signers.partner.region?",
            ),
            ("\"listen.tcp\" = \"off\"", "FILE:1: unknown setting \"listen.tcp\"; did you mean listen.tcp?"),
            ("open = [1]", "FILE:1: open must be a string, a whole number, or true or false"),
            ("[[allow]]\ncallers = []", "FILE:1: allow is not supported by this version"),
            ("\n[callers.web]\nuid = 1", "FILE:2: callers is not supported by this version"),
            ("audit.to = 'stderr'", "FILE:1: audit is not supported by this version"),
        ] {
            let error = file(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(file("open = ").unwrap_err().starts_with("FILE is not valid TOML"));
    }

    #[test]
    fn unknown_variables_are_rejected_except_those_of_kubernetes() {
        let environment =
            |name: &str| Layers::default().apply_environment(&[(name.to_owned(), "x".to_owned())]);
        let error = environment("PRESIGND_LISTEN_TPC").unwrap_err().to_string();
        assert!(error.contains("did you mean PRESIGND_LISTEN_TCP?"), "{error}");
        for name in [
            "PRESIGND_PORT",
            "PRESIGND_PORT_4780_TCP_ADDR",
            "PRESIGND_SERVICE_HOST",
            "PRESIGND_ADMIN_PORT",
            "PRESIGND_X_SERVICE_PORT_GRPC",
            "OTHER",
        ] {
            environment(name).unwrap();
        }
    }

    #[test]
    fn a_variable_sets_any_signer() {
        let mut layers = Layers::default();
        layers.apply_environment(&[("PRESIGND_SIGNERS_PARTNER_PATH_STYLE".into(), "true".into())]).unwrap();
        assert_eq!(layers.get("signers.partner.path_style").unwrap().text, "true");
    }

    /// Regression test for a bug that the fuzz target `config` detected.
    #[test]
    fn an_ambiguous_variable_means_the_longest_setting() {
        let mut layers = Layers::default();
        layers
            .apply_environment(&[("PRESIGND_SIGNERS_PARTNER_PUBLIC_ENDPOINT".into(), "http://h".into())])
            .unwrap();
        assert_eq!(layers.get("signers.partner.public_endpoint").unwrap().text, "http://h");
    }

    /// Regression test for a bug that the fuzz target `config` detected.
    #[test]
    fn signer_names_may_resemble_variables_of_kubernetes() {
        for signer in ["PORT", "A_SERVICE_HOST", "X_PORT_1"] {
            let mut layers = Layers::default();
            let variable = format!("PRESIGND_SIGNERS_{signer}_REGION");
            layers.apply_environment(&[(variable, "us-east-1".into())]).unwrap();
            let name = format!("signers.{}.region", signer.to_lowercase());
            assert_eq!(layers.get(&name).map(|value| value.text.as_str()), Some("us-east-1"));
        }
    }
}
