//! EC2: credentials of the instance's role, by version 2 of its metadata service.

use super::{Keys, kept_secrets, lives_through_everything, on_ec2, serves, serving, url};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    aws::{Aws, INSTANCE_REGION, INSTANCE_ROLE, Kind},
    callers::signs,
    http::Request,
    in_process::Parts,
};

/// Of the endpoint, not of presignd: it is as strict as the real one.
#[tokio::test]
async fn imds_answers_nobody_without_a_good_session_token() {
    let aws = Aws::giving(&Keys::lasting("keys", 3_600));
    let ask = async |method: &str, target: &str, header: (&str, &str)| {
        let headers = [(header.0.to_owned(), header.1.to_owned())].into();
        let (method, target) = (method.to_owned(), target.to_owned());
        let request = Request { method, target, headers, host: "imds".to_owned(), body: Vec::new() };
        request.send(aws.port()).await
    };
    let roles = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(ask("GET", roles, ("accept", "*/*")).await.status, 401);
    let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let session = ask("PUT", "/latest/api/token", ttl).await;
    assert_eq!(session.header(ttl.0), ttl.1);
    let session = session.text();
    let session = ("x-aws-ec2-metadata-token", session.as_str());
    assert_eq!(ask("GET", roles, session).await.text(), INSTANCE_ROLE);
    let credentials = ask("GET", &format!("{roles}{INSTANCE_ROLE}"), session).await.text();
    assert!(serde_json::from_str::<serde_json::Value>(&credentials).unwrap()["Code"] == "Success");
    aws.forget_sessions();
    assert_eq!(ask("GET", roles, session).await.status, 401);
}

#[tokio::test]
async fn credentials_of_the_instance_are_loaded_renewed_lost_and_found_again() {
    let aws = Aws::giving(&Keys::unending("unused"));
    lives_through_everything(&aws, on_ec2(&aws)).await;
}

#[tokio::test]
async fn the_default_chain_ends_with_the_instance_and_takes_its_region() {
    let keys = Keys::lasting("chain", 3_600);
    let aws = Aws::giving(&keys);
    let mut command = on_ec2(&aws);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER").env_remove("AWS_REGION");
    let sidecar = serving(command).await;
    serves(&sidecar, &keys).await;
    let credential = Parts::of(&url(&sidecar).await.url).value("X-Amz-Credential").unwrap();
    assert_eq!(credential.split('/').nth(2), Some(INSTANCE_REGION));
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn only_the_provider_that_was_asked_for_is_used() {
    let keys = Keys::lasting("imds", 3_600);
    let aws = Aws::giving(&keys);
    let mut command = on_ec2(&aws);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    serves(&serving(command).await, &keys).await;
}

#[tokio::test]
async fn a_session_token_that_imds_forgot_is_asked_for_anew() {
    let (first, second) = (Keys::lasting("first", 6), Keys::lasting("second", 3_600));
    let aws = Aws::giving(&first);
    let sidecar = serving(on_ec2(&aws)).await;
    serves(&sidecar, &first).await;
    aws.give(&second);
    aws.forget_sessions();
    // AWS's client tries the token that it has four times, which takes up to seven seconds: the first credentials may
    // end meanwhile.
    signs(&sidecar, &second).await;
    assert!(aws.count(Kind::Session) >= 2);
    kept_secrets(&sidecar).await;
}
