//! Times in the formats of AWS.

use std::time::{Duration, SystemTime};

use time::UtcDateTime;

/// A time in the format of `X-Amz-Date`: `20130524T000000Z`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AmzDate(String);

impl AmzDate {
    pub(super) fn of(time: SystemTime) -> Self {
        let t = UtcDateTime::from(time);
        let mut out = String::with_capacity(16);
        for pair in [t.year() / 100, t.year() % 100, i32::from(u8::from(t.month())), t.day().into()] {
            push_two_digits(pair, &mut out);
        }
        out.push('T');
        for pair in [t.hour(), t.minute(), t.second()] {
            push_two_digits(pair.into(), &mut out);
        }
        out.push('Z');
        Self(out)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The date without the time: `20130524`.
    pub(super) fn day(&self) -> &str {
        self.0.split_once('T').map_or(&self.0, |(day, _)| day)
    }
}

/// Formats a time in ISO 8601, in whole seconds: `2013-05-24T00:00:00Z`.
pub(super) fn format_iso8601(time: SystemTime) -> String {
    let mut out = String::with_capacity(20);
    for (index, character) in AmzDate::of(time).0.char_indices() {
        out.extend(match index {
            4 | 6 => Some('-'),
            11 | 13 => Some(':'),
            _ => None,
        });
        out.push(character);
    }
    out
}

fn push_two_digits(number: i32, out: &mut String) {
    let digit = |digit: i32| char::from_digit(digit.rem_euclid(10).unsigned_abs(), 10).unwrap_or('0');
    out.extend([digit(number / 10), digit(number)]);
}

/// Rounds a time down to whole seconds.
pub(super) fn round_down_to_second(time: SystemTime) -> SystemTime {
    let fraction = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    time - Duration::from_nanos(fraction.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amz_date_pads_every_part_to_two_digits() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_369_353_599, "20130523T235959Z"),
            (253_402_300_799, "99991231T235959Z"),
        ] {
            let date = AmzDate::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((date.as_str(), date.day()), (text, &text[..8]));
        }
    }

    #[test]
    fn iso8601_time_has_separators() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_599);
        assert_eq!(format_iso8601(time), "2013-05-23T23:59:59Z");
    }
}
