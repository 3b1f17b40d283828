//! presignd's core, as a contender: from the texts of a request to a URL. The one file here that knows the core's API.

use std::sync::Arc;

use presignd::{
    clock::Stopwatch,
    metrics::{CallCounts, Metrics, OperationLabel, SignerMetrics},
    presign::{
        self, Request,
        credentials::{Credentials, Secret},
        endpoint::EndpointRules,
        expiry::{SERVICE_MAXIMUM, Seconds},
        name::ObjectKey,
        operation,
        parameters::{Headers, Query},
        presigned::Presigned,
        signing::Signing,
        snapshot::{Rules, Snapshot},
    },
};

use crate::{contenders::Contender, work};

/// A signer, as a batch uses it: what signs for the last bucket stays at hand for one clock reading, and URLs are
/// written into memory that serves all of them.
pub(crate) struct Ours {
    snapshot: Arc<Snapshot>,
    bucket: String,
    at_hand: Option<(String, Signing)>,
    expires_in: Seconds,
    url: String,
}

impl Ours {
    /// A signer with AWS's example credentials.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        Self {
            snapshot: snapshot(token),
            bucket: bucket.to_owned(),
            at_hand: None,
            expires_in: expires_in(),
            url: String::new(),
        }
    }

    /// The URL for a key.
    pub(crate) fn url(&mut self, key: &str) -> String {
        self.sign(key);
        self.url.clone()
    }

    /// Makes the URL for a key; its length.
    pub(crate) fn sign(&mut self, key: &str) -> usize {
        self.presign(key);
        self.url.len()
    }

    fn presign(&mut self, key: &str) -> (Presigned, &Signing) {
        let bucket = std::hint::black_box(&self.bucket);
        if self.at_hand.as_ref().is_none_or(|(other, _)| other != bucket) {
            self.at_hand = Some((bucket.clone(), signing(&self.snapshot, bucket)));
        }
        let (_, signing) = self.at_hand.as_ref().expect("it was put there");
        self.url.clear();
        (write_url(signing, key, self.expires_in, &mut self.url), signing)
    }
}

impl Contender for Ours {
    fn sign(&mut self, key: &str) -> usize {
        self.sign(key)
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.url(key))
    }
}

/// The same, with the metrics that the service keeps of it: counted together for a batch of 1,000, one in eight timed.
pub(crate) struct Counted {
    ours: Ours,
    metrics: &'static Metrics,
    signer: &'static SignerMetrics,
    counts: CallCounts<'static>,
    signed: usize,
}

impl Counted {
    /// A signer with AWS's example credentials. What it counts into stays until the end of the process.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        let metrics: &'static Metrics = Box::leak(Box::default());
        let signer = Box::leak(Box::new(metrics.signer("default")));
        Self { ours: Ours::new(token, bucket), metrics, signer, counts: CallCounts::new(metrics), signed: 0 }
    }
}

impl Contender for Counted {
    fn sign(&mut self, key: &str) -> usize {
        if self.signed.is_multiple_of(1_000) {
            self.counts = CallCounts::new(self.metrics);
        }
        let watch = self.signed.is_multiple_of(8).then(Stopwatch::start);
        let (presigned, signing) = self.ours.presign(key);
        if let Some(watch) = watch {
            self.counts.record_time(signing.algorithm(), watch.elapsed());
        }
        self.counts.count_signed(
            self.signer,
            OperationLabel::of(&operation::GET_OBJECT),
            signing.target().kind(),
            &presigned,
        );
        self.signed += 1;
        self.ours.url.len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.ours.url(key))
    }
}

/// A signer, as a call for a single URL uses it: it gets ready for the bucket at this call's time, and the URL is new.
pub(crate) struct Unary {
    snapshot: Arc<Snapshot>,
    bucket: String,
    expires_in: Seconds,
}

impl Unary {
    /// A signer with AWS's example credentials.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        Self { snapshot: snapshot(token), bucket: bucket.to_owned(), expires_in: expires_in() }
    }

    fn presigned(&self, key: &str) -> String {
        let mut url = String::new();
        write_url(&signing(&self.snapshot, &self.bucket), key, self.expires_in, &mut url);
        url
    }
}

impl Contender for Unary {
    fn sign(&mut self, key: &str) -> usize {
        self.presigned(key).len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.presigned(key))
    }
}

fn snapshot(token: Option<&str>) -> Arc<Snapshot> {
    let secret = |text: &str| Secret::from(text.to_owned());
    let credentials =
        Credentials::new(work::ACCESS_KEY.to_owned(), secret(work::SECRET_KEY), token.map(secret), None);
    let region = Some(work::REGION.parse().expect("a region"));
    let rules = Rules {
        endpoint: EndpointRules { region, ..Default::default() },
        default_expiry: expires_in(),
        max_expiry: SERVICE_MAXIMUM,
    };
    Arc::new(Snapshot::new(credentials, rules))
}

fn expires_in() -> Seconds {
    Seconds::rounded_down(work::EXPIRES_IN).expect("more than a second")
}

fn signing(snapshot: &Arc<Snapshot>, bucket: &str) -> Signing {
    snapshot.signing(bucket, work::signed_at()).expect("a target")
}

fn write_url(signing: &Signing, key: &str, expires_in: Seconds, url: &mut String) -> Presigned {
    let request = Request {
        key: ObjectKey::try_from(key).expect("a key"),
        operation: &operation::GET_OBJECT,
        headers: &Headers::default(),
        query: &Query::default(),
        expires_in: Some(expires_in),
        min_expires_in: None,
    };
    presign::presign(&request, signing, url).expect("it can be signed")
}
