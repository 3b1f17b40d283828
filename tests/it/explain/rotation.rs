//! URLs that were signed with credentials that were replaced since.

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
    pb::{self, GetObject, presign_request::Operation, presign_service_client::PresignServiceClient},
    presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointDefaults,
    },
    service::{PresignServer, ServiceState},
};

use super::{Used, verdict};
use crate::support::{
    grpc::{presigned, request, seconds},
    in_process::LIMITS,
};

const START: u64 = 1_369_353_600;

/// A service with one signer. The test sets its credentials and its time.
struct Rotating {
    time: Arc<AtomicU64>,
    deps: SignerDeps,
    generations: Arc<Generations>,
    client: PresignServiceClient<PresignServer>,
}

impl Rotating {
    fn new() -> Self {
        let time = Arc::new(AtomicU64::new(START));
        let read = Arc::clone(&time);
        let clock =
            Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::SeqCst)));
        let deps = SignerDeps { clock, environment: Arc::default(), metrics: Metrics::default() };
        let mut layers = Layers::defaults();
        let region = ("PRESIGND_SIGNERS_DEFAULT_REGION".to_owned(), "us-east-1".to_owned());
        layers.apply_environment(&[region]).unwrap();
        let config = Config::from_layers(&layers).unwrap();
        let signers = Signers::new(deps.clone()).build(config.signers);
        let generations = Arc::new(Generations::new(Generation::new(signers)));
        let SignerDeps { metrics, clock, .. } = deps.clone();
        let state = ServiceState::new(Arc::clone(&generations), metrics, clock, LIMITS);
        let client = PresignServiceClient::new(PresignServer::new(state));
        Self { time, deps, generations, client }
    }

    /// Replaces the signer's credentials. `end` is their expiry, in seconds after `START`.
    fn rotate(&self, id: &str, end: Option<u64>) {
        let secret = |what: &str| Secret::from(format!("{what}-of-{id}"));
        let end = end.map(|end| SystemTime::UNIX_EPOCH + Duration::from_secs(START + end));
        let token = end.map(|_| secret("a-long-token"));
        let credentials = Credentials::new(id.to_owned(), secret("secret"), token, end);
        self.generations.current().signers()[0].replace(
            credentials,
            EndpointDefaults::default(),
            &self.deps.clock,
        );
    }

    fn at(&self, seconds: u64) {
        self.time.store(START + seconds, Ordering::SeqCst);
    }

    async fn url(&mut self, lifetime: i64) -> Used {
        let asked = request("key", Operation::GetObject(GetObject::default()));
        let asked = pb::PresignRequest { expires_in: Some(seconds(lifetime)), ..asked };
        Used::of(&presigned(self.client.presign(asked).await))
    }

    async fn explain(&mut self, used: &Used) -> (&'static str, Vec<String>) {
        let answer = self.client.explain(used.to_explain_request("")).await.unwrap().into_inner();
        (verdict(&answer), answer.findings)
    }
}

const UNKNOWN: &str = "no signer of this presignd has the access key of the URL, so its signature cannot be checked: its \
    temporary credentials may have been replaced since, or another presignd may have signed it";

#[tokio::test]
async fn replaced_credentials_are_known_for_an_hour_after_expiry() {
    let mut service = Rotating::new();
    service.rotate("ASIAFIRST", Some(3_600));
    let used = service.url(3_600).await;
    service.at(1_800);
    service.rotate("ASIASECOND", Some(5_400));
    assert_eq!(service.explain(&used).await, ("VALID", vec![]));
    let mut other = used.clone();
    other.replace("/key", "/key/");
    let (verdict, findings) = service.explain(&other).await;
    assert_eq!(verdict, "SIGNATURE_MISMATCH");
    assert!(findings[0].starts_with("the path has an extra /: remove it"), "{findings:?}");
    service.at(3_600 + 3_599);
    let (verdict, findings) = service.explain(&used).await;
    assert_eq!((verdict, findings.len()), ("EXPIRED", 1), "{findings:?}");
    service.at(3_600 + 3_600);
    let (verdict, findings) = service.explain(&used).await;
    assert_eq!(verdict, "UNKNOWN_ACCESS_KEY");
    assert!(findings.iter().any(|finding| finding == UNKNOWN), "{findings:?}");
}

#[tokio::test]
async fn corrected_expiry_of_credentials_precedes_that_of_the_url() {
    let mut service = Rotating::new();
    service.rotate("ASIAFIRST", Some(7_200));
    let used = service.url(7_000).await;
    // The same access key, with an earlier expiry.
    service.rotate("ASIAFIRST", Some(600));
    service.rotate("ASIASECOND", Some(7_200));
    service.at(601);
    let expected = "the credentials that signed the URL expired at 2013-05-24T00:10:00Z, before the URL itself: request a \
        new URL";
    assert_eq!(service.explain(&used).await, ("EXPIRED", vec![expected.to_owned()]));
}

#[tokio::test]
async fn only_the_last_four_temporary_credentials_are_remembered() {
    let mut service = Rotating::new();
    let mut urls = Vec::new();
    for number in 0..6 {
        service.rotate(&format!("ASIA{number}"), Some(7_200));
        urls.push(service.url(900).await);
    }
    for (number, used) in urls.iter().enumerate() {
        let expected = if number == 0 { "UNKNOWN_ACCESS_KEY" } else { "VALID" };
        assert_eq!(service.explain(used).await.0, expected, "{number}");
    }
    service.rotate("AKIAFOREVER", None);
    let used = service.url(900).await;
    service.rotate("ASIANEXT", Some(7_200));
    assert_eq!(service.explain(&used).await.0, "UNKNOWN_ACCESS_KEY");
}
