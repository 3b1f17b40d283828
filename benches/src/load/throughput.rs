//! Sequential batches, and streams: URLs per second, and the CPU time of the server per URL.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Mode, Options,
    client::{Client, Connection},
    messages::{Answer, Messages},
    process::{Cpu, Process},
};

/// The length of the warm-up, as a fraction of the measured time.
const WARM_UP: f64 = 0.4;
/// The interval at which the memory of the server is read.
const SAMPLE: Duration = Duration::from_millis(200);
/// The time limit of a run with `--count`.
const PATIENCE: Duration = Duration::from_mins(5);

/// The state that all workers share.
struct Work {
    messages: Messages,
    answer: Answer,
    items: u64,
    /// Messages per stream; `None`: until `stop` is set.
    limit: Option<u64>,
    urls: AtomicU64,
    stop: AtomicBool,
}

/// Runs the load that the options describe, and returns the report.
pub(super) async fn measure(
    client: Client,
    messages: Messages,
    answer: &Answer,
    options: &Options,
    server: Process,
) -> Value {
    let work = Arc::new(Work {
        messages,
        answer: *answer,
        items: options.items,
        limit: options.count.map(|count| count.div_ceil(options.items)),
        urls: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut workers = JoinSet::new();
    let began = Mark::now(&work, server);
    for _ in 0..options.connections {
        let connection = client.connect().await;
        for _ in 0..options.in_flight {
            spawn(&mut workers, options.mode, connection.clone(), Arc::clone(&work));
        }
    }
    if work.limit.is_some() {
        return measure_count(&mut workers, &work, &began, server).await;
    }
    tokio::time::sleep(Duration::from_secs_f64(options.seconds * WARM_UP)).await;
    let began = Mark::now(&work, server);
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    let ended = Mark::now(&work, server);
    work.stop.store(true, Ordering::Relaxed);
    while let Some(worker) = workers.join_next().await {
        worker.expect("no worker fails");
    }
    report(&began, &ended)
}

fn spawn(workers: &mut JoinSet<()>, mode: Mode, connection: Connection, work: Arc<Work>) {
    match mode {
        Mode::Stream => workers.spawn(stream(connection, work)),
        Mode::Batch | Mode::Unary => workers.spawn(batches(connection, work)),
    };
}

impl Work {
    fn count(&self, bytes: &Bytes) {
        self.answer.check_length(bytes);
        self.urls.fetch_add(self.items, Ordering::Relaxed);
    }
}

async fn batches(mut connection: Connection, work: Arc<Work>) {
    let mut number = 0;
    while !work.stop.load(Ordering::Relaxed) {
        let bytes = connection.unary(work.messages.get(number)).await;
        work.count(&bytes);
        number += 1;
    }
}

/// Sends as fast as flow control allows, and reads at the same time.
async fn stream(mut connection: Connection, work: Arc<Work>) {
    let sender = Arc::clone(&work);
    let mut sent = 0;
    let requests = futures_util::stream::poll_fn(move |_| {
        let ended = sender.limit.is_some_and(|limit| sent >= limit) || sender.stop.load(Ordering::Relaxed);
        let message = (!ended).then(|| sender.messages.get(usize::try_from(sent).unwrap_or_default()));
        sent += 1;
        std::task::Poll::Ready(message)
    });
    let mut answers = connection.stream(requests).await;
    while let Some(bytes) = answers.message().await.expect("the stream continues") {
        work.count(&bytes);
    }
}

/// Waits until every stream has its number of URLs, and samples the memory of the server.
async fn measure_count(workers: &mut JoinSet<()>, work: &Work, began: &Mark, server: Process) -> Value {
    let mut memory = vec![server.resident()];
    let finished = async {
        let mut tick = tokio::time::interval(SAMPLE);
        loop {
            tokio::select! {
                joined = workers.join_next() => match joined {
                    Some(worker) => worker.expect("no worker fails"),
                    None => break,
                },
                _ = tick.tick() => memory.push(server.resident()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, finished).await.expect("the streams end in time");
    let mut report = report(began, &Mark::now(work, server));
    report["resident_kib"] = json!({
        "first": memory[0],
        "last": memory[memory.len() - 1],
        "min": memory.iter().min(),
        "max": memory.iter().max(),
        // Samples after a tenth and after nine tenths of the stream, to show whether memory grows.
        "early": memory[memory.len() / 10],
        "late": memory[memory.len() - 1 - memory.len() / 10],
        "samples": memory.len(),
        "series": memory.iter().step_by(1 + memory.len() / 50).collect::<Vec<_>>(),
    });
    report
}

/// Counters at one time.
struct Mark {
    at: Instant,
    urls: u64,
    cpu: Cpu,
}

impl Mark {
    fn now(work: &Work, server: Process) -> Self {
        Self { at: Instant::now(), urls: work.urls.load(Ordering::Relaxed), cpu: server.cpu() }
    }
}

fn report(began: &Mark, ended: &Mark) -> Value {
    let seconds = ended.at.duration_since(began.at).as_secs_f64();
    let cpu = ended.cpu.since(began.cpu);
    let done = ended.urls - began.urls;
    assert!(done > 0, "no answer came in {seconds} s");
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let urls = done as f64;
    json!({
        "urls": done,
        "seconds": seconds,
        "urls_per_second": urls / seconds,
        "us_per_url": seconds * 1e6 / urls,
        "server_cpu_us_per_url": cpu * 1e6 / urls,
        "server_cpu_share": cpu / seconds,
        "server_kernel_us_per_url": ended.cpu.system_since(began.cpu) * 1e6 / urls,
    })
}
