//! The configuration file as text and as TOML, and the line of each value in it.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{
    error::{LayerError, Origin},
    names,
};

/// A configuration file as it was read.
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

    /// The line of a byte of the text.
    pub(super) fn origin_at(&self, offset: usize) -> Origin {
        let before = self.text.bytes().take(offset);
        Origin::File { path: self.path.clone(), line: before.filter(|byte| *byte == b'\n').count() + 1 }
    }

    /// Gives every setting to `set`: name, text and line. `tables` are the names of the tables that the file may have in
    /// addition to settings.
    pub(super) fn for_each_setting(
        &self,
        parsed: &DeTable<'_>,
        tables: &[&str],
        set: &mut impl FnMut(&str, String, Origin),
    ) -> Result<(), LayerError> {
        self.walk("", parsed, tables, set)
    }

    fn walk(
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
                // A quoted key with a dot would have the name of another setting, and one of the two would be ignored.
                return Err(LayerError::Unknown {
                    name: format!("\"{}\"", key.get_ref()),
                    origin,
                    nearest: names::find(&name).map(|_| name),
                });
            }
            let text = match value.get_ref() {
                DeValue::Table(below) if names::is_table(&name) => {
                    self.walk(&format!("{name}."), below, tables, set)?;
                    continue;
                }
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(number) => Some(number.to_string()),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                DeValue::Table(_) | DeValue::Array(_) | DeValue::Float(_) | DeValue::Datetime(_) => None,
            };
            names::check(&name, &origin, tables)?;
            match text {
                Some(text) => set(&name, text, origin),
                None => return Err(LayerError::NotAValue { name, origin }),
            }
        }
        Ok(())
    }
}
