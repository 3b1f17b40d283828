//! One load generator for both servers, so that the client costs the same for both. Requests are encoded in advance.
//! Responses are counted and their length is checked; only the first one is decoded and checked completely.

mod client;
mod messages;
mod process;
mod throughput;
mod unary;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::{client::Client, messages::Messages, process::Process};

/// Options of the `load` command.
#[derive(Args)]
pub(crate) struct Options {
    /// Service to call
    #[arg(long)]
    target: Target,
    /// Kind of calls
    #[arg(long)]
    mode: Mode,
    /// Unix socket of the server
    #[arg(long, conflicts_with = "tcp", required_unless_present = "tcp")]
    unix: Option<PathBuf>,
    /// Loopback address of the server
    #[arg(long)]
    tcp: Option<SocketAddr>,
    /// Bucket to sign for
    #[arg(long, default_value = crate::work::BUCKET)]
    bucket: String,
    /// Items per message of a batch or a stream
    #[arg(long, default_value_t = 1_000)]
    items: u64,
    /// Connections
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Concurrent calls per connection
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Seconds to measure; a warm-up for a fraction of this time comes first
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Streams only: number of URLs per stream; the whole stream is measured
    #[arg(long)]
    count: Option<u64>,
    /// Only for the bare server: bytes per item of a response (echo), or per URL (bare)
    #[arg(long, default_value_t = 0)]
    answer_bytes: usize,
    /// Process ID of the server, to read its memory and CPU time
    #[arg(long)]
    server_pid: u32,
}

/// The service to call.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// presignd
    Presignd,
    /// The bare server, with presignd's messages
    Bare,
    /// The bare server, with strings of the same size as presignd's messages
    Echo,
}

/// The kind of calls.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Sequential calls on one connection
    Unary,
    /// Sequential batches
    Batch,
    /// Streams of batches
    Stream,
}

/// Calls the server as the options say, and returns the report.
pub(crate) fn run(options: Options) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(load(options))
}

async fn load(options: Options) -> Value {
    let client = Client::to(&options);
    let messages = Messages::of(&options);
    let request_bytes = messages.get(0).len();
    let server = Process(options.server_pid);
    let answer = client.first_answer(&messages).await;
    let measured = match options.mode {
        Mode::Unary => unary::measure(&client, &messages, &answer, &options, server).await,
        Mode::Batch | Mode::Stream => throughput::measure(client, messages, &answer, &options, server).await,
    };
    json!({
        "request_bytes": request_bytes,
        "answer_bytes": answer.message_bytes,
        "answer_item_bytes": answer.item_bytes,
        "url_bytes": answer.url_bytes,
        "measured": measured,
    })
}
