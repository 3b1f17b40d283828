//! Requests near to one, as they come about between a signer and S3. No key is needed to name them.

use super::{
    authentication::TOKENS,
    canonical::Canonical,
    hypotheses::{Guesses, MOST_PARTS},
    url::Url,
};
use crate::presign::{encode, parameters::OPERATION_QUERY};

/// With another method.
pub(super) fn methods(used: &Canonical) -> Guesses {
    let methods = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter();
    let others = methods.filter(|method| *method != used.method);
    others.map(|method| Canonical { method: method.to_owned(), ..used.clone() }.into()).collect()
}

/// Encoded once more or once less, and pluses.
pub(super) fn encodings(used: &Canonical, url: &Url) -> Guesses {
    let less = |text: &str| text.replace("%25", "%");
    let more = |text: &str| text.replace('%', "%25");
    let changes: [&dyn Fn(&str) -> String; 2] = [&less, &more];
    let mut guesses: Guesses = used.with_other_pluses(url).map(Into::into).into();
    for change in changes {
        let path = used.with_path(change(&used.path));
        let change_query = |from: &Canonical| Canonical {
            query: from.query.iter().map(|(name, value)| (name.clone(), change(value))).collect(),
            ..from.clone()
        };
        guesses.extend([change_query(used), change_query(&path), path].map(Into::into));
    }
    guesses
}

/// Content types that clients and browsers put in the place of the signed one, or that the signed one may have been.
pub(super) fn content_types(used: &Canonical) -> Guesses {
    let Some(sent) = used.header("content-type") else { return Guesses::new() };
    let plain = sent.split(';').next().unwrap_or_default().trim_end().to_owned();
    let with = |parameter: &str| format!("{plain}{parameter}");
    let mut types = vec![
        plain.clone(),
        with("; charset=utf-8"),
        with("; charset=UTF-8"),
        with(";charset=utf-8"),
        with(";charset=UTF-8"),
        sent.to_ascii_lowercase(),
    ];
    types.extend(CONTENT_TYPES.map(str::to_owned));
    types.retain(|known| known != sent);
    types.iter().map(|known| used.with_header("content-type", known).into()).collect()
}

/// Without one of the parameters, or without all that S3 does not know.
pub(super) fn fewer_parameters(used: &Canonical) -> Guesses {
    let may_go = |name: &str| !name.starts_with("X-Amz-") || TOKENS.contains(&name);
    let without = |gone: &dyn Fn(&(String, String)) -> bool| {
        let mut other = used.clone();
        other.query.retain(|pair| !gone(pair));
        other
    };
    let single = used.query.iter().filter(|(name, _)| may_go(name)).take(MOST_PARTS);
    let mut guesses: Guesses = single.map(|pair| without(&|other| other == pair).into()).collect();
    guesses.push(without(&|(name, _)| may_go(name) && !is_of_s3(name)).into());
    guesses.push(without(&|(name, _)| may_go(name) && !TOKENS.contains(&name.as_str())).into());
    guesses
}

/// With a parameter that chooses the operation, or one that an SDK adds.
pub(super) fn more_parameters(used: &Canonical) -> Guesses {
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
    all.map(|(name, value)| used.with_parameter(name, value).into()).collect()
}

/// Paths that a normaliser would have made this one of.
pub(super) fn paths(used: &Canonical) -> Guesses {
    let path = &used.path;
    let insert = |at: usize, text: &str| format!("{}{text}{}", &path[..at], &path[at..]);
    let mut paths = vec![format!("{path}/"), format!("/..{path}"), format!("/../..{path}")];
    for (at, _) in path.match_indices('/').take(MOST_PARTS) {
        paths.extend(["/", "//", "/."].map(|text| insert(at, text)));
    }
    paths.into_iter().map(|path| used.with_path(path).into()).collect()
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
