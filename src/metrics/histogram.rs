//! A histogram with fixed buckets that counts many equal values at once.
//!
//! The histogram of the exporter keeps every value (24 bytes, with its time) until the next scrape: at half a million
//! URLs a second that is tens of megabytes, and each value costs more time than the encoding of the signature.

use std::{
    fmt::Write,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::definitions::{MetricDefinition, MetricKind};

/// The counts for one set of label values.
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for the values above all bounds.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }

    /// Counts this value `times` times.
    pub(super) fn record(&self, value: f64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(times, Relaxed);
        }
        #[expect(clippy::cast_precision_loss, reason = "no call signs 2^53 URLs")]
        let more = value * times as f64;
        let add = |bits| Some((f64::from_bits(bits) + more).to_bits());
        let _always_ok = self.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// Appends it in Prometheus' text format; `labels` are those of every line.
    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut cumulative = 0;
        for (index, count) in self.counts.iter().enumerate() {
            cumulative += count.load(Relaxed);
            let bound = self.bounds.get(index).map_or("+Inf".to_owned(), f64::to_string);
            let _infallible = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {cumulative}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = f64::from_bits(self.sum.load(Relaxed));
        let _infallible = writeln!(out, "{name}_sum{braces} {sum}\n{name}_count{braces} {cumulative}");
    }
}

/// The histograms of one metric, one for each set of label values. The number of sets is known at the start.
pub(super) struct HistogramFamily {
    definition: &'static MetricDefinition,
    bounds: &'static [f64],
    histograms: Box<[OnceLock<(String, Histogram)>]>,
}

impl HistogramFamily {
    /// A family for up to `capacity` sets of label values. The histogram of a metric without labels is rendered from the
    /// start, the others once they have a value.
    pub(super) fn new(definition: &'static MetricDefinition, capacity: usize) -> Self {
        let bounds = match definition.kind {
            MetricKind::Histogram(bounds) => bounds,
            MetricKind::Counter | MetricKind::Gauge => &[],
        };
        let family = Self {
            definition,
            bounds,
            histograms: std::iter::repeat_with(OnceLock::new).take(capacity).collect(),
        };
        if definition.labels.is_empty() {
            family.record(0, &[], 0.0, 0);
        }
        family
    }

    /// Counts this value `times` times in the histogram with this index, whose labels have these values.
    pub(super) fn record(&self, index: usize, values: &[&str], value: f64, times: u64) {
        let Some(histogram) = self.histograms.get(index) else { return };
        let new = || (format_labels(self.definition.labels, values), Histogram::new(self.bounds));
        histogram.get_or_init(new).1.record(value, times);
    }

    /// Appends its histograms in Prometheus' text format, without those that have no value yet.
    pub(super) fn render(&self, out: &mut String) {
        let MetricDefinition { name, help, .. } = self.definition;
        let mut histograms = self.histograms.iter().filter_map(OnceLock::get).peekable();
        if histograms.peek().is_some() {
            let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        }
        for (labels, histogram) in histograms {
            histogram.render(name, labels, out);
        }
        out.push('\n');
    }
}

fn format_labels(names: &[&str], values: &[&str]) -> String {
    let pairs: Vec<String> =
        names.iter().zip(values).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATIONS: MetricDefinition = MetricDefinition {
        name: "x_seconds",
        kind: MetricKind::Histogram(&[0.5e-6, 1.0, 10.0]),
        labels: &["kind"],
        help: "Durations.",
    };

    #[test]
    fn buckets_count_values_up_to_their_bound() {
        static DEFINITION: MetricDefinition = DURATIONS;
        let family = HistogramFamily::new(&DEFINITION, 2);
        family.record(1, &["b"], 1.0, 3);
        family.record(1, &["b"], 1.5, 1);
        family.record(1, &["b"], 20.0, 2);
        let mut text = String::new();
        family.render(&mut text);
        assert_eq!(
            text,
            "# HELP x_seconds Durations.\n# TYPE x_seconds histogram\n\
             x_seconds_bucket{kind=\"b\",le=\"0.0000005\"} 0\n\
             x_seconds_bucket{kind=\"b\",le=\"1\"} 3\n\
             x_seconds_bucket{kind=\"b\",le=\"10\"} 4\n\
             x_seconds_bucket{kind=\"b\",le=\"+Inf\"} 6\n\
             x_seconds_sum{kind=\"b\"} 44.5\nx_seconds_count{kind=\"b\"} 6\n\n"
        );
    }
}
