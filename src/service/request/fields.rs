//! From the fields of an operation's message to headers and query parameters.

use std::borrow::Cow;

use prost_types::Timestamp;
use time::{UtcDateTime, format_description::StaticFormatDescription, macros::format_description};

use crate::{
    pb::Http,
    presign::{
        operation::{HttpMethod, Operation},
        parameters::{Headers, ParameterError, Query},
    },
    service::failure::Failure,
};

/// What a request asks to sign beside what is always signed.
#[derive(Default)]
pub(in crate::service) struct Parts<'a> {
    pub(in crate::service) headers: Headers<'a>,
    pub(in crate::service) query: Query<'a>,
    /// The operation that the caller named by its method; nothing for a typed one.
    pub(in crate::service) http: Option<Operation<'a>>,
}

/// What an operation's message asks to sign.
pub(super) trait Parameters {
    /// Adds every field that is set.
    fn add_to<'a>(&'a self, parts: &mut Parts<'a>) -> Result<(), ParameterError>;
}

/// A field in the form that S3 takes it; nothing when it is not set.
pub(super) trait Field {
    /// `name` is the parameter's name on the wire.
    fn text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError>;
}

impl Field for String {
    fn text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok((!self.is_empty()).then_some(Cow::Borrowed(self)))
    }
}

/// A list in one header, as RFC 9110 joins it; S3 takes no space behind the comma for granted, nor do the SDKs.
impl Field for Vec<String> {
    fn text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok((!self.is_empty()).then(|| Cow::Owned(self.join(","))))
    }
}

impl Field for Option<bool> {
    fn text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok(self.map(|flag| Cow::Borrowed(if flag { "true" } else { "false" })))
    }
}

impl Field for Option<i32> {
    fn text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        // Part numbers: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
        let (min, max) = if name == "partNumber" { (1, 10_000) } else { (0, i64::from(i32::MAX)) };
        number(self.map(i64::from), name, min, max)
    }
}

impl Field for Option<i64> {
    fn text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        number(*self, name, 0, i64::MAX)
    }
}

fn number(
    value: Option<i64>,
    name: &'static str,
    min: i64,
    max: i64,
) -> Result<Option<Cow<'static, str>>, ParameterError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => Err(ParameterError::Range { name, value, min, max }),
        value => Ok(value.map(|value| Cow::Owned(value.to_string()))),
    }
}

/// `IMF-fixdate` of [RFC 9110, section 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7).
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// ISO 8601, which S3 asks for in one header.
const ISO_8601: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

impl Field for Option<Timestamp> {
    fn text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        let Some(Timestamp { seconds, .. }) = *self else { return Ok(None) };
        let format = if name == "x-amz-object-lock-retain-until-date" { ISO_8601 } else { HTTP_DATE };
        let time = UtcDateTime::from_unix_timestamp(seconds)
            .ok()
            .filter(|time| (1..=9999).contains(&time.year()))
            .ok_or(ParameterError::Time(name))?;
        Ok(Some(Cow::Owned(time.format(&format).map_err(|_| ParameterError::Time(name))?)))
    }
}

/// A call by its method: here headers and query choose what the call does.
pub(super) fn add_http<'a>(http: &'a Http, parts: &mut Parts<'a>) -> Result<(), Failure> {
    let method = HttpMethod::try_from(http.method.as_str()).map_err(wrong_in("http.method"))?;
    parts.http = Some(Operation::http(method));
    for (name, value) in &http.headers {
        parts.headers.add(name, value).map_err(wrong_in("http.headers"))?;
    }
    for (name, value) in &http.query {
        parts.query.add(name, value).map_err(wrong_in("http.query"))?;
    }
    Ok(())
}

/// The failure for a parameter in this field of the request.
pub(super) fn wrong_in(field: &'static str) -> impl Fn(ParameterError) -> Failure {
    move |error| Failure::Parameter { field, error }
}

/// Declares `operation_of` and `add_parameters`, and implements [`Parameters`] for each message; see `operations.rs`.
macro_rules! operations {
    (
        $http_tag:literal Http => HTTP by_method;
        $($tag:literal $message:ident => $row:ident {
            headers { $($header:ident: $header_name:literal,)* }
            query { $($parameter:ident: $parameter_name:literal,)* }
            maps { $($map:ident: $prefix:literal,)* }
        })+
    ) => {
        use $crate::{
            pb::{self, presign_request::Operation as OperationMessage},
            presign::{operation::{self, Operation}, parameters::ParameterError},
            service::{
                failure::Failure,
                request::fields::{Field as _, Parameters, Parts, add_http, wrong_in},
            },
        };

        /// The core's row of an operation; of `http` all but its method.
        pub(in crate::service) fn operation_of(message: &OperationMessage) -> &'static Operation<'static> {
            match message {
                OperationMessage::Http(_) => &operation::HTTP,
                $(OperationMessage::$message(_) => &operation::$row),+
            }
        }

        /// Every block: the tag and the message of its field in the contract, and its row in the core.
        #[cfg(test)]
        const REGISTERED: &[(i32, &str, &Operation<'static>)] = &[
            ($http_tag, "Http", &operation::HTTP),
            $(($tag, stringify!($message), &operation::$row)),+
        ];

        /// Adds what is set in the operation's message to the headers and the query to sign.
        pub(in crate::service) fn add_parameters<'a>(
            message: &'a OperationMessage,
            parts: &mut Parts<'a>,
        ) -> Result<(), Failure> {
            let added = match message {
                OperationMessage::Http(http) => return add_http(http, parts),
                $(OperationMessage::$message(message) => message.add_to(parts)),+
            };
            added.map_err(wrong_in("operation"))
        }

        $(
            impl Parameters for pb::$message {
                fn add_to<'a>(&'a self, parts: &mut Parts<'a>) -> Result<(), ParameterError> {
                    // Each field of the message by its name, so that the compiler finds a missing one.
                    let Self { $($header,)* $($parameter,)* $($map,)* } = self;
                    $(
                        if let Some(text) = $header.text($header_name)? {
                            parts.headers.add($header_name, text)?;
                        }
                    )*
                    $(
                        if let Some(text) = $parameter.text($parameter_name)? {
                            parts.query.add($parameter_name, text)?;
                        }
                    )*
                    $(
                        for (name, value) in $map {
                            parts.headers.add(format!(concat!($prefix, "{}"), name), value.as_str())?;
                        }
                    )*
                    Ok(())
                }
            }
        )+
    };
}
pub(super) use operations;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_s3_takes_them() {
        let time = Some(Timestamp { seconds: 1_445_412_480, nanos: 999 });
        assert_eq!(time.text("if-modified-since").unwrap().unwrap(), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(
            time.text("x-amz-object-lock-retain-until-date").unwrap().unwrap(),
            "2015-10-21T07:28:00Z"
        );
        let far = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
        assert_eq!(far.text("if-modified-since"), Err(ParameterError::Time("if-modified-since")));
    }

    #[test]
    fn numbers_outside_what_s3_takes_are_refused() {
        assert_eq!(Some(0_i64).text("content-length").unwrap().unwrap(), "0");
        for part in [0, -1, 10_001] {
            assert!(matches!(Some(part).text("partNumber"), Err(ParameterError::Range { .. })), "{part}");
        }
        assert!(Some(-1_i64).text("content-length").is_err());
    }

    #[test]
    fn what_is_not_set_is_not_signed() {
        assert_eq!(String::new().text("x").unwrap(), None);
        assert_eq!(None::<bool>.text("x").unwrap(), None);
        assert_eq!(Vec::<String>::new().text("x").unwrap(), None);
        assert_eq!(Some(false).text("x").unwrap().unwrap(), "false");
    }
}
