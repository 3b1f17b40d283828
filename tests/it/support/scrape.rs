//! A scrape of `/metrics`, parsed like Prometheus does.

use std::collections::BTreeMap;

use super::sidecar::{PATIENCE, Sidecar};

/// Samples by name, each with its labels.
pub struct Scrape(Vec<(String, BTreeMap<String, String>, f64)>);

impl Scrape {
    /// Scrapes a server.
    pub async fn of(sidecar: &Sidecar) -> Self {
        let (status, page) = sidecar.get_page("/metrics").await;
        assert_eq!(status, 200);
        Self(page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(sample).collect())
    }

    /// Waits until a sample has this value.
    #[expect(clippy::float_cmp, reason = "counts are exact")]
    pub async fn wait_for(sidecar: &Sidecar, name: &str, labels: &[(&str, &str)], value: f64) {
        let reading = async { while Self::of(sidecar).await.get(name, labels) != value {} };
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        waited.unwrap_or_else(|_| panic!("{name}{labels:?} was not {value} in time"));
    }

    /// Waits until a sample has at least this value.
    pub async fn wait_for_at_least(sidecar: &Sidecar, name: &str, labels: &[(&str, &str)], least: f64) {
        let reading = async {
            // Pauses between two scrapes, so that they do not load the server.
            let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
            while Self::of(sidecar).await.get(name, labels) < least {
                ticks.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        waited.unwrap_or_else(|_| {
            panic!("{name}{labels:?} did not reach {least} in time; log: {}", sidecar.log())
        });
    }

    /// The sum of the samples with this name and, among others, these labels.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| of.get(*label).is_some_and(|actual| actual == value))
        };
        self.0.iter().filter(|(known, of, _)| known == name && fits(of)).map(|(.., value)| value).sum()
    }

    /// Every sample with this name, by the values of these labels.
    pub fn all(&self, name: &str, labels: &[&str]) -> BTreeMap<Vec<String>, f64> {
        let of = |from: &BTreeMap<String, String>| {
            labels.iter().map(|label| from.get(*label).cloned().unwrap_or_default()).collect()
        };
        self.0.iter().filter(|(known, ..)| known == name).map(|(_, from, value)| (of(from), *value)).collect()
    }
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is a sample"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("labels end with a brace");
    let pair = |pair: &str| {
        let (label, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{line:?} has labels"));
        (label.to_owned(), value.trim_end_matches('"').to_owned())
    };
    let labels = labels.split_terminator("\",").map(pair).collect();
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line:?} has a number")))
}
