//! Parses the text of a setting to its type. Errors have the origin and the expected form.

use std::{borrow::Cow, fmt, net::SocketAddr, str::FromStr, time::Duration};

use super::{
    ConfigError,
    layers::{Layers, SettingValue},
};
use crate::presign::{
    endpoint::mask_user,
    expiry::{SERVICE_MAXIMUM, Seconds},
};

/// Parses a setting that has a default.
pub(super) fn parse<T: FromStr<Err: fmt::Display>>(layers: &Layers, name: &str) -> Result<T, ConfigError> {
    require(name, parse_if_set(layers, name)?)
}

/// Parses a setting that may be `off`, for which it returns `None`.
pub(super) fn parse_or_off<T: FromStr<Err: fmt::Display>>(
    layers: &Layers,
    name: &str,
) -> Result<Option<T>, ConfigError> {
    match layers.get(name) {
        Some(value) if value.text == "off" => Ok(None),
        _ => parse_if_set(layers, name),
    }
}

/// Parses a setting; returns `None` if it is unset.
pub(super) fn parse_if_set<T: FromStr<Err: fmt::Display>>(
    layers: &Layers,
    name: &str,
) -> Result<Option<T>, ConfigError> {
    parse_with(layers, name, |text| text.parse().map_err(|expected: T::Err| expected.to_string()))
}

/// Parses a number from `min` to `max`, both included.
pub(super) fn parse_bounded(
    layers: &Layers,
    name: &str,
    min: usize,
    max: usize,
) -> Result<usize, ConfigError> {
    let number = |text: &str| {
        let in_bounds = text.parse().ok().filter(|number| (min..=max).contains(number));
        in_bounds.ok_or_else(|| format!("a number from {min} to {max}"))
    };
    require(name, parse_with(layers, name, number)?)
}

/// Applies `parse` to the text of a setting. Its error is the expected form, such as "a number from 1 to 9".
fn parse_with<T>(
    layers: &Layers,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let Some(SettingValue { text, origin }) = layers.get(name) else { return Ok(None) };
    parse(text).map(Some).map_err(|expected| ConfigError::Value {
        name: name.to_owned(),
        text: redact_user(name, text).into_owned(),
        origin: origin.clone(),
        expected,
    })
}

/// Removes user and password from an endpoint, because the message goes to the log.
fn redact_user<'t>(name: &str, text: &'t str) -> Cow<'t, str> {
    if name.ends_with("endpoint") { mask_user(text) } else { Cow::Borrowed(text) }
}

fn require<T>(name: &str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::Unset(name.to_owned()))
}

// The types of values. The error of each is its expected form.

pub(super) struct Boolean(pub(super) bool);
pub(super) struct OctalMode(pub(super) u32);
pub(super) struct HumanDuration(pub(super) Duration);
pub(super) struct ExpiryDuration(pub(super) Seconds);
pub(super) struct AdminAddress(pub(super) SocketAddr);

impl FromStr for Boolean {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "true or false")
    }
}

impl FromStr for OctalMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or("an octal mode in quotes, such as \"0660\"")
    }
}

impl FromStr for HumanDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self).map_err(|_| "a duration such as 10s, 15m or 1h 30m")
    }
}

impl FromStr for ExpiryDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "a duration from 1s to 7d, such as 15m";
        let duration = humantime::parse_duration(text).map_err(|_| expected)?;
        Seconds::rounded_down(duration).filter(|it| *it <= SERVICE_MAXIMUM).map(Self).ok_or(expected)
    }
}

impl FromStr for AdminAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "an address such as 127.0.0.1:4781, or off")
    }
}
