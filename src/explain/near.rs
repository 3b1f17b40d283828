//! Requests near to one, as they come about between a signer and S3. No key is needed to name them.

use std::iter;

use super::{
    authentication::TOKENS,
    canonical::Canonical,
    hypotheses::{Guess, Guesses, MOST_PARTS},
    url::Url,
};
use crate::presign::{encode, parameters::OPERATION_QUERY};

/// With another method.
pub(super) fn methods(used: &Canonical) -> Guesses<'_> {
    let methods = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter();
    let others = methods.filter(|method| *method != used.method);
    Box::new(others.map(|method| Canonical { method: method.to_owned(), ..used.clone() }.into()))
}

/// Encoded once more or once less, and pluses.
pub(super) fn encodings<'g>(used: &'g Canonical, url: &'g Url) -> Guesses<'g> {
    let less: fn(&str) -> String = |text| text.replace("%25", "%");
    let more: fn(&str) -> String = |text| text.replace('%', "%25");
    let otherwise = [less, more].into_iter().flat_map(|change| {
        let path = used.with_path(change(&used.path));
        let change_query = |from: &Canonical| Canonical {
            query: from.query.iter().map(|(name, value)| (name.clone(), change(value))).collect(),
            ..from.clone()
        };
        [change_query(used), change_query(&path), path]
    });
    Box::new(used.with_other_pluses(url).into_iter().chain(otherwise).map(Into::into))
}

/// Content types that clients and browsers put in the place of the signed one, or that the signed one may have been.
pub(super) fn content_types(used: &Canonical) -> Guesses<'_> {
    let Some(sent) = used.header("content-type") else { return Box::new(iter::empty()) };
    let plain = sent.split(';').next().unwrap_or_default().trim_end();
    let charsets = ["", "; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8"];
    let types = charsets.into_iter().map(move |charset| format!("{plain}{charset}"));
    let types = types.chain([sent.to_ascii_lowercase()]).chain(CONTENT_TYPES.map(str::to_owned));
    let others = types.filter(move |known| known != sent);
    Box::new(others.map(|known| used.with_header("content-type", &known).into()))
}

/// Without one of the parameters, or without all that S3 does not know.
pub(super) fn fewer_parameters(used: &Canonical) -> Guesses<'_> {
    let may_go = |name: &str| !name.starts_with("X-Amz-") || TOKENS.contains(&name);
    let without = |goes: &dyn Fn(&(String, String)) -> bool| {
        let mut other = used.clone();
        other.query.retain(|pair| !goes(pair));
        Guess::from(other)
    };
    let single = used.query.iter().filter(move |(name, _)| may_go(name)).take(MOST_PARTS);
    let several = [
        without(&|(name, _)| may_go(name) && !is_of_s3(name)),
        without(&|(name, _)| may_go(name) && !TOKENS.contains(&name.as_str())),
    ];
    Box::new(single.map(move |pair| without(&|other| other == pair)).chain(several))
}

/// With a parameter that chooses the operation, or one that an SDK adds.
pub(super) fn more_parameters(used: &Canonical) -> Guesses<'_> {
    let sub_resources = OPERATION_QUERY.into_iter().map(|name| (name, ""));
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
    let all = sub_resources.chain(with_values).filter(|(name, _)| !used.has_parameter(name));
    Box::new(all.map(|(name, value)| used.with_parameter(name, value).into()))
}

/// With another lifetime, of those that are usually asked for: somebody may have edited it.
pub(super) fn lifetimes(used: &Canonical) -> Guesses<'_> {
    let usual = ["60", "300", "900", "3600", "43200", "86400", "604800"].into_iter();
    Box::new(usual.map(|seconds| used.with_parameter("X-Amz-Expires", seconds).into()))
}

/// Paths that a normaliser would have made this one of, and those with a slash less.
pub(super) fn paths(used: &Canonical) -> Guesses<'_> {
    let path = used.path.as_str();
    let insert = move |at: usize, text: &str| format!("{}{text}{}", &path[..at], &path[at..]);
    let places = path.match_indices('/').map(|(at, _)| at).take(MOST_PARTS);
    let inside = places.flat_map(move |at| ["/", "//", "/."].map(|text| insert(at, text)));
    let around = [insert(path.len(), "/"), insert(0, "/.."), insert(0, "/../..")].into_iter();
    // A slash that is one too many was put before or behind another, or at the end.
    let doubled = path.match_indices("//").map(|(at, _)| at).take(MOST_PARTS);
    let at_end = path.ends_with('/').then(|| path.len() - 1);
    let fewer = doubled.chain(at_end).map(move |at| format!("{}{}", &path[..at], &path[at + 1..]));
    Box::new(around.chain(inside).chain(fewer).map(|path| used.with_path(path).into()))
}

/// Content types that uploads usually have.
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

/// Query parameters of S3's operations that choose none.
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

fn is_of_s3(name: &str) -> bool {
    let starts = |start: &str| name.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start));
    let encoded = |known: &&str| {
        let mut text = String::new();
        encode::query(known, &mut text);
        text == name
    };
    starts("x-amz-") || starts("response-") || OTHER_QUERY.iter().chain(&OPERATION_QUERY).any(encoded)
}
