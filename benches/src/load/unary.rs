//! Sequential calls on one connection: the latency of each.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Options,
    client::{Client, Connection},
    messages::{Answer, Messages},
    process::Process,
};

/// The length of the warm-up, as a fraction of the measured time.
const WARM_UP: f64 = 0.25;
/// The maximum number of calls in one measurement.
const MAX_CALLS: usize = 2_000_000;

/// Calls the server for the time in the options, and returns the report.
pub(super) async fn measure(
    client: &Client,
    messages: &Messages,
    answer: &Answer,
    options: &Options,
    server: Process,
) -> Value {
    let mut connection = client.connect().await;
    calls(&mut connection, messages, answer, Duration::from_secs_f64(options.seconds * WARM_UP)).await;
    let (cpu, began) = (server.cpu(), Instant::now());
    let mut times = calls(&mut connection, messages, answer, Duration::from_secs_f64(options.seconds)).await;
    let (cpu, seconds) = (server.cpu().since(cpu), began.elapsed().as_secs_f64());
    times.sort_unstable();
    let at = |thousandths: usize| micros(times[(times.len() - 1) * thousandths / 1_000]);
    json!({
        "calls": times.len(),
        "p50_us": at(500),
        "p90_us": at(900),
        "p99_us": at(990),
        "p999_us": at(999),
        "max_us": at(1_000),
        "mean_us": seconds * 1e6 / count(times.len()),
        "server_cpu_share": cpu / seconds,
    })
}

/// The time of each call, in nanoseconds.
async fn calls(
    connection: &mut Connection,
    messages: &Messages,
    answer: &Answer,
    time: Duration,
) -> Vec<u64> {
    let mut times = Vec::with_capacity(65_536);
    let began = Instant::now();
    while began.elapsed() < time && times.len() < MAX_CALLS {
        let message = messages.get(times.len());
        let called = Instant::now();
        let bytes = connection.unary(message).await;
        times.push(u64::try_from(called.elapsed().as_nanos()).unwrap_or(u64::MAX));
        answer.check_length(&bytes);
    }
    assert!(!times.is_empty(), "no time for a single call");
    times
}

#[expect(clippy::cast_precision_loss, reason = "times far below 2^52 ns")]
fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}
