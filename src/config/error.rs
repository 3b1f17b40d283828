//! Errors of the file, the environment and the flags, and the origin of each value.

use std::fmt;

use thiserror::Error;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is not set.
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
    /// One value where a table or a list of tables belongs, or one of these for the other.
    #[error("{origin}: {name} must be {expected}")]
    NotATable {
        /// The table.
        name: String,
        /// Where.
        origin: Origin,
        /// What fits.
        expected: &'static str,
    },
    /// A field of a table has another type.
    #[error("{origin}: {name} must be {expected}, not {written}")]
    FieldType {
        /// The field, with its table.
        name: String,
        /// Where.
        origin: Origin,
        /// What was written.
        written: String,
        /// What fits.
        expected: String,
    },
    /// A field that its table needs.
    #[error("{origin}: {name} is not set, and has no default")]
    MissingField {
        /// The field, with its table.
        name: String,
        /// Where the table is.
        origin: Origin,
    },
    /// A field of a table does not fit.
    #[error("{origin}: {name}: {problem}")]
    Field {
        /// The field, with its table.
        name: String,
        /// Where.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
}
