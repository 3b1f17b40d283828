//! The parts of a form, validated when they are created.

use thiserror::Error;

use crate::presign::{
    name::{KeyError, MAX_KEY_BYTES},
    parameters::is_token,
    target::TargetKind,
};

/// The name of the operation in policies and in metrics.
///
/// Source: [POST Object](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html).
pub const OPERATION_NAME: &str = "PostObject";

/// The maximum size of a form without its file, in bytes. For larger ones, S3 returns `MaxPostPreDataLengthExceeded`.
///
/// Source: "The form data and boundaries (excluding the contents of the file) cannot exceed 20 KB" in
/// [Browser-based uploads using POST (SigV2)](https://docs.aws.amazon.com/AmazonS3/latest/userguide/HTTPPOSTForms.html),
/// and `MaxPostPreDataLengthBytes` (20480) in the error.
pub const MAX_FORM_BYTES: usize = 20 * 1024;

/// The variable that S3 replaces by the name of the file, in every field, before it checks the conditions.
///
/// Source: [HTML form fields](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html).
const FILENAME: &str = "${filename}";

/// The maximum size of the file in one POST, in bytes: 5 GiB.
///
/// Source: [POST Object](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html), as for a PUT:
/// [Uploading objects](https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html).
const MAX_FILE_BYTES: u64 = 5 << 30;

/// The maximum number of fields with a condition. More would hardly fit in [`MAX_FORM_BYTES`].
const MAX_FIELDS: usize = 100;

const SET_BY_PRESIGND: &str = "presignd sets it";
const SIGV2_FIELD: &str = "it belongs to SigV2, but presignd signs with SigV4";

/// Fields that callers cannot set, and why.
const RESERVED: [(&str, &str); 13] = [
    ("key", "set key of the request instead"),
    ("bucket", "set bucket of the request instead"),
    ("file", "it is the file itself, the last field of the form"),
    ("content-length-range", "set content_length_range instead"),
    ("policy", SET_BY_PRESIGND),
    ("x-amz-algorithm", SET_BY_PRESIGND),
    ("x-amz-credential", SET_BY_PRESIGND),
    ("x-amz-date", SET_BY_PRESIGND),
    ("x-amz-security-token", SET_BY_PRESIGND),
    ("x-amz-s3session-token", SET_BY_PRESIGND),
    ("x-amz-signature", SET_BY_PRESIGND),
    ("awsaccesskeyid", SIGV2_FIELD),
    ("signature", SIGV2_FIELD),
];

/// Why a form is not signed. Messages never contain values, which may be secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PostError {
    /// S3 does not support forms for this kind of target.
    #[error(
        "S3 does not support form uploads (POST Object) for the target kind {}: \
         presign PutObject instead, or use a bucket",
        .0.as_str()
    )]
    NotOffered(TargetKind),
    /// The target is an access point ARN.
    #[error(
        "a form cannot be signed for an access point ARN: give the access point's alias (NAME-s3alias), or the bucket"
    )]
    AccessPointArn,
    /// Not a valid object key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `${filename}` in the key, but not at its end.
    #[error(
        "key contains ${{filename}} before its end: S3 replaces it with the file name, \
             so the text after it cannot be checked; put ${{filename}} at the end of the key"
    )]
    KeyFilename,
    /// A key that browsers would change.
    #[error(
        "key contains a line break: browsers change line breaks in forms, so the key would not match the signed one"
    )]
    KeyLineBreak,
    /// Not a valid field name.
    #[error("{0:?} is not a form field name: use only letters, digits and !#$%&'*+-.^_`|~")]
    Name(String),
    /// A field that callers cannot set.
    #[error("field {name} cannot be set: {why}")]
    Reserved {
        /// The field.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A field is set twice.
    #[error("field {0} is set twice: S3 ignores the case of field names, so set it once")]
    Twice(String),
    /// A field is both in `fields` and in `starts_with`.
    #[error("field {0} is in both fields and starts_with: remove it from one of them")]
    Both(String),
    /// `${filename}` in a condition.
    #[error(
        "field {0} contains ${{filename}}: \
         S3 replaces it with the file name before it compares, so the value would never match; \
         set the text before ${{filename}} in starts_with, and the whole value in the form"
    )]
    Filename(String),
    /// A value that browsers would change.
    #[error(
        "field {0} contains a line break: browsers change line breaks in forms, so the value would not match"
    )]
    LineBreak(String),
    /// Over `MAX_FIELDS`.
    #[error("too many fields: fields and starts_with together can have at most {MAX_FIELDS}")]
    TooMany,
    /// Over [`MAX_FORM_BYTES`].
    #[error(
        "the form would have {0} bytes without its file: S3 allows at most {MAX_FORM_BYTES}; \
         send fewer or shorter fields (each is also in the policy)"
    )]
    TooLarge(usize),
    /// A limit of the file's size is out of range.
    #[error("content_length_range.{} is {value}: it must be from 0 to {MAX_FILE_BYTES} bytes (5 GiB)", bound.as_str())]
    Size {
        /// Which limit.
        bound: SizeBound,
        /// The rejected value.
        value: i64,
    },
    /// The minimum size is greater than the maximum.
    #[error("content_length_range has min {min} and max {max}: min must not be greater than max")]
    Empty {
        /// The minimum, in bytes.
        min: u64,
        /// The maximum, in bytes.
        max: u64,
    },
}

/// One of the limits of a file's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeBound {
    /// The minimum, in bytes.
    Min,
    /// The maximum, in bytes.
    Max,
}

impl SizeBound {
    fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// The key field of a form: the key of the object, or its prefix followed by `${filename}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostKey<'a>(&'a str);

impl<'a> PostKey<'a> {
    /// The value of the key field.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The prefix of all keys that the form allows; none if it allows only one key.
    pub fn prefix(self) -> Option<&'a str> {
        self.0.strip_suffix(FILENAME)
    }
}

impl<'a> TryFrom<&'a str> for PostKey<'a> {
    type Error = PostError;

    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        let prefix = text.strip_suffix(FILENAME).unwrap_or(text);
        if text.is_empty() {
            return Err(KeyError::Empty { operation: OPERATION_NAME }.into());
        }
        if prefix.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong(prefix.len()).into());
        }
        if prefix.contains(FILENAME) {
            return Err(PostError::KeyFilename);
        }
        if has_line_break(text) {
            return Err(PostError::KeyLineBreak);
        }
        Ok(Self(text))
    }
}

/// The conditions for the fields of a form, apart from its key.
#[derive(Clone, Default)]
pub struct FormFields<'a> {
    exact: Vec<(&'a str, &'a str)>,
    starts_with: Vec<(&'a str, &'a str)>,
}

impl<'a> FormFields<'a> {
    /// Adds a field that must have this value.
    ///
    /// # Errors
    /// When name or value is invalid, or the field is set already.
    pub fn add_exact(&mut self, name: &'a str, value: &'a str) -> Result<(), PostError> {
        self.check(name, value)?;
        if contains_field(&self.exact, name) {
            return Err(PostError::Twice(truncate(name)));
        }
        self.exact.push((name, value));
        Ok(())
    }

    /// Adds a field whose value must start with this text. Must be called after all calls of [`Self::add_exact`].
    ///
    /// # Errors
    /// When name or value is invalid, or the field is set already.
    pub fn add_starts_with(&mut self, name: &'a str, text: &'a str) -> Result<(), PostError> {
        self.check(name, text)?;
        if contains_field(&self.exact, name) {
            return Err(PostError::Both(truncate(name)));
        }
        if contains_field(&self.starts_with, name) {
            return Err(PostError::Twice(truncate(name)));
        }
        self.starts_with.push((name, text));
        Ok(())
    }

    /// The fields with an exact value, and that value.
    pub fn exact(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.exact.iter().copied()
    }

    /// The fields with a required prefix of their value, and that prefix.
    pub fn starts_with(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.starts_with.iter().copied()
    }

    fn check(&self, name: &str, value: &str) -> Result<(), PostError> {
        if self.exact.len() + self.starts_with.len() == MAX_FIELDS {
            return Err(PostError::TooMany);
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(PostError::Name(truncate(name)));
        }
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved.eq_ignore_ascii_case(name)) {
            return Err(PostError::Reserved { name: truncate(name), why });
        }
        if value.contains(FILENAME) {
            return Err(PostError::Filename(truncate(name)));
        }
        if has_line_break(value) {
            return Err(PostError::LineBreak(truncate(name)));
        }
        Ok(())
    }
}

fn contains_field(fields: &[(&str, &str)], name: &str) -> bool {
    fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Whether the text has line breaks, which browsers change when they send a form.
///
/// Source: [Constructing the entry list](https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data).
fn has_line_break(text: &str) -> bool {
    text.contains(['\r', '\n'])
}

/// Truncates a name to 64 characters, for an error message.
fn truncate(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The allowed size of the file in bytes, both limits included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthRange {
    min: u64,
    max: u64,
}

impl LengthRange {
    /// A range of sizes.
    ///
    /// # Errors
    /// When a limit is not from 0 to `MAX_FILE_BYTES`, or `min` is greater than `max`.
    pub fn new(min: i64, max: i64) -> Result<Self, PostError> {
        let size = |bound, value: i64| {
            let fits = u64::try_from(value).ok().filter(|bytes| *bytes <= MAX_FILE_BYTES);
            fits.ok_or(PostError::Size { bound, value })
        };
        let (min, max) = (size(SizeBound::Min, min)?, size(SizeBound::Max, max)?);
        if min > max { Err(PostError::Empty { min, max }) } else { Ok(Self { min, max }) }
    }

    /// The minimum, in bytes.
    pub fn min(self) -> u64 {
        self.min
    }

    /// The maximum, in bytes.
    pub fn max(self) -> u64 {
        self.max
    }
}
