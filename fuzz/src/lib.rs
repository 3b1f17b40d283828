//! Functions that the fuzz targets share: they parse inputs, build signers, and split URLs with code that is independent
//! of presignd's.
//!
//! Inputs are text, so that seeds and findings are readable: first lines in a fixed format, then the part that may contain
//! any characters.

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

/// The settings of a signer, without those for credentials.
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

/// Part of every secret value: no error and no explanation may contain it.
pub const CANARY: &str = "canary7f3a9c";

/// All characters except the unreserved ones of RFC 3986, for the independent encoder.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for paths.
pub const PATH: &AsciiSet = &QUERY.remove(b'/');

/// The suffixes of AWS hosts, in every partition.
const SUFFIXES: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// Splits an input into its first `N` lines and the rest. `None` if it has fewer lines.
pub fn split_lines<const N: usize>(input: &str) -> Option<([&str; N], &str)> {
    let mut pieces = input.splitn(N + 1, '\n');
    let mut lines = [""; N];
    for line in &mut lines {
        *line = pieces.next()?;
    }
    Some((lines, pieces.next()?))
}

/// Splits an input into its `NAME=VALUE` lines and the rest after the empty line that ends them. `None` if it has another
/// form.
pub fn split_pairs(input: &str) -> Option<(Vec<(&str, &str)>, &str)> {
    let (head, rest) =
        if let Some(rest) = input.strip_prefix('\n') { ("", rest) } else { input.split_once("\n\n")? };
    let pairs: Option<Vec<_>> = head.lines().map(|line| line.split_once('=')).collect();
    Some((pairs?, rest))
}

/// The rules of a signer with these settings, parsed as in production; `None` if the settings are rejected.
pub fn rules(settings: &[(&str, &str)]) -> Option<SigningRules> {
    let variable = |name: &str| format!("PRESIGND_SIGNERS_DEFAULT_{}", name.to_uppercase());
    let variables: Vec<_> =
        settings.iter().map(|(name, value)| (variable(name), (*value).to_owned())).collect();
    let mut layers = Layers::defaults();
    layers.apply_environment(&variables).ok()?;
    let mut config = Config::from_layers(&layers).ok()?;
    Some(config.signers.remove(0).rules)
}

/// A snapshot with these rules and with credentials whose secret key and token contain [`CANARY`].
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

/// A URL, split at its first `://`, `/` and `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// From the first slash after the authority.
    pub path: &'a str,
    /// Without the question mark.
    pub query: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits a URL; missing parts are empty.
    pub fn of(url: &'a str) -> Self {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self { scheme, authority, path, query }
    }
}

/// Percent-decodes a text with the independent decoder.
pub fn decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// Asserts that a message is safe to show to a caller and to log: it is not empty, has no secret and no control character.
///
/// # Panics
/// If it is not safe.
pub fn assert_safe_to_show(message: &str) {
    assert!(!message.contains(CANARY), "the message contains a secret: {message}");
    assert!(!message.contains(char::is_control), "the message has a control character: {message:?}");
    assert!(!message.is_empty());
}

/// Asserts that a host is an AWS host, with any subdomain.
///
/// # Panics
/// If it is another host.
pub fn assert_aws_host(authority: &str) {
    assert!(
        authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)),
        "{authority}"
    );
    assert!(authority.split('.').all(|label| (1..=63).contains(&label.len())), "{authority}");
    let is_below = |domain: &str| authority.strip_suffix(domain).is_some_and(|front| front.ends_with('.'));
    assert!(SUFFIXES.iter().any(|suffix| is_below(suffix)), "{authority}");
}
