//! What may have been signed when a signature does not fit: requests near to the one that is used. The one that the
//! signature fits is what was signed, and its difference to the one that is used is what went wrong.

use std::{cell::Cell, iter};

use super::{
    authentication::{Authentication, TOKENS},
    canonical::Canonical,
    escapes, near,
    place::{self, Place},
    url::Url,
};
use crate::presign::{
    partition::Partition,
    sign::{self, Verifier},
    snapshot::Snapshot,
};

/// So much is hashed in all before the search is given up: some milliseconds of work.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How many parts of one kind are looked at one by one: parts of the path, parameters, endpoints.
pub(super) const MOST_PARTS: usize = 48;

/// What looks for the request that was signed.
pub(super) struct Search<'a> {
    pub(super) auth: &'a Authentication,
    pub(super) snapshot: &'a Snapshot,
    pub(super) place: &'a Place,
    pub(super) url: &'a Url,
    /// For the scope in the URL.
    verifier: Verifier,
    /// How much was hashed for this explanation, by all that search.
    hashed: &'a Cell<usize>,
}

/// A request that may have been signed; the scope is another where the credential in its query is another.
pub(super) struct Guess {
    canonical: Canonical,
    scope: Option<(String, &'static str)>,
}

impl From<Canonical> for Guess {
    fn from(canonical: Canonical) -> Self {
        Self { canonical, scope: None }
    }
}

/// Made one by one: a request may be long.
pub(super) type Guesses<'g> = Box<dyn Iterator<Item = Guess> + 'g>;

impl<'a> Search<'a> {
    pub(super) fn new(
        auth: &'a Authentication,
        snapshot: &'a Snapshot,
        place: &'a Place,
        url: &'a Url,
        hashed: &'a Cell<usize>,
    ) -> Self {
        let credentials = snapshot.credentials();
        let verifier =
            Verifier::new(credentials, auth.algorithm, auth.signed_at, &auth.region, &auth.service);
        Self { auth, snapshot, place, url, verifier, hashed }
    }

    /// Whether the signature is that of a request.
    pub(super) fn fits(&self, canonical: &Canonical) -> bool {
        self.fits_in(&self.verifier, canonical, &self.auth.region, &self.auth.service)
    }

    fn fits_in(&self, verifier: &Verifier, canonical: &Canonical, region: &str, service: &str) -> bool {
        let text = canonical.text();
        self.hashed.set(self.hashed.get() + text.len());
        let scope = self.auth.scope_for(region, service);
        let text = sign::string_to_sign(self.auth.algorithm, &self.auth.date, scope, &text);
        verifier.fits(&text, &self.auth.signature)
    }

    /// The request that was signed, where it is near to the one that is used.
    pub(super) fn signed(&self, used: &Canonical) -> Option<Canonical> {
        let near = near::methods(used)
            .chain(near::encodings(used, self.url))
            .chain(near::content_types(used))
            .chain(self.token(used))
            .chain(near::fewer_parameters(used))
            .chain(near::lifetimes(used))
            .chain(self.hosts(used))
            .chain(near::paths(used))
            .chain(near::more_parameters(used))
            .chain(self.scopes(used));
        near.take_while(|_| self.hashed.get() < MOST_BYTES)
            .find(|guess| self.was_signed(guess))
            .map(|guess| guess.canonical)
    }

    fn was_signed(&self, guess: &Guess) -> bool {
        let Some((region, service)) = &guess.scope else { return self.fits(&guess.canonical) };
        let credentials = self.snapshot.credentials();
        let verifier = Verifier::new(credentials, self.auth.algorithm, self.auth.signed_at, region, service);
        self.fits_in(&verifier, &guess.canonical, region, service)
    }

    /// With the session token that belongs to the access key.
    fn token(&self, used: &Canonical) -> Option<Guess> {
        let token = self.snapshot.credentials().session_token()?;
        Some(used.with_parameter(TOKENS[0], token.expose()).into())
    }

    /// Other hosts, each with the path that belongs to it.
    fn hosts<'g>(&'g self, used: &'g Canonical) -> Guesses<'g> {
        let key_path = match self.place.key_path.as_str() {
            "" => String::new(),
            raw => escapes::canonical_path(raw, self.place.plus()),
        };
        let places =
            self.ports(used).chain(self.recent(used, &key_path)).chain(self.by_rule(used, &key_path));
        let others = places.filter(|(host, path)| used.header("host") != Some(host) || *path != used.path);
        let others: Vec<_> = others.collect();
        Box::new(
            others.into_iter().map(|(host, path)| used.with_header("host", &host).with_path(path).into()),
        )
    }

    /// The same host, with a port and without, and without the dot at its end.
    fn ports(&self, used: &Canonical) -> impl Iterator<Item = (String, String)> {
        let authority = self.url.authority.as_str();
        let name = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(authority, |(name, _)| name);
        let no_dot = name.trim_end_matches('.');
        let hosts = [name, authority, no_dot].map(str::to_owned).into_iter();
        let hosts = hosts.chain([format!("{no_dot}:443"), format!("{no_dot}:80")]);
        hosts.map(|host| (host, used.path.clone()))
    }

    /// Where the signer signed for lately: with the path as it is, behind the endpoint's own, and with the key's.
    fn recent(&self, used: &Canonical, key_path: &str) -> impl Iterator<Item = (String, String)> {
        self.snapshot.recent_endpoints().take(MOST_PARTS).flat_map(move |prepared| {
            let endpoint = prepared.endpoint();
            let base = endpoint.url().get(endpoint.path_at()..).unwrap_or_default();
            let host = endpoint.host().as_str();
            let paths = [used.path.clone(), format!("{base}{}", used.path), format!("{base}{key_path}")];
            paths.map(|path| (host.to_owned(), path))
        })
    }

    /// Where the bucket is by the rules of the signer, and by those of AWS.
    fn by_rule(&self, used: &Canonical, key_path: &str) -> Vec<(String, String)> {
        let (bucket, region) = (&self.place.bucket, &self.auth.region);
        let mut places = Vec::new();
        if let Some(endpoint) = self.snapshot.rules().endpoint.in_url() {
            let (authority, base) = place::split(endpoint);
            places.push((authority.clone(), used.path.clone()));
            places.push((format!("{bucket}.{authority}"), used.path.clone()));
            places.push((authority.clone(), format!("{base}{}", used.path)));
            places.push((authority.clone(), format!("{base}/{bucket}{key_path}")));
            places.push((format!("{bucket}.{authority}"), format!("{base}{key_path}")));
        }
        if !bucket.is_empty() {
            let suffix = Partition::of_region(region).dns_suffix;
            places.push((format!("{bucket}.s3.{region}.{suffix}"), key_path.to_owned()));
            places.push((format!("{bucket}.s3.{suffix}"), key_path.to_owned()));
            places.push((format!("s3.{region}.{suffix}"), format!("/{bucket}{key_path}")));
        }
        places
    }

    /// Another region or service in the credential.
    fn scopes<'g>(&'g self, used: &'g Canonical) -> Guesses<'g> {
        let of_host = self.place.aws.as_ref().and_then(|aws| aws.region.clone());
        let of_signer = self.snapshot.rules().endpoint.region.as_ref().map(ToString::to_string);
        let others = of_host.into_iter().chain(of_signer).chain(["us-east-1".to_owned()]);
        // The scope of SigV4A has no region.
        let others = others.filter(|_| !self.auth.region.is_empty());
        let regions = iter::once(self.auth.region.clone()).chain(others);
        let scopes = regions.flat_map(|region| SERVICES.map(|service| (region.clone(), service)));
        Box::new(scopes.map(|(region, service)| {
            let scope = self.auth.scope_for(&region, service);
            let credential = format!("{}/{scope}", self.auth.access_key_id);
            let canonical = used.with_parameter("X-Amz-Credential", &credential);
            Guess { canonical, scope: Some((region, service)) }
        }))
    }
}

/// The services that S3's hosts belong to.
const SERVICES: [&str; 4] = ["s3", "s3-outposts", "s3-object-lambda", "s3express"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{authentication::Parts, sent::Sent};
    use crate::presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointRules,
        expiry::Seconds,
        snapshot::Rules,
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
        let sent = Sent::new(&text, "GET", []).unwrap();
        let url = sent.url().unwrap();
        let auth = Authentication::read(url, &Parts::of(url)).ok().unwrap();
        let place = Place::of(url, url.host(), &[]);
        let used = Canonical::of(&sent, url, &auth, place.plus());
        let hashed = Cell::new(0);
        for number in 0..20 {
            let secret = Secret::from(format!("secret-{number}"));
            let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret, None, None);
            let rules = Rules {
                endpoint: EndpointRules::default(),
                default_expiry: Seconds::ONE,
                max_expiry: Seconds::ONE,
            };
            let snapshot = Snapshot::new(credentials, rules);
            let search = Search::new(&auth, &snapshot, &place, url, &hashed);
            assert!(search.signed(&used).is_none());
        }
        assert!(hashed.get() < MOST_BYTES + 2 * text.len(), "{} bytes", hashed.get());
    }
}
