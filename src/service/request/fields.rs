//! Converts the fields of an operation's message into headers and query parameters.

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

/// The headers and query parameters of a request, without those that are always signed.
#[derive(Default)]
pub(in crate::service) struct PartsToSign<'a> {
    pub(in crate::service) headers: Headers<'a>,
    pub(in crate::service) query: Query<'a>,
    /// The operation of `http`; `None` for a typed operation.
    pub(in crate::service) http: Option<Operation<'a>>,
}

/// The parameters of an operation's message.
pub(super) trait OperationParameters {
    /// Adds each field that is set as a header or query parameter.
    fn add_to<'a>(&'a self, parts: &mut PartsToSign<'a>) -> Result<(), ParameterError>;
}

/// A field of an operation's message, as the value of a header or query parameter.
pub(super) trait ParameterValue {
    /// The value in the format of S3; `None` if the field is not set. `name` is the name of the header or query parameter.
    fn to_text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError>;
}

impl ParameterValue for String {
    fn to_text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok((!self.is_empty()).then_some(Cow::Borrowed(self)))
    }
}

/// A list in one header: the values are joined by a comma without a space, as the AWS SDKs do it.
impl ParameterValue for Vec<String> {
    fn to_text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok((!self.is_empty()).then(|| Cow::Owned(self.join(","))))
    }
}

impl ParameterValue for Option<bool> {
    fn to_text(&self, _name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        Ok(self.map(|flag| Cow::Borrowed(if flag { "true" } else { "false" })))
    }
}

impl ParameterValue for Option<i32> {
    fn to_text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        // Part numbers: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
        let (min, max) = if name == "partNumber" { (1, 10_000) } else { (0, i64::from(i32::MAX)) };
        number_to_text(self.map(i64::from), name, min, max)
    }
}

impl ParameterValue for Option<i64> {
    fn to_text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        number_to_text(*self, name, 0, i64::MAX)
    }
}

fn number_to_text(
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

/// ISO 8601, the format of one header: `x-amz-object-lock-retain-until-date`.
const ISO_8601: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

impl ParameterValue for Option<Timestamp> {
    fn to_text(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ParameterError> {
        let Some(Timestamp { seconds, .. }) = *self else { return Ok(None) };
        let format = if name == "x-amz-object-lock-retain-until-date" { ISO_8601 } else { HTTP_DATE };
        let time = UtcDateTime::from_unix_timestamp(seconds)
            .ok()
            .filter(|time| (1..=9999).contains(&time.year()))
            .ok_or(ParameterError::Time(name))?;
        Ok(Some(Cow::Owned(time.format(&format).map_err(|_| ParameterError::Time(name))?)))
    }
}

/// Adds the method, headers and query of `http`. Here they may also choose the operation of S3.
pub(super) fn add_http<'a>(http: &'a Http, parts: &mut PartsToSign<'a>) -> Result<(), Failure> {
    let method = HttpMethod::try_from(http.method.as_str()).map_err(in_field("http.method"))?;
    parts.http = Some(Operation::http(method));
    for (name, value) in &http.headers {
        parts.headers.add(name, value).map_err(in_field("http.headers"))?;
    }
    for (name, value) in &http.query {
        parts.query.add(name, value).map_err(in_field("http.query"))?;
    }
    Ok(())
}

/// Converts the error of a parameter into the failure for this field of the request.
pub(super) fn in_field(field: &'static str) -> impl Fn(ParameterError) -> Failure {
    move |error| Failure::Parameter { field, error }
}

/// Declares `operation_of` and `add_parameters`, and implements [`OperationParameters`] for each message; see `operations.rs`.
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
                request::fields::{OperationParameters, ParameterValue as _, PartsToSign, add_http, in_field},
            },
        };

        /// The row of an operation in the core. The row of `http` does not have its method.
        pub(in crate::service) fn operation_of(message: &OperationMessage) -> &'static Operation<'static> {
            match message {
                OperationMessage::Http(_) => &operation::HTTP,
                $(OperationMessage::$message(_) => &operation::$row),+
            }
        }

        /// The tag, the message and the row in the core of each block.
        #[cfg(test)]
        const REGISTERED: &[(i32, &str, &Operation<'static>)] = &[
            ($http_tag, "Http", &operation::HTTP),
            $(($tag, stringify!($message), &operation::$row)),+
        ];

        /// Adds the fields that are set in the operation's message to the headers and the query to sign.
        pub(in crate::service) fn add_parameters<'a>(
            message: &'a OperationMessage,
            parts: &mut PartsToSign<'a>,
        ) -> Result<(), Failure> {
            let added = match message {
                OperationMessage::Http(http) => return add_http(http, parts),
                $(OperationMessage::$message(message) => message.add_to(parts)),+
            };
            added.map_err(in_field("operation"))
        }

        $(
            impl OperationParameters for pb::$message {
                fn add_to<'a>(&'a self, parts: &mut PartsToSign<'a>) -> Result<(), ParameterError> {
                    // Names every field of the message, so that a missing one is a compile error.
                    let Self { $($header,)* $($parameter,)* $($map,)* } = self;
                    $(
                        if let Some(text) = $header.to_text($header_name)? {
                            parts.headers.add($header_name, text)?;
                        }
                    )*
                    $(
                        if let Some(text) = $parameter.to_text($parameter_name)? {
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
    fn times_have_the_format_of_s3() {
        let time = Some(Timestamp { seconds: 1_445_412_480, nanos: 999 });
        assert_eq!(time.to_text("if-modified-since").unwrap().unwrap(), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(
            time.to_text("x-amz-object-lock-retain-until-date").unwrap().unwrap(),
            "2015-10-21T07:28:00Z"
        );
        let far = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
        assert_eq!(far.to_text("if-modified-since"), Err(ParameterError::Time("if-modified-since")));
    }

    #[test]
    fn numbers_out_of_range_are_rejected() {
        assert_eq!(Some(0_i64).to_text("content-length").unwrap().unwrap(), "0");
        for part in [0, -1, 10_001] {
            assert!(matches!(Some(part).to_text("partNumber"), Err(ParameterError::Range { .. })), "{part}");
        }
        assert!(Some(-1_i64).to_text("content-length").is_err());
    }

    #[test]
    fn fields_that_are_not_set_are_not_signed() {
        assert_eq!(String::new().to_text("x").unwrap(), None);
        assert_eq!(None::<bool>.to_text("x").unwrap(), None);
        assert_eq!(Vec::<String>::new().to_text("x").unwrap(), None);
        assert_eq!(Some(false).to_text("x").unwrap().unwrap(), "false");
    }
}
