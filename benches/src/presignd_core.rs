//! The core of presignd as a contender: from the strings of a request to a URL. No other file of the contenders uses the API
//! of the core.

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
        snapshot::{SigningRules, Snapshot},
        target_signer::TargetSigner,
    },
};

use crate::{contenders::Contender, work};

/// The core as a batch uses it: the signing state of the last bucket is cached for one clock reading, and all URLs are
/// written into the same buffer.
pub(crate) struct PresigndBatch {
    snapshot: Arc<Snapshot>,
    bucket: String,
    cached: Option<(String, TargetSigner)>,
    expires_in: Seconds,
    url: String,
}

impl PresigndBatch {
    /// A signer with the example credentials of AWS.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        Self {
            snapshot: snapshot(token),
            bucket: bucket.to_owned(),
            cached: None,
            expires_in: expires_in(),
            url: String::new(),
        }
    }

    /// The URL for a key.
    pub(crate) fn url(&mut self, key: &str) -> String {
        self.sign(key);
        self.url.clone()
    }

    /// Signs the URL for a key and returns its length.
    pub(crate) fn sign(&mut self, key: &str) -> usize {
        self.presign(key);
        self.url.len()
    }

    fn presign(&mut self, key: &str) -> (Presigned, &TargetSigner) {
        let bucket = std::hint::black_box(&self.bucket);
        if self.cached.as_ref().is_none_or(|(other, _)| other != bucket) {
            self.cached = Some((bucket.clone(), target_signer(&self.snapshot, bucket)));
        }
        let (_, signer) = self.cached.as_ref().expect("it was just cached");
        self.url.clear();
        (write_url(signer, key, self.expires_in, &mut self.url), signer)
    }
}

impl Contender for PresigndBatch {
    fn sign(&mut self, key: &str) -> usize {
        self.sign(key)
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.url(key))
    }
}

/// The same, with the metrics of the service: added once per batch of 1,000, with every eighth URL timed.
pub(crate) struct PresigndCounted {
    batch: PresigndBatch,
    metrics: &'static Metrics,
    signer: &'static SignerMetrics,
    counts: CallCounts<'static>,
    signed: usize,
}

impl PresigndCounted {
    /// A signer with the example credentials of AWS. Its metrics live until the end of the process.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        let metrics: &'static Metrics = Box::leak(Box::default());
        let signer = Box::leak(Box::new(metrics.signer("default")));
        Self {
            batch: PresigndBatch::new(token, bucket),
            metrics,
            signer,
            counts: CallCounts::new(metrics),
            signed: 0,
        }
    }
}

impl Contender for PresigndCounted {
    fn sign(&mut self, key: &str) -> usize {
        if self.signed.is_multiple_of(1_000) {
            self.counts = CallCounts::new(self.metrics);
        }
        let watch = self.signed.is_multiple_of(8).then(Stopwatch::start);
        let (presigned, signer) = self.batch.presign(key);
        if let Some(watch) = watch {
            self.counts.record_time(signer.algorithm(), watch.elapsed());
        }
        let operation = OperationLabel::of(&operation::GET_OBJECT);
        self.counts.count_signed(self.signer, operation, signer.target().kind(), &presigned);
        self.signed += 1;
        self.batch.url.len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.batch.url(key))
    }
}

/// The core as a call for a single URL uses it: the bucket is prepared for the time of this call, in a new buffer.
pub(crate) struct PresigndUnary {
    snapshot: Arc<Snapshot>,
    bucket: String,
    expires_in: Seconds,
}

impl PresigndUnary {
    /// A signer with the example credentials of AWS.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        Self { snapshot: snapshot(token), bucket: bucket.to_owned(), expires_in: expires_in() }
    }

    fn presigned(&self, key: &str) -> String {
        let mut url = String::new();
        write_url(&target_signer(&self.snapshot, &self.bucket), key, self.expires_in, &mut url);
        url
    }
}

impl Contender for PresigndUnary {
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
    let rules = SigningRules {
        endpoint: EndpointRules { region, ..Default::default() },
        default_expiry: expires_in(),
        max_expiry: SERVICE_MAXIMUM,
    };
    Arc::new(Snapshot::new(credentials, rules))
}

fn expires_in() -> Seconds {
    Seconds::rounded_down(work::EXPIRES_IN).expect("more than a second")
}

fn target_signer(snapshot: &Arc<Snapshot>, bucket: &str) -> TargetSigner {
    snapshot.target_signer(bucket, work::signed_at()).expect("a target")
}

fn write_url(signer: &TargetSigner, key: &str, expires_in: Seconds, url: &mut String) -> Presigned {
    let request = Request {
        key: ObjectKey::try_from(key).expect("a key"),
        operation: &operation::GET_OBJECT,
        headers: &Headers::default(),
        query: &Query::default(),
        expires_in: Some(expires_in),
        min_expires_in: None,
    };
    presign::presign(request.check().expect("a request"), signer, url).expect("it can be signed")
}
