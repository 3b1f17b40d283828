//! Flags over environment over file over defaults, each value with the place that it came from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::settings::{self, ENVIRONMENT_PREFIX, SETTINGS};

/// What was set, by name.
#[derive(Clone, Debug, Default)]
pub struct Layers(BTreeMap<String, Value>);

/// A value as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text; TOML numbers and booleans as they are written.
    pub text: String,
    /// Who said so.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Why the layers cannot be read.
#[derive(Debug, Error)]
pub enum LayerError {
    /// The file is not there, or not readable.
    #[error("cannot read the configuration file {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Not TOML.
    #[error("{path} is not valid TOML: {error}")]
    NotToml {
        /// The file.
        path: String,
        /// What is wrong and where.
        error: String,
    },
    /// Not a setting.
    #[error("{origin}: there is no setting {name}{}", nearest.as_ref().map_or(String::new(), |it| format!(": did you mean {it}?")))]
    Unknown {
        /// What was written.
        name: String,
        /// Where.
        origin: Origin,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// In the contract, but not in this version.
    #[error(
        "{origin}: {name} is not supported by this version of presignd, which has no callers and no policy yet: start it with open = true"
    )]
    NotYet {
        /// What was written.
        name: String,
        /// Where.
        origin: Origin,
    },
    /// A list or a table where one value belongs.
    #[error("{origin}: {name} takes one value")]
    NotAValue {
        /// The setting.
        name: String,
        /// Where.
        origin: Origin,
    },
}

/// Settings of the contract that later versions have.
const NOT_YET: [&str; 3] = ["allow", "listen.tcp_auth", "listen.token_file"];

impl Layers {
    /// The defaults.
    pub fn defaults() -> Self {
        let defaults = SETTINGS.iter().filter_map(|setting| {
            let text = setting.default?.to_owned();
            Some((setting.name.to_owned(), Value { text, origin: Origin::Default }))
        });
        Self(defaults.collect())
    }

    /// Lays a TOML file over what is there.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or sets what is not a setting.
    pub fn file(&mut self, path: &Path) -> Result<(), LayerError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| LayerError::Unreadable { path: name.clone(), error })?;
        let table = DeTable::parse(&text)
            .map_err(|error| LayerError::NotToml { path: name.clone(), error: error.to_string() })?;
        let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let at = |offset| Origin::File { path: name.clone(), line: line(offset) };
        self.table("", table.get_ref(), &at)
    }

    fn table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        at: &impl Fn(usize) -> Origin,
    ) -> Result<(), LayerError> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let origin = at(key.span().start);
            if key.get_ref().contains('.') {
                // In quotes: beside the same setting without them, one of the two would win in silence.
                return Err(LayerError::Unknown {
                    name: format!("\"{}\"", key.get_ref()),
                    origin,
                    nearest: settings::known(&name).map(|_| name),
                });
            }
            match value.get_ref() {
                DeValue::Table(below) if is_table(&name) => self.table(&format!("{name}."), below, at)?,
                DeValue::String(text) => self.set(&name, text.to_string(), origin)?,
                DeValue::Integer(number) => self.set(&name, number.to_string(), origin)?,
                DeValue::Boolean(flag) => self.set(&name, flag.to_string(), origin)?,
                DeValue::Table(_) | DeValue::Array(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                    check_name(&name, &origin)?;
                    return Err(LayerError::NotAValue { name, origin });
                }
            }
        }
        Ok(())
    }

    /// Lays environment variables over what is there. Those that Kubernetes makes for a Service of our name are not
    /// ours.
    ///
    /// # Errors
    /// When a variable with our prefix is not a setting.
    pub fn environment(&mut self, variables: &[(String, String)]) -> Result<(), LayerError> {
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            match setting_of_variable(rest) {
                // A signer may have a name that looks like a part of Kubernetes' variables, so settings go first.
                Some(name) => self.set(&name, text.clone(), Origin::Environment(variable.clone()))?,
                None if rest == "CONFIG" || made_by_kubernetes(rest) => {}
                None => {
                    return Err(LayerError::Unknown {
                        name: variable.clone(),
                        origin: Origin::Environment("the environment".to_owned()),
                        nearest: nearest_variable(variable),
                    });
                }
            }
        }
        Ok(())
    }

    /// Lays a flag over what is there.
    pub fn flag(&mut self, setting: &settings::Setting, text: String) {
        self.0.insert(setting.name.to_owned(), Value { text, origin: Origin::Flag(setting.flag()) });
    }

    fn set(&mut self, name: &str, text: String, origin: Origin) -> Result<(), LayerError> {
        check_name(name, &origin)?;
        self.0.insert(name.to_owned(), Value { text, origin });
        Ok(())
    }

    /// What a setting is, where it is set or has a default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The settings, by name, that are not what they are in others.
    pub fn differing_from<'s>(&'s self, others: &'s Self) -> Vec<&'s str> {
        let text = |layers: &'s Self, name: &str| layers.get(name).map(|value| value.text.as_str());
        let names: BTreeSet<&str> = self.iter().chain(others.iter()).map(|(name, _)| name).collect();
        names.into_iter().filter(|name| text(self, name) != text(others, name)).collect()
    }

    /// Everything that is set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

fn is_table(name: &str) -> bool {
    let below = format!("{name}.");
    SETTINGS.iter().any(|setting| setting.name.starts_with(&below))
        || (name.starts_with("signers.") && !name["signers.".len()..].contains('.'))
}

fn check_name(name: &str, origin: &Origin) -> Result<(), LayerError> {
    let (name, origin) = (name.to_owned(), origin.clone());
    if NOT_YET.contains(&name.as_str()) {
        return Err(LayerError::NotYet { name, origin });
    }
    match settings::known(&name) {
        Some(_) => Ok(()),
        None => Err(LayerError::Unknown { nearest: settings::nearest(&name), name, origin }),
    }
}

/// `LISTEN_TCP` is `listen.tcp`; `SIGNERS_PARTNER_REGION` is `signers.partner.region`; `SIGNERS_PARTNER_PUBLIC_ENDPOINT` is
/// the longer of the settings that it may mean, and not the `endpoint` of a signer `partner_public`.
fn setting_of_variable(rest: &str) -> Option<String> {
    let exact = SETTINGS.iter().find(|setting| setting.variable()[ENVIRONMENT_PREFIX.len()..] == *rest);
    if let Some(setting) = exact {
        return Some(setting.name.to_owned());
    }
    let below = rest.strip_prefix("SIGNERS_")?;
    let fitting = SETTINGS.iter().filter_map(|setting| {
        let last = setting.name.strip_prefix(settings::SIGNER_PREFIX)?;
        let signer = below.strip_suffix(&format!("_{}", last.to_uppercase()))?;
        (!signer.is_empty()).then(|| (last, signer.to_lowercase()))
    });
    // Where one setting's name ends in another's, the longer is meant, and not a signer with a longer name.
    let (last, signer) = fitting.max_by_key(|(last, _)| last.len())?;
    Some(format!("signers.{signer}.{last}"))
}

fn nearest_variable(variable: &str) -> Option<String> {
    let (score, found) = SETTINGS
        .iter()
        .map(|setting| (strsim::jaro_winkler(variable, &setting.variable()), setting.variable()))
        .max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score > 0.85).then_some(found)
}

/// Kubernetes gives every pod `PRESIGND_SERVICE_HOST`, `PRESIGND_PORT` and more when a Service is named presignd,
/// and the like when its name begins so.
///
/// Source: [Accessing the Service](https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables).
fn made_by_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    ["_PORT_", "_SERVICE_HOST_", "_SERVICE_PORT_"].iter().any(|part| rest.contains(part))
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
        layers.file(file.path()).map_err(|error| error.to_string().replace(&path, "FILE"))?;
        Ok(layers)
    }

    #[test]
    fn a_value_knows_the_line_that_it_came_from() {
        let layers = file("open = true\n[listen]\nunix = \"/run/p.sock\"\n[limits]\nstreams = 12\n").unwrap();
        let place = |name: &str| {
            let Value { text, origin } = layers.get(name).unwrap();
            let Origin::File { line, .. } = origin else { panic!("{origin} is a line of the file") };
            (text.clone(), *line)
        };
        assert_eq!(place("open"), ("true".into(), 1));
        assert_eq!(place("listen.unix"), ("/run/p.sock".into(), 3));
        assert_eq!(place("limits.streams"), ("12".into(), 5));
    }

    #[test]
    fn flags_lie_over_environment_over_file_over_defaults() {
        let mut layers = Layers::defaults();
        assert_eq!(layers.get("expiry.max").unwrap().origin, Origin::Default);
        layers.environment(&[("PRESIGND_EXPIRY_MAX".into(), "2h".into())]).unwrap();
        assert_eq!(layers.get("expiry.max").unwrap().text, "2h");
        layers.flag(settings::known("expiry.max").unwrap(), "3h".into());
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
