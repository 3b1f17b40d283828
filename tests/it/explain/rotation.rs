//! URLs of credentials that others took the place of.

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

/// A service whose signer's credentials and time the test changes.
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

    /// Gives the signer these credentials, which end so many seconds after the start.
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

    async fn told(&mut self, used: &Used) -> (&'static str, Vec<String>) {
        let answer = self.client.explain(used.question("")).await.unwrap().into_inner();
        (verdict(&answer), answer.findings)
    }
}

const UNKNOWN: &str = "no signer of this presignd has the access key of the URL, so its signature cannot be checked: it \
    is of temporary credentials, which may have been replaced since";

#[tokio::test]
async fn a_url_of_credentials_that_were_replaced_is_known_until_an_hour_after_their_end() {
    let mut service = Rotating::new();
    service.rotate("ASIAFIRST", Some(3_600));
    let used = service.url(3_600).await;
    service.at(1_800);
    service.rotate("ASIASECOND", Some(5_400));
    assert_eq!(service.told(&used).await, ("VALID", vec![]));
    let mut other = used.clone();
    other.replace("/key", "/key/");
    let (verdict, findings) = service.told(&other).await;
    assert_eq!(verdict, "SIGNATURE_MISMATCH");
    assert!(findings[0].starts_with("a / too many is in the path"), "{findings:?}");
    service.at(3_600 + 3_599);
    let (verdict, findings) = service.told(&used).await;
    assert_eq!((verdict, findings.len()), ("EXPIRED", 1), "{findings:?}");
    service.at(3_600 + 3_600);
    let (verdict, findings) = service.told(&used).await;
    assert_eq!(verdict, "UNKNOWN_ACCESS_KEY");
    assert!(findings.iter().any(|finding| finding == UNKNOWN), "{findings:?}");
}

#[tokio::test]
async fn credentials_that_were_revoked_early_tell_that_they_ended_before_the_url() {
    let mut service = Rotating::new();
    service.rotate("ASIAFIRST", Some(7_200));
    let used = service.url(7_000).await;
    // The same key, and its end was corrected.
    service.rotate("ASIAFIRST", Some(600));
    service.rotate("ASIASECOND", Some(7_200));
    service.at(601);
    let expected = "the credentials that signed the URL expired at 2013-05-24T00:10:00Z, before the URL itself: ask for a \
        new URL";
    assert_eq!(service.told(&used).await, ("EXPIRED", vec![expected.to_owned()]));
}

#[tokio::test]
async fn the_last_four_are_remembered_and_none_that_has_no_end() {
    let mut service = Rotating::new();
    let mut urls = Vec::new();
    for number in 0..6 {
        service.rotate(&format!("ASIA{number}"), Some(7_200));
        urls.push(service.url(900).await);
    }
    for (number, used) in urls.iter().enumerate() {
        let expected = if number == 0 { "UNKNOWN_ACCESS_KEY" } else { "VALID" };
        assert_eq!(service.told(used).await.0, expected, "{number}");
    }
    service.rotate("AKIAFOREVER", None);
    let used = service.url(900).await;
    service.rotate("ASIANEXT", Some(7_200));
    assert_eq!(service.told(&used).await.0, "UNKNOWN_ACCESS_KEY");
}
