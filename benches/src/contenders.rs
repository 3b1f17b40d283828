//! The signers that are compared. Each is set up once, as its documentation recommends, and then signs one URL at a time.

pub(crate) mod aws_sdk;
pub(crate) mod floor;
pub(crate) mod object_store;
pub(crate) mod rusty_s3;
pub(crate) mod sigv4;

use futures_util::FutureExt;

/// A signer of GET requests for 15 minutes.
pub(crate) trait Contender {
    /// Signs the URL for a key and returns its length.
    fn sign(&mut self, key: &str) -> usize;

    /// The URL for a key; `None` if this contender makes no URLs.
    fn url(&mut self, key: &str) -> Option<String>;
}

/// Returns the result of a future that is ready at the first poll, without the cost of a runtime.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("signing is ready at the first poll")
}
