//! The signers that are compared. Each is set up once, as its documentation says, and then asked for one URL at a time.

pub(crate) mod aws_sdk;
pub(crate) mod floor;
pub(crate) mod object_store;
pub(crate) mod rusty_s3;
pub(crate) mod sigv4;

use futures_util::FutureExt;

/// A signer of GET requests for 15 minutes.
pub(crate) trait Contender {
    /// Makes the URL for a key; its length.
    fn sign(&mut self, key: &str) -> usize;

    /// The URL for a key, from a signer that makes one.
    fn url(&mut self, key: &str) -> Option<String>;
}

/// The result of a future that has no reason to wait: without the cost of a runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("signing waits for nothing")
}
