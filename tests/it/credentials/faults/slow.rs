//! Endpoints that take their time.

use std::{fs, time::Duration};

use presignd::clock::Stopwatch;

use super::{
    Aws, Caller, FAILED, Fault, Keys, Kind, ROLE, Sidecar, in_container, in_role, kept_secrets, on_ec2,
    refuses, replace, rotated, serves, serving, with_web_identity,
};
use crate::support::{callers::url, scrape::Scrape};

const SLOW: Fault = Fault::Slow(Duration::from_secs(5));

/// Well under the time that the endpoint takes, with room for a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn callers_do_not_wait_for_a_slow_first_answer_and_it_is_taken() {
    let keys = Keys::lasting("slow", 3_600);
    let sts = Aws::giving(&keys);
    sts.fault(SLOW);
    let sidecar = Sidecar::spawn(in_role(&sts), &[]);
    sts.asked(Kind::AssumeRole, 1).await;
    let watch = Stopwatch::start();
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    serves(&sidecar, &keys).await;
    assert_eq!(sts.count(Kind::AssumeRole), 1, "nothing was given up");
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn callers_have_the_last_good_credentials_while_the_next_are_slow() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary.token.1").unwrap();
    let (first, second) = (Keys::lasting("first", 3_600), Keys::lasting("second", 3_600));
    let sts = Aws::giving(&first);
    let sidecar = serving(with_web_identity(ROLE, &file, &sts)).await;
    serves(&sidecar, &first).await;
    let caller = Caller::of(&sidecar).await;

    sts.give(&second);
    sts.fault(SLOW);
    replace(&file, "canary.token.2");
    sts.asked(Kind::WebIdentity, 2).await;
    let watch = Stopwatch::start();
    first.signed(&url(&sidecar).await);
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    rotated(&sidecar, &first, &second).await;
    caller.noticed_nothing(&[&first, &second]).await;
    let failed = [("outcome", "error")];
    assert!(Scrape::of(&sidecar).await.get("presignd_credentials_refresh_total", &failed) < 1.0);
    kept_secrets(&sidecar).await;
}

/// AWS's provider waits one second for IMDS.
#[tokio::test]
async fn an_endpoint_that_is_too_slow_is_asked_again() {
    let keys = Keys::lasting("slow", 3_600);
    let aws = Aws::giving(&keys);
    aws.fault(SLOW);
    let sidecar = Sidecar::spawn(on_ec2(&aws), &[]);
    sidecar.logged(FAILED).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    aws.give(&keys);
    serves(&sidecar, &keys).await;
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up_and_asked_again() {
    let keys = Keys::lasting("held", 3_600);
    let aws = Aws::giving(&keys);
    aws.fault(Fault::Held);
    let sidecar = Sidecar::spawn(in_container(&aws), &[]);
    // AWS's provider waits five seconds for it, and asks again.
    aws.asked(Kind::Container, 2).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    aws.give(&keys);
    serves(&sidecar, &keys).await;
}
