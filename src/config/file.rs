//! The configuration file as text and as TOML, and the line of each value in it.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{
    layers::{LayerError, Origin, check_name},
    settings,
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

    /// Gives every setting of a table and the tables in it to `set`: name, text and line.
    pub(super) fn for_each_setting(
        &self,
        prefix: &str,
        table: &DeTable<'_>,
        set: &mut impl FnMut(&str, String, Origin) -> Result<(), LayerError>,
    ) -> Result<(), LayerError> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let origin = self.origin_at(key.span().start);
            if key.get_ref().contains('.') {
                // A quoted key with a dot would have the name of another setting, and one of the two would be ignored.
                return Err(LayerError::Unknown {
                    name: format!("\"{}\"", key.get_ref()),
                    origin,
                    nearest: settings::known(&name).map(|_| name),
                });
            }
            match value.get_ref() {
                DeValue::Table(below) if settings::is_table(&name) => {
                    self.for_each_setting(&format!("{name}."), below, set)?;
                }
                DeValue::String(text) => set(&name, text.to_string(), origin)?,
                DeValue::Integer(number) => set(&name, number.to_string(), origin)?,
                DeValue::Boolean(flag) => set(&name, flag.to_string(), origin)?,
                DeValue::Table(_) | DeValue::Array(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                    check_name(&name, &origin)?;
                    return Err(LayerError::NotAValue { name, origin });
                }
            }
        }
        Ok(())
    }
}
