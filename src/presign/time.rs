//! Times as AWS and HTTP write them.

use std::time::{Duration, SystemTime};

use time::UtcDateTime;

/// A time in the form of `X-Amz-Date`: `20130524T000000Z`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AmzDate(String);

impl AmzDate {
    pub(super) fn of(time: SystemTime) -> Self {
        let t = UtcDateTime::from(time);
        Self(format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The day alone: `20130524`.
    pub(super) fn day(&self) -> &str {
        self.0.split_once('T').map_or(&self.0, |(day, _)| day)
    }
}

/// The time without its fraction of a second.
pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let fraction = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    time - Duration::from_nanos(fraction.into())
}
