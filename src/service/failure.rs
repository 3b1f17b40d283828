//! Every error that the service returns, and its gRPC code, `ErrorInfo.reason` and details.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    credentials::sessions::SessionError,
    explain::UsedRequestError,
    presign::{
        endpoint::EndpointError,
        error::Error as CoreError,
        expiry::Expired,
        name::KeyError,
        parameters::ParameterError,
        post::{PostError, SizeBound},
        target::TargetError,
    },
};

/// `ErrorInfo.domain` of every error.
const DOMAIN: &str = "presign.v1";

/// `RetryInfo.retry_delay` of temporary errors.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call or an item of a batch fails.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(in crate::service) enum Failure {
    #[error(transparent)]
    Core(#[from] CoreError),
    #[error("{error}")]
    Parameter { field: &'static str, error: ParameterError },
    #[error("{error}")]
    Post { field: &'static str, error: PostError },
    #[error("{field} {problem}: generate the client from the contract, proto/presign/v1/presign.proto")]
    Malformed { field: &'static str, problem: &'static str },
    #[error(transparent)]
    Explain(#[from] UsedRequestError),
    #[error("operation is not set: set one, such as get_object or put_object")]
    NoOperation,
    #[error("{field} {problem}")]
    Duration { field: &'static str, problem: &'static str },
    #[error("signer {name:?} is not configured on this server: use one of: {known}")]
    UnknownSigner { name: String, known: String },
    #[error(
        "signer {signer} has no credentials yet: retry shortly; if this persists, see the provider's error in presignd's log"
    )]
    NoCredentials { signer: String },
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("{field} is empty: send 1 to {limit} requests")]
    EmptyBatch { limit: usize, field: &'static str },
    #[error(
        "{field} has {items} requests, but at most {limit} are allowed (limits.batch_items): \
         split the batch or use StreamPresign"
    )]
    BatchTooLarge { items: usize, limit: usize, field: &'static str },
    #[error("batch is not set: set batch.requests in each message of the stream")]
    NoBatch,
    #[error(
        "the response would exceed {limit} bytes, the default receive limit of gRPC clients: \
         only the first {fits} of the {items} requests fit; send fewer at once or use StreamPresign"
    )]
    AnswerTooLarge { fits: usize, items: usize, limit: usize },
    #[error(
        "the response to this request alone would exceed {limit} bytes, the default receive limit of gRPC clients: \
         sign fewer or shorter headers and query parameters"
    )]
    ResultTooLarge { limit: usize },
    #[error("{field}[{index}] failed, and all_or_nothing fails the whole batch: {failure}")]
    Item { field: &'static str, index: usize, failure: Box<Failure> },
    #[error("the request message exceeds {limit} bytes (limits.message_bytes): send fewer requests at once")]
    MessageTooLarge { limit: usize },
    #[error("too many calls are in progress (limits.requests): retry shortly")]
    Overloaded,
    #[error("the deadline passed before the response was ready: set a longer deadline")]
    DeadlineExceeded,
}

/// The parts of an error response that depend on the kind of failure alone.
struct WireError {
    code: Code,
    reason: &'static str,
    field: Option<&'static str>,
    retry: Option<Duration>,
}

impl<E> From<E> for Failure
where
    CoreError: From<E>,
    E: CoreErrorPart,
{
    fn from(error: E) -> Self {
        Self::Core(CoreError::from(error))
    }
}

/// An error type that the core's error wraps. It converts into a [`Failure`] through the core's error.
pub(in crate::service) trait CoreErrorPart {}
impl CoreErrorPart for TargetError {}
impl CoreErrorPart for KeyError {}
impl CoreErrorPart for PostError {}

impl Failure {
    /// The failure of a request in which this map has too many entries.
    pub(in crate::service) fn too_many_parameters(field: &'static str) -> Self {
        Self::Parameter { field, error: ParameterError::TooMany }
    }

    pub(in crate::service) fn code(&self) -> Code {
        self.to_wire_error().code
    }

    /// Maps each failure to its code, its reason, the wrong field of the request, and the delay before a retry.
    fn to_wire_error(&self) -> WireError {
        let invalid = |reason, field| WireError {
            code: Code::InvalidArgument,
            reason,
            field: Some(field),
            retry: None,
        };
        let plain = |code, reason| WireError { code, reason, field: None, retry: None };
        let temporary = |code, reason| WireError { code, reason, field: None, retry: Some(RETRY_DELAY) };
        match self {
            Self::Core(core) => core_to_wire_error(core),
            Self::Parameter { field, error } => invalid(parameter_reason(error), field),
            Self::Post { field, error } => post_to_wire_error(field, error),
            Self::Malformed { field, .. } => invalid("MESSAGE_MALFORMED", field),
            Self::Explain(error) => invalid("EXPLAIN_INVALID", error.field()),
            Self::NoOperation => invalid("OPERATION_MISSING", "operation"),
            Self::Duration { field, .. } => invalid("DURATION_INVALID", field),
            Self::UnknownSigner { .. } => plain(Code::NotFound, "SIGNER_UNKNOWN"),
            Self::NoCredentials { .. } => temporary(Code::Unavailable, "CREDENTIALS_MISSING"),
            Self::Session(SessionError::Refused { .. }) => plain(Code::FailedPrecondition, "SESSION_REFUSED"),
            Self::Session(SessionError::Unavailable { .. }) => {
                temporary(Code::Unavailable, "SESSION_UNAVAILABLE")
            }
            Self::EmptyBatch { field, .. } => invalid("BATCH_EMPTY", field),
            Self::BatchTooLarge { field, .. } => invalid("BATCH_TOO_LARGE", field),
            Self::NoBatch => invalid("BATCH_MISSING", "batch"),
            Self::AnswerTooLarge { .. } => plain(Code::ResourceExhausted, "ANSWER_TOO_LARGE"),
            Self::ResultTooLarge { .. } => plain(Code::ResourceExhausted, "RESULT_TOO_LARGE"),
            Self::Item { failure, .. } => failure.to_wire_error(),
            Self::MessageTooLarge { .. } => plain(Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            Self::Overloaded => temporary(Code::ResourceExhausted, "OVERLOADED"),
            Self::DeadlineExceeded => plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        }
    }

    /// `ErrorInfo.metadata`.
    fn metadata(&self) -> HashMap<String, String> {
        let pairs: Vec<(&str, String)> = match self {
            Self::UnknownSigner { name, .. } => vec![("signer", name.clone())],
            Self::NoCredentials { signer } => vec![("signer", signer.clone())],
            Self::MessageTooLarge { limit } | Self::ResultTooLarge { limit } => {
                vec![("limit_bytes", limit.to_string())]
            }
            Self::EmptyBatch { limit, .. } => vec![("limit", limit.to_string())],
            Self::BatchTooLarge { items, limit, .. } => {
                vec![("items", items.to_string()), ("limit", limit.to_string())]
            }
            Self::AnswerTooLarge { fits, items, limit } => {
                vec![
                    ("fits", fits.to_string()),
                    ("items", items.to_string()),
                    ("limit_bytes", limit.to_string()),
                ]
            }
            Self::Core(CoreError::TooShort { grant, minimum }) => vec![
                ("grantable_seconds", grant.granted.get().to_string()),
                ("min_expires_in_seconds", minimum.get().to_string()),
                ("clamp_reason", grant.reason.as_str().to_uppercase()),
            ],
            Self::Core(CoreError::WindowTooLong { window, lifetime }) => vec![
                ("reuse_window_seconds", window.get().to_string()),
                ("grantable_seconds", lifetime.granted.get().to_string()),
                ("clamp_reason", lifetime.reason.as_str().to_uppercase()),
            ],
            Self::Item { index, failure, .. } => {
                let mut metadata = failure.metadata();
                metadata.insert("index".to_owned(), index.to_string());
                return metadata;
            }
            _ => Vec::new(),
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The status of a call that failed.
    pub(in crate::service) fn to_status(&self) -> Status {
        let WireError { code, reason, field, retry } = self.to_wire_error();
        let message = self.to_string();
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, self.metadata());
        if let Some(field) = field {
            details.add_bad_request_violation(self.field_path(field), message.clone());
        }
        if retry.is_some() {
            details.set_retry_info(retry);
        }
        Status::with_error_details(code, message, details)
    }

    /// The path of this field in the request of the call.
    fn field_path(&self, field: &str) -> String {
        match self {
            Self::Item { field: list, index, failure } => {
                format!("{list}[{index}].{}", failure.field_path(field))
            }
            _ => field.to_owned(),
        }
    }

    /// The status of an item of a batch that failed.
    pub(in crate::service) fn to_item_status(&self) -> tonic_types::Status {
        let status = self.to_status();
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

fn parameter_reason(error: &ParameterError) -> &'static str {
    match error {
        ParameterError::Missing { .. } => "PARAMETER_MISSING",
        ParameterError::QueryName | ParameterError::ForbiddenQuery(_) | ParameterError::QueryTwice(_) => {
            "QUERY_INVALID"
        }
        ParameterError::HeaderName(_)
        | ParameterError::HeaderValue(_)
        | ParameterError::ForbiddenHeader { .. }
        | ParameterError::HeaderTwice(_) => "HEADER_INVALID",
        ParameterError::Method(_) => "METHOD_INVALID",
        ParameterError::Range { .. }
        | ParameterError::Time(_)
        | ParameterError::ChangesOperation(_)
        | ParameterError::ChangesHttpOperation { .. }
        | ParameterError::TooMany
        | ParameterError::TooLong(_) => "PARAMETER_INVALID",
    }
}

fn core_to_wire_error(core: &CoreError) -> WireError {
    let invalid =
        |reason, field| WireError { code: Code::InvalidArgument, reason, field: Some(field), retry: None };
    let plain = |code, reason| WireError { code, reason, field: None, retry: None };
    let temporary =
        |reason| WireError { code: Code::Unavailable, reason, field: None, retry: Some(RETRY_DELAY) };
    match core {
        CoreError::Target(TargetError::Arn(_)) => invalid("ARN_INVALID", "bucket"),
        CoreError::Target(
            TargetError::Name(_) | TargetError::MultiRegionAlias(_) | TargetError::Directory(_),
        ) => invalid("BUCKET_INVALID", "bucket"),
        CoreError::Key(_) => invalid("KEY_INVALID", "key"),
        CoreError::Parameter(error) => invalid(parameter_reason(error), "operation"),
        CoreError::Post(error) => post_to_wire_error("fields", error),
        CoreError::Endpoint(EndpointError::NoRegion) => plain(Code::FailedPrecondition, "REGION_UNKNOWN"),
        CoreError::Endpoint(_) => invalid("TARGET_REFUSED", "bucket"),
        CoreError::TooShort { .. } => plain(Code::FailedPrecondition, "EXPIRY_TOO_SHORT"),
        CoreError::WindowTooLong { .. } => invalid("REUSE_WINDOW_TOO_LONG", "reuse_window"),
        CoreError::NeedsSession => temporary("SESSION_MISSING"),
        CoreError::Expired(Expired) => temporary("CREDENTIALS_EXPIRED"),
        CoreError::NoRandomness(_) => temporary("RANDOMNESS_MISSING"),
    }
}

/// `field` is the map of the request that has the wrong form field.
fn post_to_wire_error(field: &'static str, error: &PostError) -> WireError {
    let (reason, field) = match error {
        PostError::NotOffered(_) | PostError::AccessPointArn => ("TARGET_REFUSED", "bucket"),
        PostError::Key(_) | PostError::KeyFilename | PostError::KeyLineBreak => ("KEY_INVALID", "key"),
        PostError::Name(_)
        | PostError::Reserved { .. }
        | PostError::Twice(_)
        | PostError::Both(_)
        | PostError::Filename(_)
        | PostError::LineBreak(_) => ("FIELD_INVALID", field),
        PostError::TooMany | PostError::TooLarge(_) => ("FORM_TOO_LARGE", field),
        PostError::Size { bound: SizeBound::Min, .. } => ("SIZE_INVALID", "content_length_range.min"),
        PostError::Size { bound: SizeBound::Max, .. } => ("SIZE_INVALID", "content_length_range.max"),
        PostError::Empty { .. } => ("SIZE_INVALID", "content_length_range"),
    };
    WireError { code: Code::InvalidArgument, reason, field: Some(field), retry: None }
}

/// The number and the name of a code, for the label of a metric.
pub(in crate::service) fn code_label(code: Code) -> (usize, &'static str) {
    (code as usize, code_name(code))
}

/// The name of a code in metrics.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Unimplemented => "unimplemented",
        Code::Unavailable => "unavailable",
        Code::Unauthenticated => "unauthenticated",
        Code::Internal => "internal",
        Code::Unknown => "unknown",
        Code::AlreadyExists => "already_exists",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::DataLoss => "data_loss",
    }
}
