//! Errors of the configuration's file, environment and flags, and the origin of each value.

use std::fmt;

use thiserror::Error;

/// The origin of a value, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default of the setting.
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
    /// A flag, without the leading dashes.
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

/// An error in the file or the environment. The message has the origin, such as `presignd.toml:3`.
#[derive(Debug, Error)]
pub enum LayerError {
    /// The file does not exist or cannot be read.
    #[error("cannot read the configuration file {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The file is not valid TOML.
    #[error("{path} is not valid TOML: {error}")]
    NotToml {
        /// The file.
        path: String,
        /// The parser's message, with line and column.
        error: String,
    },
    /// No setting has this name.
    #[error("{origin}: unknown setting {name}{}", suggestion.as_ref().map_or(String::new(), |it| format!("; did you mean {it}?")))]
    Unknown {
        /// The name in the file or environment.
        name: String,
        /// Its origin.
        origin: Origin,
        /// The most similar existing name.
        suggestion: Option<String>,
    },
    /// The setting is reserved for a later version.
    #[error(
        "{origin}: {name} is not supported by this version of presignd, which has no caller authentication and no policy: \
         remove it and set open = true"
    )]
    NotSupportedYet {
        /// The name in the file or environment.
        name: String,
        /// Its origin.
        origin: Origin,
    },
    /// The value of a setting has a type that no setting has.
    #[error("{origin}: {name} must be a string, a whole number, or true or false")]
    UnsupportedType {
        /// The setting.
        name: String,
        /// Its origin.
        origin: Origin,
    },
    /// The value is not a table, or not a list of tables.
    #[error("{origin}: {name} must be {expected}")]
    NotATable {
        /// The table.
        name: String,
        /// Its origin.
        origin: Origin,
        /// The expected shape.
        expected: &'static str,
    },
    /// A field of a table has the wrong type.
    #[error("{origin}: {name} must be {expected}, not {actual}")]
    FieldType {
        /// The path of the field, such as `rule.callers`.
        name: String,
        /// Its origin.
        origin: Origin,
        /// The type and value in the file, as serde describes them.
        actual: String,
        /// The expected type.
        expected: String,
    },
    /// A required field of a table is not set.
    #[error("{origin}: {name} is required, but is not set")]
    MissingField {
        /// The path of the field, such as `rule.callers`.
        name: String,
        /// The line of the table.
        origin: Origin,
    },
    /// A field of a table is wrong for any other reason.
    #[error("{origin}: {name}: {problem}")]
    Field {
        /// The path of the field, such as `rule.callers`.
        name: String,
        /// Its origin.
        origin: Origin,
        /// The problem.
        problem: String,
    },
}
