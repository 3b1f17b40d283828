//! Measures several signers alternately, so that other load on the machine affects all of them.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{contenders::Contender, work};

/// The number of keys: too many for a cache of URLs, few enough for the caches of the processor.
const KEYS: u64 = 4_096;

/// The number of rounds, and the time to measure each contender in a round.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) sample: Duration,
}

/// One contender, and the number of URLs in one sample.
struct Runner {
    name: &'static str,
    contender: Box<dyn Contender>,
    urls: usize,
    next: usize,
    nanoseconds: Vec<f64>,
}

impl Runner {
    fn new((name, contender): (&'static str, Box<dyn Contender>), keys: &[String], sample: Duration) -> Self {
        let mut runner = Self { name, contender, urls: 256, next: 0, nanoseconds: Vec::new() };
        // The first sample warms up all caches; the second one gives the speed.
        runner.measure(keys);
        let each = runner.measure(keys).max(1.0);
        runner.urls = whole(sample.as_secs_f64() * 1e9 / each).max(64);
        runner
    }

    /// Signs one sample and returns the nanoseconds per URL.
    fn measure(&mut self, keys: &[String]) -> f64 {
        let began = Instant::now();
        for _ in 0..self.urls {
            let key = black_box(&keys[self.next % keys.len()]);
            black_box(self.contender.sign(key));
            self.next += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        let urls = self.urls as f64;
        began.elapsed().as_secs_f64() * 1e9 / urls
    }

    fn report(self) -> (String, Value) {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 4];
        let report = json!({
            "median_ns": at(2),
            "quartiles_ns": [at(1), at(3)],
            "rounds_ns": self.nanoseconds,
            "urls_per_round": self.urls,
        });
        (self.name.to_owned(), report)
    }
}

/// Measures every contender once per round; the order rotates from round to round.
pub(crate) fn measure(contenders: Vec<(&'static str, Box<dyn Contender>)>, plan: Plan) -> Value {
    let keys: Vec<String> = (0..KEYS).map(work::key).collect();
    let mut runners: Vec<Runner> =
        contenders.into_iter().map(|contender| Runner::new(contender, &keys, plan.sample)).collect();
    for round in 0..plan.rounds {
        for offset in 0..runners.len() {
            let index = (round + offset) % runners.len();
            let each = runners[index].measure(&keys);
            runners[index].nanoseconds.push(each);
        }
    }
    Value::Object(runners.into_iter().map(Runner::report).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive count far below 2^52"
)]
fn whole(number: f64) -> usize {
    number as usize
}
