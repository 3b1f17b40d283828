//! The log on stderr, and the filter that keeps secrets out of it. The only module that uses tracing-subscriber.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Starts to log on stderr, at the level of `RUST_LOG` (default: `info`).
///
/// Independently of `RUST_LOG`, the AWS crates log nothing (aws-sigv4 logs session tokens at TRACE, and the credential
/// providers log whole responses), and other crates only warnings and errors (h2 and hyper log header values).
pub fn start(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(Level::INFO.into()).from_env_lossy();
    let registry = tracing_subscriber::registry().with(filter);
    let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            registry.with(output.with_ansi(false).with_filter(filter_fn(may_be_logged))).try_init()
        }
        LogFormat::Json => registry.with(output.json().with_filter(filter_fn(may_be_logged))).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was already set up");
    }
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let is_own = target == "presignd" || target.starts_with("presignd::");
    is_own || (*metadata.level() <= Level::WARN && !target.starts_with("aws"))
}
