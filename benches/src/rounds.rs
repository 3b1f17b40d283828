//! Measures several signers in turns, so that whatever else the machine does falls on all of them.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{contenders::Contender, work};

/// More keys than any cache of URLs would hold, few enough to stay in the processor's.
const KEYS: u64 = 4_096;

/// How many rounds there are, and how long each contender's turn is.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) turn: Duration,
}

/// One contender, and how many URLs make up its turn.
struct Runner {
    name: &'static str,
    contender: Box<dyn Contender>,
    urls: usize,
    next: usize,
    nanoseconds: Vec<f64>,
}

impl Runner {
    fn new((name, contender): (&'static str, Box<dyn Contender>), keys: &[String], turn: Duration) -> Self {
        let mut runner = Self { name, contender, urls: 256, next: 0, nanoseconds: Vec::new() };
        // The first turn warms caches up and fills those that are kept; the second tells the speed.
        runner.turn(keys);
        let each = runner.turn(keys).max(1.0);
        runner.urls = whole(turn.as_secs_f64() * 1e9 / each).max(64);
        runner
    }

    /// Signs its number of URLs; the nanoseconds for each.
    fn turn(&mut self, keys: &[String]) -> f64 {
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

/// Every contender once in each round, in another order each time.
pub(crate) fn measure(contenders: Vec<(&'static str, Box<dyn Contender>)>, plan: Plan) -> Value {
    let keys: Vec<String> = (0..KEYS).map(work::key).collect();
    let mut runners: Vec<Runner> =
        contenders.into_iter().map(|contender| Runner::new(contender, &keys, plan.turn)).collect();
    for round in 0..plan.rounds {
        for place in 0..runners.len() {
            let who = (round + place) % runners.len();
            let each = runners[who].turn(&keys);
            runners[who].nanoseconds.push(each);
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
