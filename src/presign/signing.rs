//! What repeats from URL to URL of one target at one time, done once.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use super::{
    canonical::{self, CanonicalRequest, UrlHeaders},
    encode,
    endpoint::Endpoint,
    error::Error,
    expiry::{Bounds, Seconds, Window},
    keys::{NoRandomness, Nonces},
    prepared::Prepared,
    request::Request,
    sign::{Algorithm, Pen, Regions},
    snapshot::Snapshot,
    target::Target,
    time::{AmzDate, whole_seconds},
};

impl Snapshot {
    /// Gets ready to sign for a target at one time. `bucket` is what a request calls it.
    ///
    /// # Errors
    /// When it is no target, or has no endpoint under the rules; [`Error::NeedsSession`] when it is a directory bucket,
    /// and these are not the credentials of its session.
    pub fn signing(self: &Arc<Self>, bucket: &str, now: SystemTime) -> Result<Signing, Error> {
        self.signing_in_window(bucket, now, None, None)
    }

    /// The same, for URLs that are alike within a window: the time is that of its beginning. `expires_in` is that of the
    /// request.
    ///
    /// # Errors
    /// As [`Self::signing`]; and [`Error::WindowTooLong`], before a signing key is derived for the window: a caller may
    /// ask for windows at any time in the past, and the keys in use are to be kept.
    pub fn signing_in_window(
        self: &Arc<Self>,
        bucket: &str,
        now: SystemTime,
        window: Option<Seconds>,
        expires_in: Option<Seconds>,
    ) -> Result<Signing, Error> {
        let prepared = self.prepared(bucket)?;
        if self.lacks_session_for(&prepared) {
            return Err(Error::NeedsSession);
        }
        let window = window.map(|length| Window::at(now, length));
        if let Some(window) = &window {
            let rules = self.rules();
            let bounds = Bounds { server: rules.max_expiry, policy: None, credentials: None, session: None };
            window.check(expires_in.unwrap_or(rules.default_expiry), &bounds)?;
        }
        Ok(Signing::new(Arc::clone(self), prepared, now, window))
    }
}

/// What signs URLs for one target at one time.
pub struct Signing {
    snapshot: Arc<Snapshot>,
    prepared: Arc<Prepared>,
    signed_at: SystemTime,
    window: Option<Window>,
    /// The authentication parameters up to the value of `X-Amz-Expires`.
    head: String,
    /// `&X-Amz-Region-Set=…`, encoded; empty under SigV4.
    region_set: String,
    pen: Pen,
}

/// The authentication parameter that is last in canonical order.
const LAST_PARAMETER: &str = "X-Amz-SignedHeaders";

/// Room for what is neither key nor token, so that a URL grows in one piece.
const USUAL_LENGTH: usize = 512;

impl Signing {
    fn new(
        snapshot: Arc<Snapshot>,
        prepared: Arc<Prepared>,
        now: SystemTime,
        window: Option<Window>,
    ) -> Self {
        let (signed_at, nonces) = match &window {
            Some(window) => (window.begins_at(), Nonces::Derived),
            None => (whole_seconds(now), Nonces::Random),
        };
        let date = AmzDate::of(signed_at);
        let (credentials, scope) = (snapshot.credentials(), prepared.endpoint().scope());
        let mut head = String::with_capacity(192);
        head.push_str("X-Amz-Algorithm=");
        head.push_str(scope.algorithm().as_str());
        head.push_str("&X-Amz-Credential=");
        encode::query(credentials.access_key_id(), &mut head);
        head.push_str("%2F");
        scope.write(&date, "%2F", &mut head);
        head.push_str("&X-Amz-Date=");
        head.push_str(date.as_str());
        head.push_str("&X-Amz-Expires=");
        let mut region_set = String::new();
        if let Regions::Set(set) = &scope.regions {
            region_set.push_str("&X-Amz-Region-Set=");
            encode::query(set, &mut region_set);
        }
        let pen = Pen::new(credentials, &date, signed_at, scope, nonces);
        Self { snapshot, prepared, signed_at, window, head, region_set, pen }
    }

    /// What it signs for.
    pub fn target(&self) -> &Target {
        self.prepared.target()
    }

    /// `X-Amz-Date`.
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// The window in which its URLs are alike.
    pub(super) fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.pen.algorithm()
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.prepared.endpoint()
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Appends the URL, from left to right, and its signature. Path and query of the canonical request are slices of
    /// the URL.
    pub(super) fn write_url(
        &self,
        request: &Request<'_>,
        granted: Seconds,
        url: &mut String,
    ) -> Result<(), NoRandomness> {
        let (endpoint, key) = (self.prepared.endpoint(), request.key.as_str());
        let starts = url.len();
        url.reserve(USUAL_LENGTH + key.len() + self.snapshot.token().len());
        url.push_str(endpoint.url());
        // A bucket in the path is asked for without a slash behind it, as boto3 does; a path is never empty.
        if !key.is_empty() || endpoint.path_at() == endpoint.url().len() {
            url.push('/');
            encode::path(key, url);
        }
        let path_ends = url.len();
        url.push('?');
        self.write_query(request, granted, url);

        let canonical = CanonicalRequest {
            method_line: &canonical::method_line(request.operation.method),
            path: &url[starts + endpoint.path_at()..path_ends],
            query: &url[path_ends + 1..],
            headers: UrlHeaders { host: endpoint.host(), headers: request.headers },
        };
        let signature = self.pen.signature(&canonical)?;
        url.push_str("&X-Amz-Signature=");
        url.push_str(signature.as_str());
        Ok(())
    }

    /// The parameters of the authentication and of the request, in canonical order.
    fn write_query(&self, request: &Request<'_>, granted: Seconds, url: &mut String) {
        let others = request.query.canonical(request.operation.subresource);
        let starts = url.len();
        url.push_str(&self.head);
        url.push_str(itoa::Buffer::new().format(granted.get()));
        url.push_str(&self.region_set);
        url.push_str(self.snapshot.token());
        url.push_str("&X-Amz-SignedHeaders=");
        if request.headers.is_empty() {
            url.push_str("host");
        } else {
            canonical::write_signed_names(request.headers, &mut |piece| encode::query(piece, url));
        }
        let behind = others.partition_point(|(name, _)| name.as_ref() < LAST_PARAMETER);
        let (among, behind) = others.split_at(behind);
        if !among.is_empty() {
            put_among(among, starts, url);
        }
        for (name, value) in behind {
            write_parameter("&", name, value, url);
        }
    }
}

/// Sorts parameters into the authentication parameters that stand from `starts` on.
fn put_among(others: &[(Cow<'_, str>, &str)], starts: usize, url: &mut String) {
    let authentication = url.split_off(starts);
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
    fn parameters_that_sort_among_those_of_the_authentication_are_put_there() {
        let mut url = "x?X-Amz-Algorithm=a&X-Amz-Date=d&X-Amz-SignedHeaders=host".to_owned();
        let others = [("A", "1/2"), ("X-Amz-Acl", "3"), ("X-Amz-Meta-b", "4"), ("X-Amz-Meta-c", "")];
        let others: Vec<_> = others.map(|(name, value)| (Cow::Borrowed(name), value)).into();
        put_among(&others, 2, &mut url);
        assert_eq!(
            url,
            "x?A=1%2F2&X-Amz-Acl=3&X-Amz-Algorithm=a&X-Amz-Date=d&X-Amz-Meta-b=4&X-Amz-Meta-c=\
             &X-Amz-SignedHeaders=host"
        );
    }
}
