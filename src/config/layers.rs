//! Flags over environment over file over defaults, each value with its origin.

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

/// What was set: settings by name, and the tables that the file alone can have.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    settings: BTreeMap<String, SettingValue>,
    tables: FileTables,
}

/// The value of a setting as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingValue {
    /// The text; TOML numbers and booleans as they are written.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}

impl Layers {
    /// The defaults.
    pub fn defaults() -> Self {
        let defaults = SETTINGS.iter().filter_map(|setting| {
            let text = setting.default?.to_owned();
            Some((setting.name.to_owned(), SettingValue { text, origin: Origin::Default }))
        });
        Self { settings: defaults.collect(), tables: FileTables::default() }
    }

    /// Lays a TOML file over what is set. Its tables of the kinds in `tables` replace those of an earlier file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or sets what is not a setting.
    pub fn file(&mut self, path: &Path, tables: &[&dyn FileTable]) -> Result<(), LayerError> {
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

    /// Lays environment variables over what is set. Those that Kubernetes makes for a Service named presignd are ignored.
    ///
    /// # Errors
    /// When a variable with the prefix is not a setting.
    pub fn environment(&mut self, variables: &[(String, String)]) -> Result<(), LayerError> {
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            match environment::setting_of_variable(rest) {
                // A signer may have a name that looks like a part of Kubernetes' variables, so settings go first.
                Some(name) => {
                    let origin = Origin::Environment(variable.clone());
                    names::check(&name, &origin, &[])?;
                    self.settings.insert(name, SettingValue { text: text.clone(), origin });
                }
                None if rest == "CONFIG" || environment::is_made_by_kubernetes(rest) => {}
                None => {
                    return Err(LayerError::Unknown {
                        name: variable.clone(),
                        origin: Origin::Environment("the environment".to_owned()),
                        nearest: environment::nearest_variable(variable),
                    });
                }
            }
        }
        Ok(())
    }

    /// Lays a flag over what is set.
    pub fn flag(&mut self, setting: &Setting, text: String) {
        let value = SettingValue { text, origin: Origin::Flag(setting.flag()) };
        self.settings.insert(setting.name.to_owned(), value);
    }

    /// What a setting is, where it is set or has a default.
    pub fn get(&self, name: &str) -> Option<&SettingValue> {
        self.settings.get(name)
    }

    /// The tables of the file.
    pub fn tables(&self) -> &FileTables {
        &self.tables
    }

    /// The settings and tables, by name, that are not what they are in others.
    pub fn differing_from<'s>(&'s self, others: &'s Self) -> Vec<&'s str> {
        let text = |layers: &'s Self, name: &str| layers.get(name).map(|value| value.text.as_str());
        let names = self.iter().chain(others.iter()).map(|(name, _)| name);
        let settings = names.filter(|name| text(self, name) != text(others, name));
        let differing: BTreeSet<&str> = settings.chain(self.tables.differing_from(&others.tables)).collect();
        differing.into_iter().collect()
    }

    /// Every setting that is set, by name.
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
        layers.file(file.path(), &[]).map_err(|error| error.to_string().replace(&path, "FILE"))?;
        Ok(layers)
    }

    #[test]
    fn a_value_knows_the_line_that_it_came_from() {
        let layers = file("open = true\n[listen]\nunix = \"/run/p.sock\"\n[limits]\nstreams = 12\n").unwrap();
        let value_and_line = |name: &str| {
            let SettingValue { text, origin } = layers.get(name).unwrap();
            let Origin::File { line, .. } = origin else { panic!("{origin} is a line of the file") };
            (text.clone(), *line)
        };
        assert_eq!(value_and_line("open"), ("true".into(), 1));
        assert_eq!(value_and_line("listen.unix"), ("/run/p.sock".into(), 3));
        assert_eq!(value_and_line("limits.streams"), ("12".into(), 5));
    }

    #[test]
    fn flags_lie_over_environment_over_file_over_defaults() {
        let mut layers = Layers::defaults();
        assert_eq!(layers.get("expiry.max").unwrap().origin, Origin::Default);
        layers.environment(&[("PRESIGND_EXPIRY_MAX".into(), "2h".into())]).unwrap();
        assert_eq!(layers.get("expiry.max").unwrap().text, "2h");
        layers.flag(names::find("expiry.max").unwrap(), "3h".into());
        assert_eq!(layers.get("expiry.max").unwrap().origin.to_string(), "--expiry-max");
    }

    #[test]
    fn what_is_not_a_setting_is_refused_with_its_line_and_the_nearest_name() {
        for (text, message) in [
            ("listn = 1", "FILE:1: there is no setting listn"),
            ("\n[listen]\ntpc = \"x\"", "FILE:3: there is no setting listen.tpc: did you mean listen.tcp?"),
            (
                "[signers.partner]\nregoin = \"x\"",
                "FILE:2: there is no setting signers.partner.regoin: did you mean signers.partner.region?",
            ),
            (
                "\"listen.tcp\" = \"off\"",
                "FILE:1: there is no setting \"listen.tcp\": did you mean listen.tcp?",
            ),
            ("open = [1]", "FILE:1: open takes one value"),
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
    fn a_variable_that_is_not_a_setting_is_refused_but_not_one_made_by_kubernetes() {
        let environment = |name: &str| Layers::default().environment(&[(name.to_owned(), "x".to_owned())]);
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
    fn the_environment_reaches_every_signer() {
        let mut layers = Layers::default();
        layers.environment(&[("PRESIGND_SIGNERS_PARTNER_PATH_STYLE".into(), "true".into())]).unwrap();
        assert_eq!(layers.get("signers.partner.path_style").unwrap().text, "true");
    }

    /// Found by the fuzz target `config`.
    #[test]
    fn a_variable_means_the_longest_setting_that_it_ends_in() {
        let mut layers = Layers::default();
        layers
            .environment(&[("PRESIGND_SIGNERS_PARTNER_PUBLIC_ENDPOINT".into(), "http://h".into())])
            .unwrap();
        assert_eq!(layers.get("signers.partner.public_endpoint").unwrap().text, "http://h");
    }

    /// Found by the fuzz target `config`.
    #[test]
    fn the_environment_reaches_a_signer_whose_name_looks_like_a_part_of_kubernetes_variables() {
        for signer in ["PORT", "A_SERVICE_HOST", "X_PORT_1"] {
            let mut layers = Layers::default();
            let variable = format!("PRESIGND_SIGNERS_{signer}_REGION");
            layers.environment(&[(variable, "us-east-1".into())]).unwrap();
            let name = format!("signers.{}.region", signer.to_lowercase());
            assert_eq!(layers.get(&name).map(|value| value.text.as_str()), Some("us-east-1"));
        }
    }
}
