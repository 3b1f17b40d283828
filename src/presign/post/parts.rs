//! The parts of a form, each checked once, where it comes in.

use thiserror::Error;

use crate::presign::{
    name::{KeyError, MAX_KEY_BYTES},
    parameters::is_token,
    target::TargetKind,
};

/// S3's name of the operation, in policies and in metrics.
///
/// Source: [POST Object](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html).
pub const OPERATION: &str = "PostObject";

/// The most bytes of a form beside its file. S3 answers `MaxPostPreDataLengthExceeded` to a longer one.
///
/// Source: "The form data and boundaries (excluding the contents of the file) cannot exceed 20 KB" in
/// [Browser-based uploads using POST (SigV2)](https://docs.aws.amazon.com/AmazonS3/latest/userguide/HTTPPOSTForms.html),
/// and `MaxPostPreDataLengthBytes` (20480) in the error.
pub const FORM_LIMIT: usize = 20 * 1024;

/// What S3 replaces, in every field, by the name of the file, before it looks at the conditions.
///
/// Source: [HTML form fields](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html).
const FILENAME: &str = "${filename}";

/// The largest file that S3 takes in one POST.
///
/// Source: [POST Object](https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html), as for a PUT:
/// [Uploading objects](https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html).
const LARGEST_FILE: u64 = 5 << 30;

/// The most fields with a condition. [`FORM_LIMIT`] is met soon after.
const MAX_FIELDS: usize = 100;

const OURS: &str = "presignd sets it";
const OTHER_SIGNATURE: &str = "it belongs to SigV2, but presignd signs with SigV4";

/// Fields that are no field of the caller's, and why.
const RESERVED: [(&str, &str); 13] = [
    ("key", "set key of the request instead"),
    ("bucket", "set bucket of the request instead"),
    ("file", "it is the file itself, the last field of the form"),
    ("content-length-range", "set content_length_range instead"),
    ("policy", OURS),
    ("x-amz-algorithm", OURS),
    ("x-amz-credential", OURS),
    ("x-amz-date", OURS),
    ("x-amz-security-token", OURS),
    ("x-amz-s3session-token", OURS),
    ("x-amz-signature", OURS),
    ("awsaccesskeyid", OTHER_SIGNATURE),
    ("signature", OTHER_SIGNATURE),
];

/// Why a form is not signed. Values are never repeated: they may be secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PostError {
    /// S3 takes no forms for such a target.
    #[error(
        "S3 does not support form uploads (POST Object) for the target kind {}: presign PutObject instead, or use a bucket",
        .0.as_str()
    )]
    NotOffered(TargetKind),
    /// An access point by its ARN.
    #[error(
        "a form cannot be signed for an access point ARN: give the access point's alias (NAME-s3alias), or the bucket"
    )]
    AccessPointArn,
    /// Not an object key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file's name inside the key.
    #[error(
        "key contains ${{filename}} before its end: S3 replaces it with the file name, \
             so the text after it cannot be checked; put ${{filename}} at the end of the key"
    )]
    KeyFilename,
    /// A key that a form cannot carry.
    #[error(
        "key contains a line break: browsers change line breaks in forms, so the key would not match the signed one"
    )]
    KeyLineBreak,
    /// Not the name of a field.
    #[error("{0:?} is not a form field name: use only letters, digits and !#$%&'*+-.^_`|~")]
    Name(String),
    /// A field that may not be given.
    #[error("field {name} cannot be set: {why}")]
    Reserved {
        /// The field.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A field given twice.
    #[error("field {0} is set twice: S3 ignores the case of field names, so set it once")]
    Twice(String),
    /// A field with two conditions.
    #[error("field {0} is in both fields and starts_with: remove it from one of them")]
    Both(String),
    /// The file's name in a condition.
    #[error(
        "field {0} contains ${{filename}}: S3 replaces it with the file name before it compares, so the value would never match; \
         set the text before ${{filename}} in starts_with, and the whole value in the form"
    )]
    Filename(String),
    /// A value that a form cannot carry.
    #[error(
        "field {0} contains a line break: browsers change line breaks in forms, so the value would not match"
    )]
    LineBreak(String),
    /// Too many fields.
    #[error("too many fields: fields and starts_with together can have at most {MAX_FIELDS}")]
    TooMany,
    /// Longer than S3 takes.
    #[error(
        "the form would have {0} bytes without its file: S3 allows at most {FORM_LIMIT}; \
         send fewer or shorter fields (each is also in the policy)"
    )]
    TooLarge(usize),
    /// A bound of the file's size that is none.
    #[error("content_length_range.{} is {value}: it must be from 0 to {LARGEST_FILE} bytes (5 GiB)", bound.as_str())]
    Size {
        /// Which one.
        bound: Bound,
        /// What was given.
        value: i64,
    },
    /// Bounds of the file's size in the wrong order.
    #[error("content_length_range has min {min} and max {max}: min must not be greater than max")]
    Empty {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
}

/// One of the bounds of a file's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// The least.
    Min,
    /// The most.
    Max,
}

impl Bound {
    fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// The key of a form: that of the object, or what it begins with when `${filename}` stands at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostKey<'a>(&'a str);

impl<'a> PostKey<'a> {
    /// The key as it was given, and stands in the form.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// What every key begins with that the form may give to an object; nothing where there is one key alone.
    pub fn prefix(self) -> Option<&'a str> {
        self.0.strip_suffix(FILENAME)
    }
}

impl<'a> TryFrom<&'a str> for PostKey<'a> {
    type Error = PostError;

    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        let required = text.strip_suffix(FILENAME).unwrap_or(text);
        if text.is_empty() {
            return Err(KeyError::Empty { operation: OPERATION }.into());
        }
        if required.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong(required.len()).into());
        }
        if required.contains(FILENAME) {
            return Err(PostError::KeyFilename);
        }
        if has_line_break(text) {
            return Err(PostError::KeyLineBreak);
        }
        Ok(Self(text))
    }
}

/// What the fields of a form must be, beside its key.
#[derive(Clone, Default)]
pub struct Fields<'a> {
    exact: Vec<(&'a str, &'a str)>,
    starts_with: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Adds a field with the value that it must have.
    ///
    /// # Errors
    /// When there can be no such field, or it is there already.
    pub fn add_exact(&mut self, name: &'a str, value: &'a str) -> Result<(), PostError> {
        self.check(name, value)?;
        if has(&self.exact, name) {
            return Err(PostError::Twice(shown(name)));
        }
        self.exact.push((name, value));
        Ok(())
    }

    /// Adds a field with the text that its value must start with. All exact ones are there by then.
    ///
    /// # Errors
    /// When there can be no such field, or it is there already.
    pub fn add_starts_with(&mut self, name: &'a str, text: &'a str) -> Result<(), PostError> {
        self.check(name, text)?;
        if has(&self.exact, name) {
            return Err(PostError::Both(shown(name)));
        }
        if has(&self.starts_with, name) {
            return Err(PostError::Twice(shown(name)));
        }
        self.starts_with.push((name, text));
        Ok(())
    }

    /// Fields and the values that they must have.
    pub fn exact(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.exact.iter().copied()
    }

    /// Fields and the texts that their values must start with.
    pub fn starts_with(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.starts_with.iter().copied()
    }

    fn check(&self, name: &str, value: &str) -> Result<(), PostError> {
        if self.exact.len() + self.starts_with.len() == MAX_FIELDS {
            return Err(PostError::TooMany);
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(PostError::Name(shown(name)));
        }
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved.eq_ignore_ascii_case(name)) {
            return Err(PostError::Reserved { name: shown(name), why });
        }
        if value.contains(FILENAME) {
            return Err(PostError::Filename(shown(name)));
        }
        if has_line_break(value) {
            return Err(PostError::LineBreak(shown(name)));
        }
        Ok(())
    }
}

fn has(fields: &[(&str, &str)], name: &str) -> bool {
    fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Whether a browser would send another text than this one.
///
/// Source: [Constructing the entry list](https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data).
fn has_line_break(text: &str) -> bool {
    text.contains(['\r', '\n'])
}

/// As much of a name as an error repeats.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// How many bytes a file may have, both bounds included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthRange {
    min: u64,
    max: u64,
}

impl LengthRange {
    /// Bounds that some file keeps to.
    ///
    /// # Errors
    /// When there is none that S3 takes.
    pub fn new(min: i64, max: i64) -> Result<Self, PostError> {
        let size = |bound, value: i64| {
            let fits = u64::try_from(value).ok().filter(|bytes| *bytes <= LARGEST_FILE);
            fits.ok_or(PostError::Size { bound, value })
        };
        let (min, max) = (size(Bound::Min, min)?, size(Bound::Max, max)?);
        if min > max { Err(PostError::Empty { min, max }) } else { Ok(Self { min, max }) }
    }

    /// The least.
    pub fn min(self) -> u64 {
        self.min
    }

    /// The most.
    pub fn max(self) -> u64 {
        self.max
    }
}
