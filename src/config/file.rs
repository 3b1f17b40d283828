//! The configuration file: its text, its TOML, and the line of each value.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{
    error::{LayerError, Origin},
    names,
};

/// The text of a configuration file, with its path for messages.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfigFile {
    path: String,
    text: String,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, LayerError> {
        let text = std::fs::read_to_string(path);
        let path = path.display().to_string();
        match text {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => Err(LayerError::Unreadable { path, error }),
        }
    }

    pub(super) fn parse(&self) -> Result<DeTable<'_>, LayerError> {
        let table = DeTable::parse(&self.text);
        let table = table
            .map_err(|error| LayerError::NotToml { path: self.path.clone(), error: error.to_string() })?;
        Ok(table.into_inner())
    }

    /// The line at a byte offset of the text.
    pub(super) fn origin_at(&self, offset: usize) -> Origin {
        let bytes = self.text.bytes().take(offset);
        Origin::File { path: self.path.clone(), line: bytes.filter(|byte| *byte == b'\n').count() + 1 }
    }

    /// Calls `set` with the name, value and line of each setting. `tables` are the names of the tables that the file may
    /// have in addition to settings: candidates for the suggestion in an error.
    ///
    /// # Errors
    /// When a name is not that of a setting, or a value is not a string, a whole number or a boolean.
    pub(super) fn for_each_setting(
        &self,
        parsed: &DeTable<'_>,
        tables: &[&str],
        set: &mut impl FnMut(&str, String, Origin),
    ) -> Result<(), LayerError> {
        self.walk_table("", parsed, tables, set)
    }

    fn walk_table(
        &self,
        prefix: &str,
        table: &DeTable<'_>,
        tables: &[&str],
        set: &mut impl FnMut(&str, String, Origin),
    ) -> Result<(), LayerError> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let origin = self.origin_at(key.span().start);
            if key.get_ref().contains('.') {
                // `"listen.tcp"` and `tcp` in the table `[listen]` are two keys with one name: one value would be lost.
                return Err(LayerError::Unknown {
                    name: format!("\"{}\"", key.get_ref()),
                    origin,
                    suggestion: names::find_setting(&name).map(|_| name),
                });
            }
            let text = match value.get_ref() {
                DeValue::Table(subtable) if names::is_table(&name) => {
                    self.walk_table(&format!("{name}."), subtable, tables, set)?;
                    continue;
                }
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(number) => Some(number.to_string()),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                DeValue::Table(_) | DeValue::Array(_) | DeValue::Float(_) | DeValue::Datetime(_) => None,
            };
            names::check_name(&name, &origin, tables)?;
            match text {
                Some(text) => set(&name, text, origin),
                None => return Err(LayerError::UnsupportedType { name, origin }),
            }
        }
        Ok(())
    }
}
