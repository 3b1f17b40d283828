//! The service inside the test, with a clock and credentials that the test sets.

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
    credentials::{Signers, Surroundings},
    metrics::Metrics,
    pb::{self, presign_request::Operation, presign_service_client::PresignServiceClient},
    presign::credentials::{Credentials, Secret},
    service::{PresignApi, Shared, room::Room, rpc::presign_service_server::PresignServiceServer},
};
use tokio::sync::Semaphore;
use tonic::Status;

use super::{ACCESS_KEY, SECRET_KEY};

/// Everything that decides what a URL is.
#[derive(Clone)]
pub struct Case {
    pub time: u64,
    pub region: &'static str,
    pub session_token: Option<String>,
    pub endpoint: Option<&'static str>,
    pub path_style: bool,
    pub bucket: String,
    pub key: String,
    pub expires_in: u64,
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
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            expires_in: 900,
            operation,
            query: Vec::new(),
        }
    }

    /// The time of signing.
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.time)
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut set = vec![("REGION", self.region.to_owned()), ("PATH_STYLE", self.path_style.to_string())];
        set.extend(self.endpoint.map(|endpoint| ("ENDPOINT", endpoint.to_owned())));
        set.into_iter().map(|(name, value)| (format!("PRESIGND_SIGNERS_DEFAULT_{name}"), value)).collect()
    }
}

/// The service, asked by a client without a connection.
pub struct InProcess {
    surroundings: Surroundings,
    time: Arc<AtomicU64>,
}

impl InProcess {
    pub fn new() -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&time);
        let clock =
            Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::SeqCst)));
        let surroundings = Surroundings { clock, environment: Arc::default(), metrics: Metrics::default() };
        Self { surroundings, time }
    }

    /// The signer of a case, with the configuration that a user would write for it; its credentials end then.
    fn signers(&self, case: &Case, end: Option<SystemTime>) -> Signers {
        self.time.store(case.time, Ordering::SeqCst);
        let mut layers = Layers::defaults();
        layers.environment(&case.variables()).expect("the settings are known");
        let config = Config::from_layers(&layers).expect("the settings are good");
        let token = case.session_token.clone().map(Secret::from);
        let credentials =
            Credentials::new(ACCESS_KEY.into(), Secret::from(SECRET_KEY.to_owned()), token, end);
        let signers = Signers::new(config.signers, self.surroundings.clone());
        signers.all()[0].replace(credentials, None, &self.surroundings.clock);
        signers
    }

    /// Explains a request with the signer of a case, whose credentials end then, at the time of the case.
    pub async fn explain(
        &self,
        case: &Case,
        end: Option<SystemTime>,
        request: pb::ExplainRequest,
    ) -> pb::ExplainResponse {
        let signers = self.signers(case, end);
        self.client(signers).explain(request).await.expect("it can be explained").into_inner()
    }

    /// Signs a case.
    pub async fn presign(&self, case: &Case) -> Result<pb::PresignedRequest, Status> {
        let signers = self.signers(case, None);
        let seconds = i64::try_from(case.expires_in).expect("a small number");
        let request = pb::PresignRequest {
            bucket: case.bucket.clone(),
            key: case.key.clone(),
            expires_in: Some(prost_types::Duration { seconds, nanos: 0 }),
            query: case.query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            operation: Some(case.operation.clone()),
            ..Default::default()
        };
        let answer = self.client(signers).presign(request).await?;
        Ok(answer.into_inner().presigned.expect("an answer has a URL"))
    }

    fn client(&self, signers: Signers) -> PresignServiceClient<PresignServiceServer<PresignApi>> {
        PresignServiceClient::new(PresignServiceServer::new(PresignApi::new(Shared {
            signers: Arc::new(signers),
            metrics: self.surroundings.metrics.clone(),
            clock: self.surroundings.clock.clone(),
            batch_items: 1_000,
            message_bytes: 4 << 20,
            requests: Arc::new(Semaphore::new(1)),
            cores: Arc::new(Semaphore::new(1)),
            room: Room::for_cores(1),
        })))
    }
}

/// A URL taken apart: what is before the path, the path, and the sorted query.
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

/// Percent-decoding, by a decoder that is not ours.
pub fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().expect("it is UTF-8").into_owned()
}
