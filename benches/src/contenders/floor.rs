//! The work that every signer must do: the SHA-256 of the canonical request and one HMAC-SHA256. Nothing is formatted.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Contender;
use crate::work;

/// The number of requests: few enough to stay in the nearest caches of the processor, like the data of a signer.
const REQUESTS: u64 = 16;

/// The bytes that are hashed for real requests, and the signing key.
pub(crate) struct Floor {
    requests: Vec<(String, String)>,
    key: Hmac<Sha256>,
    next: usize,
}

impl Floor {
    /// Takes the bytes from URLs, and verifies that they give the signatures of these URLs.
    pub(crate) fn new(mut url: impl FnMut(&str) -> String) -> Self {
        let urls: Vec<String> = (0..REQUESTS).map(|number| url(&work::key(number))).collect();
        let key = signing_key(parameter(&urls[0], "X-Amz-Credential"));
        let requests: Vec<_> = urls.iter().map(|url| hashed_bytes(url)).collect();
        for ((canonical, to_sign), url) in requests.iter().zip(&urls) {
            assert!(to_sign.ends_with(&hex(&Sha256::digest(canonical))));
            let signature = key.clone().chain_update(to_sign).finalize().into_bytes();
            assert_eq!(hex(&signature), parameter(url, "X-Amz-Signature"));
        }
        Self { requests, key, next: 0 }
    }
}

impl Contender for Floor {
    fn sign(&mut self, _key: &str) -> usize {
        let (canonical, to_sign) = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        let hash = Sha256::digest(std::hint::black_box(canonical));
        let mut mac = self.key.clone();
        mac.update(std::hint::black_box(to_sign).as_bytes());
        let signature = mac.finalize().into_bytes();
        usize::from(hash[0]) + usize::from(signature[0])
    }

    fn url(&mut self, _key: &str) -> Option<String> {
        None
    }
}

/// The canonical request and the string to sign of a URL that signs nothing but its host.
fn hashed_bytes(url: &str) -> (String, String) {
    let rest = url.strip_prefix("https://").expect("https");
    let (host, rest) = rest.split_at(rest.find('/').expect("a path"));
    let (path, query) = rest.split_once('?').expect("a query");
    let (query, _) = query.split_once("&X-Amz-Signature=").expect("the signature is last");
    let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let (_, scope) = parameter(url, "X-Amz-Credential").split_once("%2F").expect("a scope");
    let (date, scope) = (parameter(url, "X-Amz-Date"), scope.replace("%2F", "/"));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    (canonical, to_sign)
}

/// The state of the signing key for the scope in `KEY%2FDATE%2FREGION%2FSERVICE%2Faws4_request`.
fn signing_key(credential: &str) -> Hmac<Sha256> {
    let mut key = format!("AWS4{}", work::SECRET_KEY).into_bytes();
    for part in credential.split("%2F").skip(1) {
        key = keyed(&key).chain_update(part).finalize().into_bytes().to_vec();
    }
    keyed(&key)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let pair = |pair: &'a str| pair.strip_prefix(name)?.strip_prefix('=');
    url.split(['?', '&']).find_map(pair).expect("the parameter is there")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String cannot fail");
        out
    })
}
