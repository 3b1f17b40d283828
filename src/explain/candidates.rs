//! Requests that may have been signed when a signature does not match: small variations of the given request. The
//! candidate that the signature matches is the signed request, and its differences from the given one are the cause.

mod variations;

use std::{cell::Cell, iter};

use self::variations::{
    add_parameters, drop_parameters, vary_content_type, vary_encoding, vary_lifetime, vary_method, vary_path,
};
use super::{
    authentication::TOKENS,
    canonical::{CanonicalParts, ParsedRequest},
    target::split_endpoint,
    url::canonicalize_path,
};
use crate::presign::{
    partition::Partition,
    sign::{self, Verifier},
    snapshot::Snapshot,
};

/// The budget of one explanation, in hashed bytes: some milliseconds of work.
const MAX_HASHED_BYTES: usize = 4 * 1024 * 1024;

/// The most parts of one kind that are varied: path segments, parameters, endpoints.
const MAX_VARIED_PARTS: usize = 48;

/// Searches for the signed request with the credentials of one signer.
pub(super) struct CandidateSearch<'a> {
    request: ParsedRequest<'a>,
    snapshot: &'a Snapshot,
    /// Verifies with the scope of the URL.
    verifier: Verifier,
    /// The bytes hashed by all searches of this explanation.
    hashed: &'a Cell<usize>,
}

/// A request that may have been signed.
struct Candidate {
    canonical: CanonicalParts,
    /// Region and service, when they differ from those in the URL.
    scope: Option<(String, &'static str)>,
}

impl From<CanonicalParts> for Candidate {
    fn from(canonical: CanonicalParts) -> Self {
        Self { canonical, scope: None }
    }
}

/// Candidates, created lazily: a request may be long.
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

    /// Whether the signature matches a request.
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

    /// Finds the signed request among the candidates, the likeliest first.
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
        candidates.find(|candidate| self.is_signed(candidate)).map(|candidate| candidate.canonical)
    }

    fn is_signed(&self, candidate: &Candidate) -> bool {
        let Some((region, service)) = &candidate.scope else { return self.matches(&candidate.canonical) };
        let (auth, credentials) = (self.request.auth, self.snapshot.credentials());
        let verifier = Verifier::new(credentials, auth.algorithm, auth.signed_at, region, service);
        self.matches_in(&verifier, &candidate.canonical, region, service)
    }

    /// The session token that belongs to the access key.
    fn vary_token(&self, used: &CanonicalParts) -> Option<Candidate> {
        let token = self.snapshot.credentials().session_token()?;
        Some(used.with_parameter(TOKENS[0], token.expose()).into())
    }

    /// Other hosts, each with the paths that a request for it would have.
    fn vary_host<'c>(&'c self, used: &'c CanonicalParts) -> Candidates<'c> {
        let target = self.request.target;
        let key_path = match target.key_path.as_str() {
            "" => String::new(),
            raw => canonicalize_path(raw, target.plus_meaning()),
        };
        let mut hosts = self.list_ports(used);
        hosts.extend(self.list_recent_endpoints(used, &key_path));
        hosts.extend(self.list_endpoints_by_rule(used, &key_path));
        hosts.retain(|(host, path)| used.header("host") != Some(host) || *path != used.path);
        let candidates = hosts.into_iter();
        Box::new(candidates.map(|(host, path)| used.with_header("host", &host).with_path(path).into()))
    }

    /// The same host with a port, without it, and without a dot at its end.
    fn list_ports(&self, used: &CanonicalParts) -> Vec<(String, String)> {
        let authority = self.request.url.authority.as_str();
        let name = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(authority, |(name, _)| name);
        let no_dot = name.trim_end_matches('.');
        let (https, http) = (format!("{no_dot}:443"), format!("{no_dot}:80"));
        [name, authority, no_dot, &https, &http].map(|host| (host.to_owned(), used.path.clone())).into()
    }

    /// The endpoints in the signer's cache, with three paths each: the given one, the given one after the base path, and
    /// the base path with the key.
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

    /// The endpoints of the bucket by the signer's settings and by AWS's rules.
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

    /// Other regions and services in the credential.
    fn vary_scope<'c>(&'c self, used: &'c CanonicalParts) -> Candidates<'c> {
        let auth = self.request.auth;
        let host_region = self.request.target.aws.as_ref().and_then(|aws| aws.region.clone());
        let signer_region = self.snapshot.rules().endpoint.region.as_ref().map(ToString::to_string);
        let others = host_region.into_iter().chain(signer_region).chain(["us-east-1".to_owned()]);
        // No region for SigV4A: its scope has none.
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

/// The services in the credential scopes of S3's hosts.
const SERVICES: [&str; 4] = ["s3", "s3-outposts", "s3-object-lambda", "s3express"];

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
    fn signers_with_one_access_key_share_the_hash_budget() {
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
        let target = UrlTarget::from_url(url, url.host(), &[]);
        let request = ParsedRequest { used: &used, url, auth: &auth, target: &target };
        let canonical = CanonicalParts::from_request(&request);
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
