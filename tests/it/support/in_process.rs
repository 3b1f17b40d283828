//! The service within the test process, with a clock and credentials that the test sets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use presignd::{
    clock::Clock,
    config::{Config, layers::Layers},
    credentials::{SignerDeps, Signers},
    generation::{Generation, Generations},
    metrics::Metrics,
    pb::{self, presign_request::Operation, presign_service_client::PresignServiceClient},
    presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointDefaults,
    },
    service::{PresignServer, ServiceLimits, ServiceState},
};
use tonic::Status;

use super::{ACCESS_KEY, SECRET_KEY};

/// Everything that determines a URL.
#[derive(Clone)]
pub struct Case {
    pub time: u64,
    pub region: &'static str,
    pub session_token: Option<String>,
    pub endpoint: Option<&'static str>,
    pub path_style: bool,
    /// Additional settings of the signer, by the suffix of their variables: `SIGV4A`.
    pub settings: Vec<(&'static str, String)>,
    pub bucket: String,
    pub key: String,
    pub expires_in: u64,
    pub min_expires_in: Option<u64>,
    pub reuse_window: Option<u64>,
    /// When the credentials expire, in seconds since the Unix epoch.
    pub credentials_end: Option<u64>,
    pub operation: Operation,
    pub query: Vec<(&'static str, &'static str)>,
}

impl Case {
    /// A request for 15 minutes, at the time of AWS's worked example.
    pub fn new(bucket: &str, key: &str, operation: Operation) -> Self {
        Self {
            time: 1_369_353_600,
            region: "us-east-1",
            session_token: None,
            endpoint: None,
            path_style: false,
            settings: Vec::new(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            expires_in: 900,
            min_expires_in: None,
            reuse_window: None,
            credentials_end: None,
            operation,
            query: Vec::new(),
        }
    }

    /// The same case in another region.
    pub fn in_region(self, region: &'static str) -> Self {
        Self { region, ..self }
    }

    /// The signing time.
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.time)
    }

    fn lifetime(&self) -> prost_types::Duration {
        duration(self.expires_in)
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut set = vec![("REGION", self.region.to_owned()), ("PATH_STYLE", self.path_style.to_string())];
        set.extend(self.endpoint.map(|endpoint| ("ENDPOINT", endpoint.to_owned())));
        set.extend(self.settings.iter().cloned());
        set.into_iter().map(|(name, value)| (format!("PRESIGND_SIGNERS_DEFAULT_{name}"), value)).collect()
    }
}

fn duration(seconds: u64) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(seconds).expect("a small number"), nanos: 0 }
}

/// The service, called by a client without a connection.
pub struct InProcess {
    deps: SignerDeps,
    time: Arc<AtomicU64>,
}

impl InProcess {
    pub fn new() -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&time);
        let clock =
            Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::SeqCst)));
        let deps = SignerDeps { clock, environment: Arc::default(), metrics: Metrics::default() };
        Self { deps, time }
    }

    /// Signs a case, configured through settings as in production.
    pub async fn presign(&self, case: &Case) -> Result<pb::PresignedRequest, Status> {
        let request = pb::PresignRequest {
            bucket: case.bucket.clone(),
            key: case.key.clone(),
            expires_in: Some(case.lifetime()),
            min_expires_in: case.min_expires_in.map(duration),
            reuse_window: case.reuse_window.map(duration),
            query: case.query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            operation: Some(case.operation.clone()),
            ..Default::default()
        };
        let answer = self.client(case).presign(request).await?;
        Ok(answer.into_inner().presigned.expect("an answer has a URL"))
    }

    /// Signs a form for the target, the key and the time of a case; its operation is ignored.
    pub async fn presign_post(
        &self,
        case: &Case,
        parts: pb::PresignPostRequest,
    ) -> Result<pb::PresignPostResponse, Status> {
        let request = pb::PresignPostRequest {
            bucket: case.bucket.clone(),
            key: case.key.clone(),
            expires_in: Some(case.lifetime()),
            ..parts
        };
        Ok(self.client(case).presign_post(request).await?.into_inner())
    }

    fn client(&self, case: &Case) -> PresignServiceClient<PresignServer> {
        PresignServiceClient::new(self.server(case))
    }

    /// Explains a request at the time of a case, with the signer of the case. Its credentials expire at `end`.
    pub async fn explain(
        &self,
        case: &Case,
        end: Option<SystemTime>,
        request: pb::ExplainRequest,
    ) -> pb::ExplainResponse {
        let seconds =
            |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let case = Case { credentials_end: end.map(seconds), ..case.clone() };
        self.client(&case).explain(request).await.expect("the URL can be explained").into_inner()
    }

    fn server(&self, case: &Case) -> PresignServer {
        self.time.store(case.time, Ordering::SeqCst);
        let mut layers = Layers::defaults();
        layers.apply_environment(&case.variables()).expect("the settings are known");
        let config = Config::from_layers(&layers).expect("the settings are good");
        let token = case.session_token.clone().map(Secret::from);
        let end = case.credentials_end.map(|end| SystemTime::UNIX_EPOCH + Duration::from_secs(end));
        let credentials =
            Credentials::new(ACCESS_KEY.into(), Secret::from(SECRET_KEY.to_owned()), token, end);
        let signers = Signers::new(self.deps.clone()).build(config.signers);
        signers[0].replace(credentials, EndpointDefaults::default(), &self.deps.clock);
        let generations = Arc::new(Generations::new(Generation::new(signers)));
        let SignerDeps { metrics, clock, .. } = self.deps.clone();
        PresignServer::new(ServiceState::new(generations, metrics, clock, LIMITS))
    }
}

/// The limits of a service for one call at a time.
pub const LIMITS: ServiceLimits =
    ServiceLimits { batch_items: 1_000, message_bytes: 4 << 20, requests: 1, cores: 1 };

/// The parts of a URL: scheme and authority, the path, and the sorted query.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    pub origin: String,
    pub path: String,
    pub query: Vec<String>,
}

impl Parts {
    pub fn of(url: &str) -> Self {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let path_at = rest.match_indices('/').nth(2).map_or(rest.len(), |(at, _)| at);
        let mut query: Vec<String> = query
            .split('&')
            .map(|pair| if pair.contains('=') { pair.into() } else { format!("{pair}=") })
            .collect();
        query.sort();
        Self { origin: rest[..path_at].to_owned(), path: rest[path_at..].to_owned(), query }
    }

    /// The value of a parameter, decoded.
    pub fn value(&self, name: &str) -> Option<String> {
        let value = self.query.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decoded(value))
    }
}

/// Percent-decodes a text with a decoder that is independent of presignd's.
pub fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().expect("it is UTF-8").into_owned()
}
