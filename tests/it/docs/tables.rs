//! Tables of the documents against what they list.

use std::{collections::BTreeMap, fs, path::PathBuf};

use presignd::{
    config::{Config, layers::Layers, settings::SETTINGS},
    metrics::definitions,
    pb,
};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::markdown::{Document, Row, documents, plain, rows};
use crate::support::{python, sidecar::Sidecar};

/// What the code says that a row has in some of its columns: the header and the text of the cell.
type Cells = Vec<(&'static str, String)>;

/// Checks that the tables with this first header have exactly one row for each item, and no other rows.
fn assert_listed(first_header: &str, items: impl IntoIterator<Item = (String, Cells)>) {
    let items: BTreeMap<String, Cells> = items.into_iter().collect();
    assert!(!items.is_empty(), "the code has items for the tables of {first_header}");
    let mut listed: BTreeMap<String, Row> = BTreeMap::new();
    for row in rows(first_header) {
        let name = plain(&row.cells[first_header]).to_owned();
        assert!(items.contains_key(&name), "{}: the code has no {first_header} {name}", row.at);
        if let Some(other) = listed.insert(name, row) {
            panic!("{}: a second row for the same {first_header}", other.at);
        }
    }
    for (name, cells) in items {
        let row = listed.get(&name).unwrap_or_else(|| panic!("no table has a row for {first_header} {name}"));
        for (header, text) in cells {
            assert_eq!(row.cells[header], text, "{}: {header} of {name}", row.at);
        }
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn names(names: impl IntoIterator<Item = String>) -> impl Iterator<Item = (String, Cells)> {
    names.into_iter().map(|name| (name, Vec::new()))
}

#[test]
fn every_setting_is_listed_with_its_default() {
    let shown = |name: &str| name.replace("signers.default.", "signers.NAME.");
    assert_listed(
        "setting",
        SETTINGS.iter().map(|setting| {
            (shown(setting.name), vec![("default", setting.default.map_or("none".to_owned(), code))])
        }),
    );
}

#[test]
fn every_metric_is_listed_with_its_labels() {
    assert_listed(
        "metric",
        definitions::ALL.iter().map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| code(label)).collect();
            (metric.name.to_owned(), vec![("labels", labels.join(", "))])
        }),
    );
}

#[test]
fn every_error_reason_is_listed() {
    assert_listed("reason", names(reasons()));
}

/// The texts in capitals of the files that map errors to `ErrorInfo`: those that name its domain.
fn reasons() -> Vec<String> {
    let mut reasons = Vec::new();
    let mut folders = vec![python::repository("src/service")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(path).unwrap();
            if source.contains("\"presign.v1\"") {
                let texts = source.split('"').skip(1).step_by(2);
                let is_reason =
                    |text: &&str| text.len() > 3 && text.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
                reasons.extend(texts.filter(is_reason).map(str::to_owned));
            }
        }
    }
    reasons
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap()
}

fn message(name: &str) -> DescriptorProto {
    let messages = descriptors().file.into_iter().flat_map(|file| file.message_type);
    messages.into_iter().find(|message| message.name() == name).unwrap()
}

#[test]
fn every_rpc_is_listed() {
    let services = descriptors().file.into_iter().flat_map(|file| file.service);
    let methods = services.flat_map(|service| service.method);
    assert_listed("RPC", names(methods.map(|method| method.name().to_owned())));
}

#[test]
fn every_operation_is_listed() {
    let fields = message("PresignRequest").field.into_iter().filter(|field| field.oneof_index.is_some());
    let operations = fields.map(|field| field.type_name().rsplit('.').next().unwrap().to_owned());
    assert_listed("operation", names(operations));
}

#[test]
fn every_clamp_reason_and_verdict_is_listed() {
    for (header, name) in [("clamp_reason", "ClampReason"), ("verdict", "Verdict")] {
        let enums = descriptors().file.into_iter().flat_map(|file| file.enum_type);
        let values = enums.into_iter().find(|it| it.name() == name).unwrap().value;
        let prefix = values[0].name().strip_suffix("UNSPECIFIED").unwrap().to_owned();
        let sent = values.iter().skip(1).map(|value| value.name().replacen(&prefix, "", 1));
        assert_listed(header, names(sent.collect::<Vec<_>>()));
    }
}

#[test]
fn every_provider_that_is_listed_is_one() {
    let listed = rows("provider");
    let setting = SETTINGS.iter().find(|setting| setting.name == "signers.default.provider").unwrap();
    for row in &listed {
        let name = plain(&row.cells["provider"]);
        assert!(setting.help.contains(name), "{}: {}", row.at, setting.help);
        accepts("signers.default.provider", name).unwrap();
    }
    let named = setting.help.split([':', ',']).count() - 1;
    assert_eq!(listed.len(), named, "{}", setting.help);
}

fn accepts(setting: &str, text: &str) -> Result<(), String> {
    let variable = SETTINGS.iter().find(|known| known.name == setting).unwrap().variable();
    let mut layers = Layers::defaults();
    layers.apply_environment(&[(variable, text.to_owned())]).map_err(|error| error.to_string())?;
    Config::from_layers(&layers).map(|_| ()).map_err(|error| error.to_string())
}

/// A cell such as `` `1` to `1000` ``: both are accepted, and what is less or more is not.
#[test]
fn the_bounds_of_settings_are_those_listed() {
    let mut checked = 0;
    for row in rows("setting").iter().filter(|row| row.cells.get("bounds").is_some_and(|it| !it.is_empty())) {
        let name = plain(&row.cells["setting"]).replace("signers.NAME.", "signers.default.");
        let (least, most) = row.cells["bounds"].split_once(" to ").unwrap();
        let (least, most) = (Amount::read(plain(least)), Amount::read(plain(most)));
        for (amount, fits) in [(least.plus(-1), false), (least, true), (most, true), (most.plus(1), false)] {
            let answer = accepts(&name, &amount.to_string());
            assert_eq!(answer.is_ok(), fits, "{}: {name} = {amount}: {answer:?}", row.at);
        }
        checked += 1;
    }
    assert!(checked >= 5, "there are bounds to check");
}

/// A number, or a duration in seconds.
#[derive(Clone, Copy)]
struct Amount {
    number: i64,
    unit: &'static str,
}

impl Amount {
    fn read(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self { number, unit: "" };
        }
        let duration = humantime::parse_duration(text).unwrap();
        Self { number: i64::try_from(duration.as_secs()).unwrap(), unit: "s" }
    }

    fn plus(self, more: i64) -> Self {
        Self { number: self.number + more, unit: self.unit }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.number, self.unit)
    }
}

#[tokio::test]
async fn every_health_service_that_is_listed_is_known() {
    let sidecar = Sidecar::start(&[]).await;
    let listed = rows("health service");
    assert_eq!(listed.len(), 5, "the four of every server, and one for each signer");
    for row in listed {
        let service = plain(&row.cells["health service"]).trim_matches('"').replace("NAME", "default");
        let request = HealthCheckRequest { service: service.clone() };
        let answer = HealthClient::new(sidecar.connect().await).check(request).await;
        assert!(answer.is_ok(), "{}: {service:?}: {answer:?}", row.at);
    }
}

#[tokio::test]
async fn every_page_that_is_listed_is_served() {
    let sidecar = Sidecar::start(&[]).await;
    let listed = rows("page");
    assert_eq!(listed.len(), 5, "the pages of the admin listener");
    for row in listed {
        assert_eq!(sidecar.get_page(plain(&row.cells["page"])).await.0, 200, "{}", row.at);
    }
}

/// Names in the text, whatever is around them.
#[test]
fn every_setting_variable_and_metric_that_is_named_exists() {
    let mut checked = 0;
    for (at, word) in documents().iter().flat_map(Document::words) {
        let known = if word.starts_with("presignd_") {
            definitions::ALL.iter().any(|metric| metric.name == word)
        } else if word.starts_with("PRESIGND_") {
            let of_default = word.replace("_PARTNER_", "_DEFAULT_");
            word == "PRESIGND_CONFIG" || SETTINGS.iter().any(|setting| setting.variable() == of_default)
        } else if ["listen.", "admin.", "expiry.", "limits.", "log."].iter().any(|it| word.starts_with(it)) {
            SETTINGS.iter().any(|setting| setting.name == word)
        } else {
            continue;
        };
        assert!(known, "{at}: {word}");
        checked += 1;
    }
    assert!(checked > 50, "only {checked} names");
}

#[test]
fn every_link_within_the_repository_has_a_target() {
    let documents = documents();
    for document in &documents {
        for (at, link) in document.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = python::repository(&document.name).parent().unwrap().to_owned();
            let target = if path.is_empty() { python::repository(&document.name) } else { folder.join(path) };
            assert!(target.exists(), "{at}: {link}");
            if anchor.is_empty() {
                continue;
            }
            let target = target.canonicalize().unwrap();
            let known = documents
                .iter()
                .find(|document| python::repository(&document.name).canonicalize().unwrap() == target);
            if let Some(known) = known {
                assert!(known.anchors().iter().any(|known| known == anchor), "{at}: {link}");
            }
        }
    }
}
