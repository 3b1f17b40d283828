//! What may have been signed when a signature does not match: candidates close to the request that is used. If the
//! signature matches one of them, that one was signed, and its difference to the request that is used is the cause.

use std::{cell::Cell, iter};

use super::{
    authentication::TOKENS,
    compare::{CanonicalParts, ParsedRequest},
    request::{Url, canonical_path},
    target::split_endpoint,
};
use crate::presign::{
    encode,
    parameters::OPERATION_QUERY,
    partition::Partition,
    sign::{self, Verifier},
    snapshot::Snapshot,
};

/// The search ends when so many bytes were hashed in all: some milliseconds of work.
const MAX_HASHED_BYTES: usize = 4 * 1024 * 1024;

/// How many parts of one kind are varied one by one: path segments, parameters, endpoints.
const MAX_VARIED_PARTS: usize = 48;

/// Searches for the request that was signed, with the credentials of one signer.
pub(super) struct CandidateSearch<'a> {
    request: ParsedRequest<'a>,
    snapshot: &'a Snapshot,
    /// For the scope in the URL.
    verifier: Verifier,
    /// The bytes hashed for this explanation, by all its searches.
    hashed: &'a Cell<usize>,
}

/// A request that may have been signed.
struct Candidate {
    canonical: CanonicalParts,
    /// Region and service, if its credential has others.
    scope: Option<(String, &'static str)>,
}

impl From<CanonicalParts> for Candidate {
    fn from(canonical: CanonicalParts) -> Self {
        Self { canonical, scope: None }
    }
}

/// Made one by one: a request may be long.
type Candidates<'c> = Box<dyn Iterator<Item = Candidate> + 'c>;

impl<'a> CandidateSearch<'a> {
    pub(super) fn new(request: ParsedRequest<'a>, snapshot: &'a Snapshot, hashed: &'a Cell<usize>) -> Self {
        let (auth, credentials) = (request.auth, snapshot.credentials());
        let verifier =
            Verifier::new(credentials, auth.algorithm, auth.signed_at, &auth.region, &auth.service);
        Self { request, snapshot, verifier, hashed }
    }

    /// The signer's credentials and rules.
    pub(super) fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Whether the signature is that of a request.
    pub(super) fn matches(&self, canonical: &CanonicalParts) -> bool {
        let auth = self.request.auth;
        self.matches_in(&self.verifier, canonical, &auth.region, &auth.service)
    }

    fn matches_in(
        &self,
        verifier: &Verifier,
        canonical: &CanonicalParts,
        region: &str,
        service: &str,
    ) -> bool {
        let auth = self.request.auth;
        let text = canonical.text();
        self.hashed.set(self.hashed.get() + text.len());
        let scope = auth.scope_for(region, service);
        verifier.is_valid(&sign::string_to_sign(auth.algorithm, &auth.date, scope, &text), &auth.signature)
    }

    /// The candidate that was signed.
    pub(super) fn find(&self, used: &CanonicalParts) -> Option<CanonicalParts> {
        let mut candidates = vary_method(used)
            .chain(vary_encoding(used, self.request.url))
            .chain(vary_content_type(used))
            .chain(self.vary_token(used))
            .chain(drop_parameters(used))
            .chain(vary_lifetime(used))
            .chain(self.vary_host(used))
            .chain(vary_path(used))
            .chain(add_parameters(used))
            .chain(self.vary_scope(used))
            .take_while(|_| self.hashed.get() < MAX_HASHED_BYTES);
        candidates.find(|candidate| self.was_signed(candidate)).map(|candidate| candidate.canonical)
    }

    fn was_signed(&self, candidate: &Candidate) -> bool {
        let Some((region, service)) = &candidate.scope else { return self.matches(&candidate.canonical) };
        let (auth, credentials) = (self.request.auth, self.snapshot.credentials());
        let verifier = Verifier::new(credentials, auth.algorithm, auth.signed_at, region, service);
        self.matches_in(&verifier, &candidate.canonical, region, service)
    }

    /// With the session token that belongs to the access key.
    fn vary_token(&self, used: &CanonicalParts) -> Option<Candidate> {
        let token = self.snapshot.credentials().session_token()?;
        Some(used.with_parameter(TOKENS[0], token.expose()).into())
    }

    /// Other hosts, each with the paths that belong to it.
    fn vary_host<'c>(&'c self, used: &'c CanonicalParts) -> Candidates<'c> {
        let target = self.request.target;
        let key_path = match target.key_path.as_str() {
            "" => String::new(),
            raw => canonical_path(raw, target.plus()),
        };
        let mut hosts = self.list_ports(used);
        hosts.extend(self.list_recent_endpoints(used, &key_path));
        hosts.extend(self.list_endpoints_by_rule(used, &key_path));
        hosts.retain(|(host, path)| used.header("host") != Some(host) || *path != used.path);
        let candidates = hosts.into_iter();
        Box::new(candidates.map(|(host, path)| used.with_header("host", &host).with_path(path).into()))
    }

    /// The same host, with a port and without, and without the dot at its end.
    fn list_ports(&self, used: &CanonicalParts) -> Vec<(String, String)> {
        let authority = self.request.url.authority.as_str();
        let name = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(authority, |(name, _)| name);
        let no_dot = name.trim_end_matches('.');
        let (https, http) = (format!("{no_dot}:443"), format!("{no_dot}:80"));
        [name, authority, no_dot, &https, &http].map(|host| (host.to_owned(), used.path.clone())).into()
    }

    /// The endpoints that the signer used lately: with the path as it is, after the base path, and with the key's path.
    fn list_recent_endpoints(
        &self,
        used: &CanonicalParts,
        key_path: &str,
    ) -> impl Iterator<Item = (String, String)> {
        self.snapshot.recent_targets().take(MAX_VARIED_PARTS).flat_map(move |resolved| {
            let endpoint = resolved.endpoint();
            let base = endpoint.url().get(endpoint.path_offset()..).unwrap_or_default();
            let paths = [used.path.clone(), format!("{base}{}", used.path), format!("{base}{key_path}")];
            paths.map(|path| (endpoint.host().as_str().to_owned(), path))
        })
    }

    /// The endpoints of the bucket by the signer's rules and by those of AWS.
    fn list_endpoints_by_rule(&self, used: &CanonicalParts, key_path: &str) -> Vec<(String, String)> {
        let (bucket, region) = (&self.request.target.bucket, &self.request.auth.region);
        let mut hosts = Vec::new();
        if let Some(endpoint) = self.snapshot.rules().endpoint.url_endpoint() {
            let (authority, base) = split_endpoint(endpoint);
            hosts.push((authority.clone(), used.path.clone()));
            hosts.push((format!("{bucket}.{authority}"), used.path.clone()));
            hosts.push((authority.clone(), format!("{base}{}", used.path)));
            hosts.push((authority.clone(), format!("{base}/{bucket}{key_path}")));
            hosts.push((format!("{bucket}.{authority}"), format!("{base}{key_path}")));
        }
        if !bucket.is_empty() {
            let suffix = Partition::of_region(region).dns_suffix;
            hosts.push((format!("{bucket}.s3.{region}.{suffix}"), key_path.to_owned()));
            hosts.push((format!("{bucket}.s3.{suffix}"), key_path.to_owned()));
            hosts.push((format!("s3.{region}.{suffix}"), format!("/{bucket}{key_path}")));
        }
        hosts
    }

    /// With another region or service in the credential.
    fn vary_scope<'c>(&'c self, used: &'c CanonicalParts) -> Candidates<'c> {
        let auth = self.request.auth;
        let of_host = self.request.target.aws.as_ref().and_then(|aws| aws.region.clone());
        let of_signer = self.snapshot.rules().endpoint.region.as_ref().map(ToString::to_string);
        let others = of_host.into_iter().chain(of_signer).chain(["us-east-1".to_owned()]);
        // The scope of SigV4A has no region.
        let others = others.filter(|_| !auth.region.is_empty());
        let regions = iter::once(auth.region.clone()).chain(others);
        let scopes = regions.flat_map(|region| SERVICES.map(|service| (region.clone(), service)));
        Box::new(scopes.map(|(region, service)| {
            let credential = format!("{}/{}", auth.access_key_id, auth.scope_for(&region, service));
            let canonical = used.with_parameter("X-Amz-Credential", &credential);
            Candidate { canonical, scope: Some((region, service)) }
        }))
    }
}

/// The services that S3's hosts belong to.
const SERVICES: [&str; 4] = ["s3", "s3-outposts", "s3-object-lambda", "s3express"];

/// With another method.
fn vary_method(used: &CanonicalParts) -> Candidates<'_> {
    let methods = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter();
    let others = methods.filter(|method| *method != used.method);
    Box::new(others.map(|method| CanonicalParts { method: method.to_owned(), ..used.clone() }.into()))
}

/// Encoded once more or once less, and with pluses read differently.
fn vary_encoding<'c>(used: &'c CanonicalParts, url: &'c Url) -> Candidates<'c> {
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
    Box::new(used.with_other_pluses(url).into_iter().chain(reencoded).map(Into::into))
}

/// With content types that clients and browsers send instead of the signed one.
fn vary_content_type(used: &CanonicalParts) -> Candidates<'_> {
    let Some(sent) = used.header("content-type") else { return Box::new(iter::empty()) };
    let plain = sent.split(';').next().unwrap_or_default().trim_end();
    let charsets = ["", "; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8"];
    let types = charsets.into_iter().map(move |charset| format!("{plain}{charset}"));
    let types = types.chain([sent.to_ascii_lowercase()]).chain(CONTENT_TYPES.map(str::to_owned));
    let others = types.filter(move |known| known != sent);
    Box::new(others.map(|known| used.with_header("content-type", &known).into()))
}

/// Without one of the parameters, or without all that S3 does not know.
fn drop_parameters(used: &CanonicalParts) -> Candidates<'_> {
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

/// With a parameter that chooses the operation, or one that an SDK adds.
fn add_parameters(used: &CanonicalParts) -> Candidates<'_> {
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

/// With another lifetime, of those that are usual: somebody may have edited it.
fn vary_lifetime(used: &CanonicalParts) -> Candidates<'_> {
    let usual = ["60", "300", "900", "3600", "43200", "86400", "604800"].into_iter();
    Box::new(usual.map(|seconds| used.with_parameter("X-Amz-Expires", seconds).into()))
}

/// Paths that a normaliser turns into this one, and those with a slash less.
fn vary_path(used: &CanonicalParts) -> Candidates<'_> {
    let path = used.path.as_str();
    let insert = move |index: usize, text: &str| format!("{}{text}{}", &path[..index], &path[index..]);
    let slashes = path.match_indices('/').map(|(index, _)| index).take(MAX_VARIED_PARTS);
    let inside = slashes.flat_map(move |index| ["/", "//", "/."].map(|text| insert(index, text)));
    let around = [insert(path.len(), "/"), insert(0, "/.."), insert(0, "/../..")].into_iter();
    // An extra slash is next to another one, or at the end.
    let doubled = path.match_indices("//").map(|(index, _)| index).take(MAX_VARIED_PARTS);
    let at_end = path.ends_with('/').then(|| path.len() - 1);
    let fewer = doubled.chain(at_end).map(move |index| format!("{}{}", &path[..index], &path[index + 1..]));
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

/// Query parameters of S3's operations that do not choose the operation.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{
        authentication::{Authentication, AuthenticationParts},
        request::UsedRequest,
        target::UrlTarget,
    };
    use crate::presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointRules,
        expiry::Seconds,
        snapshot::SigningRules,
    };

    #[test]
    fn all_signers_with_one_access_key_hash_no_more_than_one_may() {
        let text = format!(
            "https://b.s3.us-east-1.amazonaws.com/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20130524T000000Z\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=900\
             &X-Amz-SignedHeaders=host&X-Amz-Signature={}",
            "a/".repeat(16 * 1024),
            "0".repeat(64)
        );
        let used = UsedRequest::new(&text, "GET", []).unwrap();
        let url = used.url().unwrap();
        let auth = Authentication::parse(url, &AuthenticationParts::read(url)).ok().unwrap();
        let target = UrlTarget::find(url, url.host(), &[]);
        let request = ParsedRequest { used: &used, url, auth: &auth, target: &target };
        let canonical = CanonicalParts::of(&request);
        let hashed = Cell::new(0);
        for number in 0..20 {
            let secret = Secret::from(format!("secret-{number}"));
            let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret, None, None);
            let rules = SigningRules {
                endpoint: EndpointRules::default(),
                default_expiry: Seconds::ONE,
                max_expiry: Seconds::ONE,
            };
            let snapshot = Snapshot::new(credentials, rules);
            let search = CandidateSearch::new(request, &snapshot, &hashed);
            assert!(search.find(&canonical).is_none());
        }
        assert!(hashed.get() < MAX_HASHED_BYTES + 2 * text.len(), "{} bytes", hashed.get());
    }
}
