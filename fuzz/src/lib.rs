//! What the fuzz targets share: how their inputs are read, and how a URL is made and taken apart by other code than
//! presignd's.
//!
//! Inputs are text, so that seeds and findings can be read: lines first, and what may hold anything behind them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use presignd::{
    config::{Config, layers::Layers},
    presign::{
        credentials::{Credentials, Secret},
        snapshot::{SigningRules, Snapshot},
    },
};

/// The settings of a signer, without those that belong to credentials.
pub const SETTINGS: [&str; 10] = [
    "region",
    "endpoint",
    "public_endpoint",
    "path_style",
    "fips",
    "dual_stack",
    "accelerate",
    "use_arn_region",
    "disable_session_auth",
    "sigv4a",
];

/// Stands in everything that no error and no explanation may repeat.
pub const CANARY: &str = "canary7f3a9c";

/// Everything but the unreserved characters of RFC 3986, for an encoder that is not presignd's.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for paths.
pub const PATH: &AsciiSet = &QUERY.remove(b'/');

/// The ends of AWS's hosts, in every partition.
const SUFFIXES: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// The first lines of an input, each up to its line feed, and everything behind them.
pub fn lines<const N: usize>(input: &str) -> Option<([&str; N], &str)> {
    let mut pieces = input.splitn(N + 1, '\n');
    let mut lines = [""; N];
    for line in &mut lines {
        *line = pieces.next()?;
    }
    Some((lines, pieces.next()?))
}

/// `NAME=VALUE` lines, and everything behind the empty line that ends them.
pub fn pairs(input: &str) -> Option<(Vec<(&str, &str)>, &str)> {
    let (head, rest) =
        if let Some(rest) = input.strip_prefix('\n') { ("", rest) } else { input.split_once("\n\n")? };
    let pairs: Option<Vec<_>> = head.lines().map(|line| line.split_once('=')).collect();
    Some((pairs?, rest))
}

/// What an operator's settings for a signer make of endpoint and expiry; nothing where they are refused.
pub fn rules(settings: &[(&str, &str)]) -> Option<SigningRules> {
    let variable = |name: &str| format!("PRESIGND_SIGNERS_DEFAULT_{}", name.to_uppercase());
    let variables: Vec<_> =
        settings.iter().map(|(name, value)| (variable(name), (*value).to_owned())).collect();
    let mut layers = Layers::defaults();
    layers.environment(&variables).ok()?;
    let mut config = Config::from_layers(&layers).ok()?;
    Some(config.signers.remove(0).rules)
}

/// Credentials under these rules. Key and token hold [`CANARY`].
pub fn snapshot(rules: SigningRules, with_token: bool) -> Arc<Snapshot> {
    let secret = |what: &str| Secret::from(format!("{CANARY}/{what}"));
    let token = with_token.then(|| secret("token+="));
    Arc::new(Snapshot::new(
        Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret("key"), token, None),
        rules,
    ))
}

/// The time of the worked example in AWS's documentation: 2013-05-24T00:00:00Z.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 15_849)
}

/// A URL taken apart at its first `://`, `/` and `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// From the first slash behind the authority.
    pub path: &'a str,
    /// Without the question mark.
    pub query: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts; what is missing is empty.
    pub fn of(url: &'a str) -> Self {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self { scheme, authority, path, query }
    }
}

/// The bytes that an escaped text stands for, by a decoder that is not presignd's.
pub fn decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// A message for a caller: it repeats no secret, and nothing in it moves a cursor or begins a line of a log.
///
/// # Panics
/// When it does.
pub fn assert_can_be_shown(message: &str) {
    assert!(!message.contains(CANARY), "it repeats a secret: {message}");
    assert!(!message.contains(char::is_control), "it has a control character: {message:?}");
    assert!(!message.is_empty());
}

/// A host that is AWS's own, whatever stands in front.
///
/// # Panics
/// When it is another's.
pub fn assert_at_aws(authority: &str) {
    assert!(
        authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)),
        "{authority}"
    );
    assert!(authority.split('.').all(|label| (1..=63).contains(&label.len())), "{authority}");
    let behind = |suffix: &str| authority.strip_suffix(suffix).is_some_and(|front| front.ends_with('.'));
    assert!(SUFFIXES.iter().any(|suffix| behind(suffix)), "{authority}");
}
