//! One load generator for both servers, so that the client costs the same: messages are encoded beforehand, and answers
//! are counted and their length is checked; the first is decoded and checked whole.

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
    /// What is called
    #[arg(long)]
    target: Target,
    /// How it is called
    #[arg(long)]
    mode: Mode,
    /// Its socket
    #[arg(long, conflicts_with = "tcp", required_unless_present = "tcp")]
    unix: Option<PathBuf>,
    /// Its loopback address
    #[arg(long)]
    tcp: Option<SocketAddr>,
    /// Bucket to sign for
    #[arg(long, default_value = crate::work::BUCKET)]
    bucket: String,
    /// Items in one message of a batch or a stream
    #[arg(long, default_value_t = 1_000)]
    items: u64,
    /// Connections
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Calls at once on each connection
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Seconds to measure, after a part of them again as a warm-up
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Streams only: sign as many URLs as this on each stream, and measure all of it
    #[arg(long)]
    count: Option<u64>,
    /// Not for presignd: bytes of each item of an answer (echo), or of its URL (bare)
    #[arg(long, default_value_t = 0)]
    answer_bytes: usize,
    /// Process of the server, to read its memory and its CPU time
    #[arg(long)]
    server_pid: u32,
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// presignd
    Presignd,
    /// The bare server, with presignd's messages
    Bare,
    /// The bare server, with texts as long as presignd's messages
    Echo,
}

/// How it is called.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One call after the other on one connection
    Unary,
    /// Batches back to back
    Batch,
    /// Streams of batches
    Stream,
}

/// Calls the server, within the bounds that were given, and reports.
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
