//! A histogram that counts into fixed buckets, many values at once.
//!
//! The exporter's own keeps every value (24 bytes, with the time) until it is asked: at half a million URLs a second that
//! is tens of megabytes between two scrapes, and more time than the signature's encoding takes.

use std::{
    fmt::Write,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::definitions::{Definition, Kind};

/// Counts by upper bound.
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }

    /// Counts `times` values that are the same.
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

    /// Writes it in Prometheus' text format; `labels` are those that every line has.
    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut all = 0;
        for (place, count) in self.counts.iter().enumerate() {
            all += count.load(Relaxed);
            let bound = self.bounds.get(place).map_or("+Inf".to_owned(), f64::to_string);
            let _infallible = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {all}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = f64::from_bits(self.sum.load(Relaxed));
        let _infallible = writeln!(out, "{name}_sum{braces} {sum}\n{name}_count{braces} {all}");
    }
}

/// The histograms of one definition, one for each set of values of its labels. What a label may be is known beforehand.
pub(super) struct Family {
    definition: &'static Definition,
    bounds: &'static [f64],
    members: Box<[OnceLock<(String, Histogram)>]>,
}

impl Family {
    /// Room for so many sets of values. A definition without labels has one, and it is there from the start.
    pub(super) fn new(definition: &'static Definition, members: usize) -> Self {
        let bounds = match definition.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        let family = Self {
            definition,
            bounds,
            members: std::iter::repeat_with(OnceLock::new).take(members).collect(),
        };
        if definition.labels.is_empty() {
            family.record(0, &[], 0.0, 0);
        }
        family
    }

    /// Counts in the member with this number, whose labels have these values.
    pub(super) fn record(&self, member: usize, values: &[&str], value: f64, times: u64) {
        let Some(member) = self.members.get(member) else { return };
        let new = || (labels(self.definition.labels, values), Histogram::new(self.bounds));
        member.get_or_init(new).1.record(value, times);
    }

    /// Writes them in Prometheus' text format; nothing when nothing was counted yet.
    pub(super) fn render(&self, out: &mut String) {
        let Definition { name, help, .. } = self.definition;
        let mut members = self.members.iter().filter_map(OnceLock::get).peekable();
        if members.peek().is_some() {
            let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        }
        for (labels, histogram) in members {
            histogram.render(name, labels, out);
        }
        out.push('\n');
    }
}

fn labels(names: &[&str], values: &[&str]) -> String {
    let pairs: Vec<String> =
        names.iter().zip(values).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Definition = Definition {
        name: "x_seconds",
        kind: Kind::Histogram(&[0.5e-6, 1.0, 10.0]),
        labels: &["kind"],
        help: "Some times.",
    };

    #[test]
    fn values_are_counted_under_every_bound_that_they_do_not_pass() {
        static DEFINITION: Definition = TIMES;
        let family = Family::new(&DEFINITION, 2);
        family.record(1, &["b"], 1.0, 3);
        family.record(1, &["b"], 1.5, 1);
        family.record(1, &["b"], 20.0, 2);
        let mut text = String::new();
        family.render(&mut text);
        assert_eq!(
            text,
            "# HELP x_seconds Some times.\n# TYPE x_seconds histogram\n\
             x_seconds_bucket{kind=\"b\",le=\"0.0000005\"} 0\n\
             x_seconds_bucket{kind=\"b\",le=\"1\"} 3\n\
             x_seconds_bucket{kind=\"b\",le=\"10\"} 4\n\
             x_seconds_bucket{kind=\"b\",le=\"+Inf\"} 6\n\
             x_seconds_sum{kind=\"b\"} 44.5\nx_seconds_count{kind=\"b\"} 6\n\n"
        );
    }
}
