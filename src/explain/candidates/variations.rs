//! Variations of a request that need no signer: method, encoding, content type, query and path.

use std::iter;

use super::{Candidate, Candidates, MAX_VARIED_PARTS};
use crate::{
    explain::{authentication::TOKENS, canonical::CanonicalParts, url::Url},
    presign::{encode, parameters::OPERATION_QUERY},
};

/// Other methods.
pub(super) fn vary_method(used: &CanonicalParts) -> Candidates<'_> {
    let methods = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter();
    let others = methods.filter(|method| *method != used.method);
    Box::new(others.map(|method| CanonicalParts { method: method.to_owned(), ..used.clone() }.into()))
}

/// Path and query encoded once more or once less, and with other meanings of `+`.
pub(super) fn vary_encoding<'c>(used: &'c CanonicalParts, url: &'c Url) -> Candidates<'c> {
    let less: fn(&str) -> String = |text| text.replace("%25", "%");
    let more: fn(&str) -> String = |text| text.replace('%', "%25");
    let reencoded = [less, more].into_iter().flat_map(|change| {
        let path = used.with_path(change(&used.path));
        let change_query = |from: &CanonicalParts| CanonicalParts {
            query: from.query.iter().map(|(name, value)| (name.clone(), change(value))).collect(),
            ..from.clone()
        };
        [change_query(used), change_query(&path), path]
    });
    Box::new(used.with_other_plus_meanings(url).into_iter().chain(reencoded).map(Into::into))
}

/// Content types that clients and browsers send instead of the signed one.
pub(super) fn vary_content_type(used: &CanonicalParts) -> Candidates<'_> {
    let Some(sent) = used.header("content-type") else { return Box::new(iter::empty()) };
    let plain = sent.split(';').next().unwrap_or_default().trim_end();
    let charsets = ["", "; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8"];
    let types = charsets.into_iter().map(move |charset| format!("{plain}{charset}"));
    let types = types.chain([sent.to_ascii_lowercase()]).chain(CONTENT_TYPES.map(str::to_owned));
    let others = types.filter(move |known| known != sent);
    Box::new(others.map(|known| used.with_header("content-type", &known).into()))
}

/// Without one query parameter, without all that S3 does not know, and without all optional ones.
pub(super) fn drop_parameters(used: &CanonicalParts) -> Candidates<'_> {
    let is_optional = |name: &str| !name.starts_with("X-Amz-") || TOKENS.contains(&name);
    let without = |is_dropped: &dyn Fn(&(String, String)) -> bool| {
        let mut other = used.clone();
        other.query.retain(|pair| !is_dropped(pair));
        Candidate::from(other)
    };
    let single = used.query.iter().filter(move |(name, _)| is_optional(name)).take(MAX_VARIED_PARTS);
    let several = [
        without(&|(name, _)| is_optional(name) && !is_s3_parameter(name)),
        without(&|(name, _)| is_optional(name) && !TOKENS.contains(&name.as_str())),
    ];
    Box::new(single.map(move |pair| without(&|other| other == pair)).chain(several))
}

/// An additional query parameter: one that selects the operation, or that an SDK adds.
pub(super) fn add_parameters(used: &CanonicalParts) -> Candidates<'_> {
    let operations = OPERATION_QUERY.into_iter().map(|name| (name, ""));
    let with_values = [
        ("list-type", "2"),
        ("versionId", "null"),
        ("x-id", "GetObject"),
        ("x-id", "PutObject"),
        ("x-id", "HeadObject"),
        ("x-id", "DeleteObject"),
        ("x-id", "UploadPart"),
        ("encoding-type", "url"),
    ];
    let all = operations.chain(with_values).filter(|(name, _)| !used.has_parameter(name));
    Box::new(all.map(|(name, value)| used.with_parameter(name, value).into()))
}

/// Other usual lifetimes: `X-Amz-Expires` may have been edited.
pub(super) fn vary_lifetime(used: &CanonicalParts) -> Candidates<'_> {
    let usual = ["60", "300", "900", "3600", "43200", "86400", "604800"].into_iter();
    Box::new(usual.map(|seconds| used.with_parameter("X-Amz-Expires", seconds).into()))
}

/// Paths that a URL library normalises to this one, and this one without an extra slash.
pub(super) fn vary_path(used: &CanonicalParts) -> Candidates<'_> {
    let path = used.path.as_str();
    let insert = move |index: usize, text: &str| format!("{}{text}{}", &path[..index], &path[index..]);
    let slashes = path.match_indices('/').map(|(index, _)| index).take(MAX_VARIED_PARTS);
    let inside = slashes.flat_map(move |index| ["/", "//", "/."].map(|text| insert(index, text)));
    let around = [insert(path.len(), "/"), insert(0, "/.."), insert(0, "/../..")].into_iter();
    // An extra slash is next to another slash or at the end.
    let doubled = path.match_indices("//").map(|(index, _)| index).take(MAX_VARIED_PARTS);
    let at_end = path.ends_with('/').then(|| path.len() - 1);
    let fewer = doubled.chain(at_end).map(move |index| format!("{}{}", &path[..index], &path[index + 1..]));
    Box::new(around.chain(inside).chain(fewer).map(|path| used.with_path(path).into()))
}

/// Usual content types of uploads.
const CONTENT_TYPES: [&str; 22] = [
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
    "text/html",
    "text/csv",
    "application/json",
    "application/xml",
    "text/xml",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/svg+xml",
    "video/mp4",
    "audio/mpeg",
    "application/x-tar",
];

/// Query parameters of S3 that do not select the operation.
const OTHER_QUERY: [&str; 17] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "marker",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
    "x-id",
    "id",
];

fn is_s3_parameter(name: &str) -> bool {
    let starts = |start: &str| name.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start));
    let encoded = |known: &&str| {
        let mut text = String::new();
        encode::query(known, &mut text);
        text == name
    };
    starts("x-amz-") || starts("response-") || OTHER_QUERY.iter().chain(&OPERATION_QUERY).any(encoded)
}
