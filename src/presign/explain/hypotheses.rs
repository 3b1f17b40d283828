//! What may have been signed when a signature does not fit: requests near to the one that is used. The one that the
//! signature fits is what was signed, and its difference to the one that is used is what went wrong.

use std::cell::Cell;

use super::{
    authentication::{Authentication, TOKENS},
    canonical::Canonical,
    place::{self, Place},
};
use crate::presign::{
    encode,
    parameters::OPERATION_QUERY,
    sign::{self, Verifier},
    snapshot::Snapshot,
};

/// So much is hashed in all before the search is given up: some milliseconds of work.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How many parts of one kind are looked at one by one: parts of the path, parameters, endpoints.
const MOST_PARTS: usize = 48;

/// What looks for the request that was signed.
pub(super) struct Search<'a> {
    pub(super) auth: &'a Authentication,
    pub(super) snapshot: &'a Snapshot,
    pub(super) place: &'a Place,
    /// The authority of the URL, as it is written.
    pub(super) authority: &'a str,
    /// For the scope in the URL.
    verifier: Verifier,
    hashed: Cell<usize>,
}

/// A request that may have been signed; the scope is another where the credential in its query is another.
struct Guess {
    canonical: Canonical,
    scope: Option<(String, &'static str)>,
}

impl From<Canonical> for Guess {
    fn from(canonical: Canonical) -> Self {
        Self { canonical, scope: None }
    }
}

type Guesses = Vec<Guess>;

impl<'a> Search<'a> {
    pub(super) fn new(
        auth: &'a Authentication,
        snapshot: &'a Snapshot,
        place: &'a Place,
        authority: &'a str,
    ) -> Self {
        let credentials = snapshot.credentials();
        let verifier =
            Verifier::new(credentials, auth.algorithm, auth.signed_at, &auth.region, &auth.service);
        Self { auth, snapshot, place, authority, verifier, hashed: Cell::new(0) }
    }

    /// Whether the signature is that of a request.
    pub(super) fn fits(&self, canonical: &Canonical) -> bool {
        self.fits_in(&self.verifier, canonical, &self.auth.region, &self.auth.service)
    }

    fn fits_in(&self, verifier: &Verifier, canonical: &Canonical, region: &str, service: &str) -> bool {
        let text = canonical.text();
        self.hashed.set(self.hashed.get() + text.len());
        let scope = self.auth.scope(region, service);
        let text = sign::string_to_sign(self.auth.algorithm, &self.auth.date, &scope, &text);
        verifier.fits(&text, &self.auth.signature)
    }

    /// The request that was signed, where it is near to the one that is used.
    pub(super) fn signed(&self, used: &Canonical) -> Option<Canonical> {
        let kinds: [fn(&Self, &Canonical) -> Guesses; 9] = [
            Self::methods,
            Self::encodings,
            Self::headers,
            Self::tokens,
            Self::fewer_parameters,
            Self::hosts,
            Self::paths,
            Self::more_parameters,
            Self::scopes,
        ];
        let guesses = kinds.into_iter().flat_map(|kind| kind(self, used));
        guesses
            .take_while(|_| self.hashed.get() < MOST_BYTES)
            .find(|guess| self.was_signed(guess))
            .map(|guess| guess.canonical)
    }

    fn was_signed(&self, guess: &Guess) -> bool {
        let Some((region, service)) = &guess.scope else { return self.fits(&guess.canonical) };
        let credentials = self.snapshot.credentials();
        let verifier = Verifier::new(credentials, self.auth.algorithm, self.auth.signed_at, region, service);
        self.fits_in(&verifier, &guess.canonical, region, service)
    }

    fn methods(&self, used: &Canonical) -> Guesses {
        let methods = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter();
        let others = methods.filter(|method| *method != used.method);
        others.map(|method| Canonical { method: method.to_owned(), ..used.clone() }.into()).collect()
    }

    /// Encoded once more or once less, and pluses.
    fn encodings(&self, used: &Canonical) -> Guesses {
        let less = |text: &str| text.replace("%25", "%");
        let more = |text: &str| text.replace('%', "%25");
        let space = |text: &str| text.replace("%2B", "%20");
        let plus = |text: &str| text.replace("%20", "%2B");
        let changes: [&dyn Fn(&str) -> String; 4] = [&less, &more, &space, &plus];
        let mut guesses = Guesses::new();
        for change in changes {
            let path = used.with_path(change(&used.path));
            let change_query = |from: &Canonical| Canonical {
                query: from.query.iter().map(|(name, value)| (name.clone(), change(value))).collect(),
                ..from.clone()
            };
            guesses.extend([change_query(used), change_query(&path), path].map(Guess::from));
        }
        // A plus in a single value, where others have spaces of their own.
        for (name, value) in used.query.iter().filter(|(_, value)| value.contains("%20")).take(MOST_PARTS) {
            let mut other = used.clone();
            other.query.retain(|pair| pair != &(name.clone(), value.clone()));
            other.query.push((name.clone(), plus(value)));
            guesses.push(other.into());
        }
        guesses
    }

    /// Content types that clients and browsers put in the place of the signed one, or that the signed one may have been.
    fn headers(&self, used: &Canonical) -> Guesses {
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

    /// With the session token that belongs to the access key.
    fn tokens(&self, used: &Canonical) -> Guesses {
        let Some(token) = self.snapshot.credentials().session_token() else { return Guesses::new() };
        vec![used.with_parameter(TOKENS[0], token.expose()).into()]
    }

    /// Without one of the parameters, or without all that S3 does not know.
    fn fewer_parameters(&self, used: &Canonical) -> Guesses {
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
    fn more_parameters(&self, used: &Canonical) -> Guesses {
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

    /// Other hosts, each with the path that belongs to it.
    fn hosts(&self, used: &Canonical) -> Guesses {
        let mut key_path = String::new();
        if !self.place.key_path.is_empty() {
            key_path = super::escapes::canonical_path(&self.place.key_path);
        }
        let bucket = &self.place.bucket;
        let mut places: Vec<(String, String)> = Vec::new();
        let name = self.authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(self.authority, |(name, _)| name);
        let ports = [name.to_owned(), self.authority.to_owned(), format!("{name}:443"), format!("{name}:80")];
        places.extend(ports.map(|host| (host, used.path.clone())));
        for prepared in self.snapshot.recent_endpoints().take(MOST_PARTS) {
            let endpoint = prepared.endpoint();
            let base = endpoint.url().get(endpoint.path_at()..).unwrap_or_default();
            for path in [&used.path, &key_path] {
                places.push((endpoint.host().as_str().to_owned(), format!("{base}{path}")));
            }
        }
        if let Some(endpoint) = &self.snapshot.rules().endpoint.endpoint {
            let (authority, base) = place::split(endpoint);
            places.push((authority.clone(), format!("{base}{}", used.path)));
            places.push((authority.clone(), format!("{base}/{bucket}{key_path}")));
            places.push((format!("{bucket}.{authority}"), format!("{base}{key_path}")));
        }
        if !bucket.is_empty() {
            let region = &self.auth.region;
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            places.push((format!("{bucket}.s3.{region}.{suffix}"), key_path.clone()));
            places.push((format!("{bucket}.s3.{suffix}"), key_path.clone()));
            places.push((format!("s3.{region}.{suffix}"), format!("/{bucket}{key_path}")));
        }
        let other = |(host, path): &(String, String)| used.header("host") != Some(host) || *path != used.path;
        places.retain(other);
        places
            .into_iter()
            .map(|(host, path)| used.with_header("host", &host).with_path(path).into())
            .collect()
    }

    /// Paths that a normaliser would have made this one of.
    fn paths(&self, used: &Canonical) -> Guesses {
        let path = &used.path;
        let insert = |at: usize, text: &str| format!("{}{text}{}", &path[..at], &path[at..]);
        let mut paths = vec![format!("{path}/"), format!("/..{path}"), format!("/../..{path}")];
        for (at, _) in path.match_indices('/').take(MOST_PARTS) {
            paths.extend(["/", "//", "/."].map(|text| insert(at, text)));
        }
        paths.into_iter().map(|path| used.with_path(path).into()).collect()
    }

    /// Another region or service in the credential.
    fn scopes(&self, used: &Canonical) -> Guesses {
        let aws = self.place.aws.as_ref();
        let of_host = aws.and_then(|aws| aws.region.clone());
        let of_signer = self.snapshot.rules().endpoint.region.as_ref().map(ToString::to_string);
        let mut regions = vec![self.auth.region.clone()];
        regions.extend(of_host.into_iter().chain(of_signer).chain(["us-east-1".to_owned()]));
        if self.auth.region.is_empty() {
            regions.truncate(1);
        }
        let mut guesses = Guesses::new();
        for region in regions {
            for service in ["s3", "s3-outposts", "s3-object-lambda", "s3express"] {
                let scope = self.auth.scope(&region, service);
                let credential = format!("{}/{scope}", self.auth.access_key_id);
                let canonical = used.with_parameter("X-Amz-Credential", &credential);
                guesses.push(Guess { canonical, scope: Some((region.clone(), service)) });
            }
        }
        guesses
    }
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
    starts("x-amz-")
        || starts("response-")
        || OTHER_QUERY.iter().chain(&OPERATION_QUERY).any(|known| encoded(&known))
}
