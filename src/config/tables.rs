//! Tables that only the file can have: lists of tables (`[[NAME]]`) and tables with user-chosen names (`[NAME.KEY]`).
//!
//! The type of a row derives serde's `Deserialize` with `deny_unknown_fields` and `expecting = "a table"`; a field whose
//! line is needed later is a [`toml::Spanned`]. Every error has the field and its line.

use std::{collections::BTreeMap, marker::PhantomData, ops::Range};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{
    error::{LayerError, Origin},
    file::ConfigFile,
    names,
};

/// A table that the file may have.
pub trait FileTable: Sync {
    /// The name of the table, at the top level of the file.
    fn name(&self) -> &'static str;

    /// Checks that the tables can be deserialized.
    ///
    /// # Errors
    /// The first invalid field.
    fn check(&self, tables: &FileTables) -> Result<(), LayerError>;
}

/// A list of tables, `[[NAME]]`, each deserialized to a `T`.
#[derive(Debug)]
pub struct TableArray<T> {
    name: &'static str,
    row: PhantomData<fn() -> T>,
}

/// Tables with user-chosen names, `[NAME.KEY]`, each deserialized to a `T`.
#[derive(Debug)]
pub struct NamedTables<T> {
    name: &'static str,
    row: PhantomData<fn() -> T>,
}

/// The tables of a file, not deserialized.
#[derive(Clone, Debug, Default)]
pub struct FileTables {
    file: ConfigFile,
    values: BTreeMap<String, toml::Value>,
}

impl FileTables {
    /// Takes the tables in `schema` out of a file, and checks them.
    ///
    /// # Errors
    /// The first invalid field.
    pub(super) fn new(
        file: &ConfigFile,
        parsed: &DeTable<'_>,
        schema: &[&dyn FileTable],
    ) -> Result<Self, LayerError> {
        let mut values = BTreeMap::new();
        for (name, value) in schema.iter().filter_map(|table| parsed.get_key_value(table.name())) {
            let name = name.get_ref().to_string();
            let read = toml::Value::deserialize(ValueDeserializer::from(value.clone()));
            let read = read.map_err(|error| field_error(file, &name, value, &error))?;
            values.insert(name, read);
        }
        let tables = Self { file: file.clone(), values };
        schema.iter().try_for_each(|table| table.check(&tables))?;
        Ok(tables)
    }

    /// The line of a value.
    pub fn origin_of<T>(&self, value: &Spanned<T>) -> Origin {
        self.file.origin_at(value.span().start)
    }

    /// The names of the tables whose values differ between the two; a name may occur twice. Comments, line numbers and the
    /// order of keys do not matter.
    pub(super) fn changed_names<'s>(&'s self, others: &'s Self) -> impl Iterator<Item = &'s str> {
        let names = self.values.keys().chain(others.values.keys());
        names.filter(|name| self.values.get(*name) != others.values.get(*name)).map(String::as_str)
    }

    fn read_table<T: DeserializeOwned>(
        &self,
        name: &'static str,
        check_shape: impl FnOnce(&Spanned<DeValue<'_>>) -> Result<(), ShapeError>,
    ) -> Result<Option<T>, LayerError> {
        if !self.values.contains_key(name) {
            return Ok(None);
        }
        let parsed = self.file.parse()?;
        let Some(value) = parsed.get(name) else { return Ok(None) };
        check_shape(value).map_err(|ShapeError { key, expected, offset }| LayerError::NotATable {
            name: key.map_or(name.to_owned(), |key| format!("{name}.{key}")),
            origin: self.file.origin_at(offset),
            expected,
        })?;
        let read = T::deserialize(ValueDeserializer::from(value.clone()));
        read.map(Some).map_err(|error| field_error(&self.file, name, value, &error))
    }
}

/// A value that is not a table, or not a list of tables.
struct ShapeError {
    /// The key of the value in the table; none for the table itself.
    key: Option<String>,
    expected: &'static str,
    /// The byte offset of the value in the file.
    offset: usize,
}

impl<T> TableArray<T> {
    /// The list of tables `[[NAME]]`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }
}

impl<T: DeserializeOwned> TableArray<T> {
    /// The rows, in the order of the file.
    ///
    /// # Errors
    /// The first invalid field.
    pub fn read(&self, tables: &FileTables) -> Result<Vec<Spanned<T>>, LayerError> {
        let is_list = |value: &Spanned<DeValue<'_>>| {
            let rows = value.get_ref().as_array();
            let fits = rows.is_some_and(|rows| rows.iter().all(|row| row.get_ref().is_table()));
            let shape_error =
                || ShapeError { key: None, expected: "a list of tables", offset: value.span().start };
            fits.then_some(()).ok_or_else(shape_error)
        };
        Ok(tables.read_table(self.name, is_list)?.unwrap_or_default())
    }
}

impl<T: DeserializeOwned> FileTable for TableArray<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, tables: &FileTables) -> Result<(), LayerError> {
        self.read(tables).map(drop)
    }
}

impl<T> NamedTables<T> {
    /// The tables `[NAME.KEY]`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }
}

impl<T: DeserializeOwned> NamedTables<T> {
    /// The tables by their user-chosen names.
    ///
    /// # Errors
    /// The first invalid field.
    pub fn read(&self, tables: &FileTables) -> Result<BTreeMap<Spanned<String>, T>, LayerError> {
        let is_table_of_tables = |value: &Spanned<DeValue<'_>>| {
            let expected = "a table";
            let Some(subtables) = value.get_ref().as_table() else {
                return Err(ShapeError { key: None, expected, offset: value.span().start });
            };
            match subtables.iter().find(|(_, value)| !value.get_ref().is_table()) {
                Some((key, _)) => Err(ShapeError {
                    key: Some(key.get_ref().to_string()),
                    expected,
                    offset: key.span().start,
                }),
                None => Ok(()),
            }
        };
        Ok(tables.read_table(self.name, is_table_of_tables)?.unwrap_or_default())
    }
}

impl<T: DeserializeOwned> FileTable for NamedTables<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, tables: &FileTables) -> Result<(), LayerError> {
        self.read(tables).map(drop)
    }
}

/// Converts an error of serde or toml, and adds the path of the field and its line.
fn field_error(
    file: &ConfigFile,
    table: &str,
    value: &Spanned<DeValue<'_>>,
    error: &toml::de::Error,
) -> LayerError {
    let span = error.span().unwrap_or(value.span());
    let origin = file.origin_at(span.start);
    let field = format!("{table}{}", path_to(value, &span).unwrap_or_default());
    match FieldProblem::parse(error.message()) {
        FieldProblem::UnknownField(known) => {
            let (parent, last) = field.rsplit_once('.').unwrap_or(("", &field));
            let suggestion = names::find_similar(last, known).map(|similar| format!("{parent}.{similar}"));
            LayerError::Unknown { name: field, origin, suggestion }
        }
        FieldProblem::MissingField(missing) => {
            LayerError::MissingField { name: format!("{field}.{missing}"), origin }
        }
        FieldProblem::WrongType { actual, expected } => {
            LayerError::FieldType { name: field, origin, actual, expected }
        }
        FieldProblem::Other(problem) => LayerError::Field { name: field, origin, problem },
    }
}

/// The problem that a message of serde describes.
///
/// Source: the provided methods of [`serde::de::Error`](https://docs.rs/serde/latest/serde/de/trait.Error.html).
enum FieldProblem<'m> {
    /// With the names of the existing fields.
    UnknownField(Vec<&'m str>),
    MissingField(&'m str),
    WrongType {
        actual: String,
        expected: String,
    },
    Other(String),
}

impl<'m> FieldProblem<'m> {
    fn parse(message: &'m str) -> Self {
        if message.starts_with("unknown field `") {
            // "unknown field `c`, expected one of `a`, `b`"
            let known = message.rsplit_once(", expected ").map_or("", |(_, known)| known);
            return Self::UnknownField(known.split('`').skip(1).step_by(2).collect());
        }
        if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return Self::MissingField(field);
        }
        // "invalid type: integer `3`, expected a sequence"
        let rest = ["invalid type: ", "invalid value: "].iter().find_map(|kind| message.strip_prefix(kind));
        match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
            Some((actual, expected)) => {
                Self::WrongType { actual: to_toml_term(actual), expected: to_toml_term(expected) }
            }
            None => Self::Other(message.to_owned()),
        }
    }
}

/// The TOML term for a type of serde's data model.
fn to_toml_term(text: &str) -> String {
    match text {
        "a sequence" => "a list",
        "sequence" => "list",
        "a map" => "a table",
        "map" => "table",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        other => other,
    }
    .to_owned()
}

/// The path of the key or value with this span, such as `.limits.streams`. Indexes of lists are left out.
fn path_to(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    if value.span() == *span {
        return Some(String::new());
    }
    match value.get_ref() {
        DeValue::Table(table) => table.iter().find_map(|(key, value)| {
            let rest = if key.span() == *span { Some(String::new()) } else { path_to(value, span) };
            rest.map(|rest| format!(".{}{rest}", key.get_ref()))
        }),
        DeValue::Array(items) => items.iter().find_map(|item| path_to(item, span)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::layers::Layers;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a table")]
    struct TestRule {
        name: Option<String>,
        callers: Vec<Spanned<String>>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        window: Option<TestWindow>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a table")]
    struct TestWindow {
        seconds: Spanned<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a table")]
    struct TestCaller {
        uid: Option<TestUser>,
        limits: Option<BTreeMap<String, u32>>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged, expecting = "a number or a user name")]
    enum TestUser {
        Id(u32),
        Name(String),
    }

    const RULES: TableArray<TestRule> = TableArray::new("rule");
    const CALLERS: NamedTables<TestCaller> = NamedTables::new("caller");
    const SCHEMA: &[&dyn FileTable] = &[&RULES, &CALLERS];

    fn layers(text: &str) -> Result<Layers, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path().display().to_string();
        let mut layers = Layers::default();
        layers.apply_file(file.path(), SCHEMA).map_err(|error| error.to_string().replace(&path, "FILE"))?;
        Ok(layers)
    }

    const TEXT: &str = "\
        open = true\n\
        [[rule]]\n\
        callers = [\n\
        \x20 'a',\n\
        \x20 'b',\n\
        ]\n\
        [limits]\n\
        streams = 3\n\
        [[rule]]\n\
        name = 'second'\n\
        callers = []\n\
        headers.x = 'y'\n\
        [rule.window]\n\
        seconds = 7\n\
        [caller.web]\n\
        uid = 10\n\
        [caller.\"a.b\"]\n\
        uid = 'root'\n\
        limits = { streams = 2 }\n";

    fn line(layers: &Layers, value: &Spanned<impl Sized>) -> usize {
        match layers.tables().origin_of(value) {
            Origin::File { line, .. } => line,
            origin => panic!("{origin} is not a line of the file"),
        }
    }

    #[test]
    fn tables_and_settings_are_read_with_their_lines() {
        let layers = layers(TEXT).unwrap();
        assert_eq!(layers.get("limits.streams").unwrap().text, "3");
        let rules = RULES.read(layers.tables()).unwrap();
        let lines: Vec<_> = rules.iter().map(|rule| line(&layers, rule)).collect();
        assert_eq!(lines, [2, 9]);
        let [first, second] = &rules[..] else { panic!("expected two rules") };
        let callers = &first.get_ref().callers;
        let callers: Vec<_> =
            callers.iter().map(|caller| (caller.get_ref().as_str(), line(&layers, caller))).collect();
        assert_eq!(callers, [("a", 4), ("b", 5)]);
        let second = second.get_ref();
        assert_eq!((second.name.as_deref(), second.headers["x"].as_str()), (Some("second"), "y"));
        let seconds = &second.window.as_ref().unwrap().seconds;
        assert_eq!((*seconds.get_ref(), line(&layers, seconds)), (7, 14));
        let callers = CALLERS.read(layers.tables()).unwrap();
        let names: Vec<_> =
            callers.keys().map(|name| (name.get_ref().as_str(), line(&layers, name))).collect();
        assert_eq!(names, [("a.b", 17), ("web", 15)]);
        let mut callers = callers.into_values();
        let first = callers.next().unwrap();
        assert_eq!((first.uid, first.limits.unwrap()["streams"]), (Some(TestUser::Name("root".into())), 2));
        assert_eq!(callers.next().unwrap().uid, Some(TestUser::Id(10)));
    }

    #[test]
    fn a_file_without_tables_reads_as_empty() {
        let layers = layers("open = true\n").unwrap();
        assert!(
            RULES.read(layers.tables()).unwrap().is_empty()
                && CALLERS.read(layers.tables()).unwrap().is_empty()
        );
    }

    #[test]
    fn errors_name_field_line_and_expected_type() {
        for (text, message) in [
            (
                "\n[[rule]]\ncallers = []\ncalers = []\n",
                "FILE:4: unknown setting rule.calers; did you mean rule.callers?",
            ),
            ("[[rule]]\ncallers = []\nzzz = 1\n", "FILE:3: unknown setting rule.zzz"),
            (
                "[[rule]]\ncallers = []\n[[rule]]\ncallers = []\nwindow = { secnds = 1 }\n",
                "FILE:5: unknown setting rule.window.secnds; did you mean rule.window.seconds?",
            ),
            ("[[rule]]\ncallers = 3\n", "FILE:2: rule.callers must be a list, not integer `3`"),
            ("[[rule]]\ncallers = [\n'a',\n3]\n", "FILE:4: rule.callers must be a string, not integer `3`"),
            (
                "[[rule]]\ncallers = []\n[[rule]]\nname = 'x'\n",
                "FILE:3: rule.callers is required, but is not set",
            ),
            (
                "[[rule]]\ncallers = []\n[rule.window]\nseconds = -1\n",
                "FILE:4: rule.window.seconds must be a whole number, not integer `-1`",
            ),
            ("[[rule]]\ncallers = []\nwindow = 1\n", "FILE:3: rule.window must be a table, not integer `1`"),
            ("\nrule = 3\n", "FILE:2: rule must be a list of tables"),
            ("[rule]\ncallers = []\n", "FILE:1: rule must be a list of tables"),
            ("\n[caller.web]\nuid = []\n", "FILE:3: caller.web.uid: a number or a user name"),
            (
                "[caller.web]\nuidd = 1\n",
                "FILE:2: unknown setting caller.web.uidd; did you mean caller.web.uid?",
            ),
            ("caller = 1\n", "FILE:1: caller must be a table"),
            ("\n[caller]\nweb = 1\n", "FILE:3: caller.web must be a table"),
            ("[[ruel]]\n", "FILE:1: unknown setting ruel; did you mean rule?"),
        ] {
            assert_eq!(layers(text).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn only_changed_values_count_as_changes() {
        let one = layers(TEXT).unwrap();
        for (text, changed) in [
            (TEXT.to_owned(), &[][..]),
            (format!("# moved\n\n{}", TEXT.replace("'second'", "\"second\" # other quotes")), &[]),
            (TEXT.replace("seconds = 7", "seconds = 8"), &["rule"]),
            (TEXT.replace("'root'", "'daemon'").replace("  'b',\n", ""), &["caller", "rule"]),
            (TEXT.replace("streams = 3", "streams = 4"), &["limits.streams"]),
            (TEXT.replace("streams = ", "streams = 1"), &["caller", "limits.streams"]),
            ("open = true\n[limits]\nstreams = 3\n".to_owned(), &["caller", "rule"]),
        ] {
            let other = layers(&text).unwrap();
            assert_eq!(other.changed_names(&one), changed, "{text}");
            assert_eq!(one.changed_names(&other), changed, "{text}");
        }
    }
}
