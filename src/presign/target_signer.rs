//! Signs URLs for one target at one time. Everything that does not depend on the request is computed once.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use super::{
    canonical::{self, CanonicalRequest, UrlHeaders},
    encode,
    endpoint::Endpoint,
    error::Error,
    expiry::{Bounds, ReuseWindow, Seconds},
    keys::{NoRandomness, Nonces},
    request::Request,
    resolved_target::ResolvedTarget,
    sign::{Algorithm, Regions, RequestSigner},
    snapshot::Snapshot,
    target::Target,
    time::{AmzDate, round_down_to_second},
};

impl Snapshot {
    /// The signer for one target at one time. `bucket` is the field of the request.
    ///
    /// # Errors
    /// When `bucket` is not a valid target or has no endpoint; [`Error::NeedsSession`] when it is a directory bucket that
    /// needs the credentials of an S3 Express session, which these are not.
    pub fn target_signer(self: &Arc<Self>, bucket: &str, now: SystemTime) -> Result<TargetSigner, Error> {
        self.target_signer_in_window(bucket, now, None, None)
    }

    /// The same, but with a reuse window the signing time is the window's beginning. `window` and `expires_in` are the
    /// fields of the request.
    ///
    /// # Errors
    /// As [`Self::target_signer`], and [`Error::WindowTooLong`]. This is checked before a signing key is derived: with long
    /// windows, callers can choose days far in the past, whose keys would evict the ones in use.
    pub fn target_signer_in_window(
        self: &Arc<Self>,
        bucket: &str,
        now: SystemTime,
        window: Option<Seconds>,
        expires_in: Option<Seconds>,
    ) -> Result<TargetSigner, Error> {
        let target = self.resolve(bucket)?;
        if self.needs_session_for(&target) {
            return Err(Error::NeedsSession);
        }
        let window = window.map(|length| ReuseWindow::at(now, length));
        if let Some(window) = &window {
            let rules = self.rules();
            let bounds = Bounds { server: rules.max_expiry, policy: None, credentials: None, session: None };
            window.check(expires_in.unwrap_or(rules.default_expiry), &bounds)?;
        }
        Ok(TargetSigner::new(Arc::clone(self), target, now, window))
    }
}

/// Signs URLs for one target at one time.
pub struct TargetSigner {
    snapshot: Arc<Snapshot>,
    target: Arc<ResolvedTarget>,
    signed_at: SystemTime,
    window: Option<ReuseWindow>,
    /// The authentication parameters, up to and including `X-Amz-Expires=`.
    query_prefix: String,
    /// `&X-Amz-Region-Set=…`, encoded; empty under SigV4.
    region_set: String,
    request_signer: RequestSigner,
}

/// The authentication parameter that is last in canonical order.
const LAST_PARAMETER: &str = "X-Amz-SignedHeaders";

/// The usual length, in bytes, of a URL without key and token. Reserved at once, to avoid reallocations.
const TYPICAL_URL_BYTES: usize = 512;

impl TargetSigner {
    fn new(
        snapshot: Arc<Snapshot>,
        target: Arc<ResolvedTarget>,
        now: SystemTime,
        window: Option<ReuseWindow>,
    ) -> Self {
        let (signed_at, nonces) = match &window {
            Some(window) => (window.begins_at(), Nonces::Deterministic),
            None => (round_down_to_second(now), Nonces::Random),
        };
        let date = AmzDate::of(signed_at);
        let (credentials, scope) = (snapshot.credentials(), target.endpoint().scope());
        let mut query_prefix = String::with_capacity(192);
        query_prefix.push_str("X-Amz-Algorithm=");
        query_prefix.push_str(scope.algorithm().as_str());
        query_prefix.push_str("&X-Amz-Credential=");
        encode::query(credentials.access_key_id(), &mut query_prefix);
        query_prefix.push_str("%2F");
        scope.write(&date, "%2F", &mut query_prefix);
        query_prefix.push_str("&X-Amz-Date=");
        query_prefix.push_str(date.as_str());
        query_prefix.push_str("&X-Amz-Expires=");
        let mut region_set = String::new();
        if let Regions::Set(set) = &scope.regions {
            region_set.push_str("&X-Amz-Region-Set=");
            encode::query(set, &mut region_set);
        }
        let request_signer = RequestSigner::new(credentials, &date, signed_at, scope, nonces);
        Self { snapshot, target, signed_at, window, query_prefix, region_set, request_signer }
    }

    /// The target of its URLs.
    pub fn target(&self) -> &Target {
        self.target.target()
    }

    /// `X-Amz-Date`.
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// The reuse window, if any.
    pub(super) fn window(&self) -> Option<&ReuseWindow> {
        self.window.as_ref()
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.request_signer.algorithm()
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.target.endpoint()
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Appends the URL and its signature. Path and query of the canonical request are slices of the URL.
    pub(super) fn write_url(
        &self,
        request: &Request<'_>,
        granted: Seconds,
        url: &mut String,
    ) -> Result<(), NoRandomness> {
        let (endpoint, key) = (self.target.endpoint(), request.key.as_str());
        let url_start = url.len();
        url.reserve(TYPICAL_URL_BYTES + key.len() + self.snapshot.token().len());
        url.push_str(endpoint.url());
        // A bucket in the path has no trailing slash, as with boto3. An empty path becomes a slash.
        if !key.is_empty() || endpoint.path_offset() == endpoint.url().len() {
            url.push('/');
            encode::path(key, url);
        }
        let path_end = url.len();
        url.push('?');
        self.write_query(request, granted, url);

        let canonical = CanonicalRequest {
            method_line: &canonical::method_line(request.operation.method),
            path: &url[url_start + endpoint.path_offset()..path_end],
            query: &url[path_end + 1..],
            headers: UrlHeaders { host: endpoint.host(), headers: request.headers },
        };
        let signature = self.request_signer.sign(&canonical)?;
        url.push_str("&X-Amz-Signature=");
        url.push_str(signature.as_str());
        Ok(())
    }

    /// Appends the authentication parameters and those of the request, in canonical order.
    fn write_query(&self, request: &Request<'_>, granted: Seconds, url: &mut String) {
        let others = request.query.canonical(request.operation.subresource);
        let query_start = url.len();
        url.push_str(&self.query_prefix);
        url.push_str(itoa::Buffer::new().format(granted.get()));
        url.push_str(&self.region_set);
        url.push_str(self.snapshot.token());
        url.push_str("&X-Amz-SignedHeaders=");
        if request.headers.is_empty() {
            url.push_str("host");
        } else {
            canonical::write_signed_names(request.headers, &mut |piece| encode::query(piece, url));
        }
        let split = others.partition_point(|(name, _)| name.as_ref() < LAST_PARAMETER);
        let (before_last, after_last) = others.split_at(split);
        if !before_last.is_empty() {
            insert_sorted(before_last, query_start, url);
        }
        for (name, value) in after_last {
            write_parameter("&", name, value, url);
        }
    }
}

/// Inserts sorted parameters into the sorted authentication parameters, which begin at byte offset `query_start`.
fn insert_sorted(others: &[(Cow<'_, str>, &str)], query_start: usize, url: &mut String) {
    let authentication = url.split_off(query_start);
    let mut others = others.iter().peekable();
    let mut separator = "";
    for pair in authentication.split('&') {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        while let Some((name, value)) = others.next_if(|(other, _)| other.as_ref() < name) {
            write_parameter(separator, name, value, url);
            separator = "&";
        }
        url.push_str(separator);
        url.push_str(pair);
        separator = "&";
    }
}

fn write_parameter(separator: &str, name: &str, value: &str, url: &mut String) {
    for piece in [separator, name, "="] {
        url.push_str(piece);
    }
    encode::query(value, url);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_inserted_in_canonical_order() {
        let mut url = "x?X-Amz-Algorithm=a&X-Amz-Date=d&X-Amz-SignedHeaders=host".to_owned();
        let others = [("A", "1/2"), ("X-Amz-Acl", "3"), ("X-Amz-Meta-b", "4"), ("X-Amz-Meta-c", "")];
        let others: Vec<_> = others.map(|(name, value)| (Cow::Borrowed(name), value)).into();
        insert_sorted(&others, 2, &mut url);
        assert_eq!(
            url,
            "x?A=1%2F2&X-Amz-Acl=3&X-Amz-Algorithm=a&X-Amz-Date=d&X-Amz-Meta-b=4&X-Amz-Meta-c=\
             &X-Amz-SignedHeaders=host"
        );
    }
}
