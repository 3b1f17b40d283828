//! Secrets appear neither in the log at level trace, nor in the metrics, nor on the status page.

use std::collections::BTreeSet;

use presignd::pb;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{
    grpc::{batch, get, presigned, refused, request, results, url_of},
    sidecar::{Sidecar, presignd},
};

const ACCESS_KEY: &str = "AKIACANARYCANARYCANA";
const SECRET_KEY: &str = "canary/secret+key/canary/secret+key/cana";
const SESSION_TOKEN: &str = "canary//session+token==";
const SSE_KEY: &str = "Y2FuYXJ5IGN1c3RvbWVyIGtleQ==";

async fn start(arguments: &[&str]) -> Sidecar {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", SESSION_TOKEN)
        .env("AWS_REGION", "us-east-1")
        .env("RUST_LOG", "trace");
    let sidecar = Sidecar::spawn(command, arguments);
    sidecar.wait_until_serving().await;
    sidecar
}

/// A request that contains a secret of its caller.
fn encrypted() -> pb::PresignRequest {
    let put = pb::PutObject { sse_customer_key: SSE_KEY.to_owned(), ..Default::default() };
    request("key", pb::presign_request::Operation::PutObject(put))
}

/// Requests valid and invalid forms, and returns the policies and signatures.
async fn forms(sidecar: &Sidecar) -> Vec<String> {
    let mut client = sidecar.client().await;
    let form = |fields: &[(&str, &str)]| pb::PresignPostRequest {
        bucket: "plain-bucket".to_owned(),
        key: "key".to_owned(),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Default::default()
    };
    let sse = ("x-amz-server-side-encryption-customer-key", SSE_KEY);
    let fields = client.presign_post(form(&[sse])).await.unwrap().into_inner().fields;
    for invalid in [form(&[sse, ("policy", SESSION_TOKEN)]), form(&[(sse.0, &format!("{SSE_KEY}\n"))])] {
        refused(client.presign_post(invalid).await);
    }
    ["policy", "x-amz-signature"].map(|name| fields[name].clone()).into()
}

/// Makes valid and invalid calls of every RPC, and returns the URLs.
async fn calls(sidecar: &Sidecar) -> Vec<String> {
    let mut client = sidecar.client().await;
    let mut urls = vec![
        presigned(client.presign(get("key")).await).url,
        presigned(client.presign(encrypted()).await).url,
    ];
    let results = results(client.batch_presign(batch(vec![get("a"), get("b"), get("")])).await);
    urls.extend(results[..2].iter().map(|result| url_of(result).url.clone()));
    let message = pb::StreamPresignRequest { batch: Some(batch(vec![get("c"), encrypted()])) };
    let stream = tokio_stream::iter([message, pb::StreamPresignRequest { batch: None }]);
    let mut answers = client.stream_presign(stream).await.unwrap().into_inner();
    let streamed = answers.message().await.unwrap().unwrap().batch.unwrap().results;
    urls.extend(streamed.iter().map(|result| url_of(result).url.clone()));
    refused(answers.message().await);

    let mut invalid = encrypted();
    invalid.headers.insert("x-amz-server-side-encryption-customer-key".to_owned(), SSE_KEY.to_owned());
    refused(client.presign(invalid).await);
    for (url, method) in [(&urls[0], "GET"), (&urls[1], "GET"), (&urls[0], "")] {
        let explain =
            pb::ExplainRequest { url: url.clone(), method: method.to_owned(), ..Default::default() };
        assert_eq!(client.explain(explain).await.is_ok(), !method.is_empty());
    }
    let mut smuggled = get("key");
    smuggled.query.insert("X-Amz-Security-Token".to_owned(), SESSION_TOKEN.to_owned());
    refused(client.presign(smuggled).await);
    HealthClient::new(sidecar.connect().await).check(HealthCheckRequest::default()).await.unwrap();
    urls
}

/// Texts that must not appear: secrets, and the signature and query of each URL.
fn secrets(urls: &[String]) -> BTreeSet<&str> {
    let mut secrets = BTreeSet::from([SECRET_KEY, SESSION_TOKEN, SSE_KEY, ACCESS_KEY, "X-Amz-"]);
    let encoded = urls[0].split("X-Amz-Security-Token=").nth(1).unwrap().split('&').next().unwrap();
    secrets.insert(encoded);
    for url in urls {
        secrets.insert(url.split_once('?').unwrap().1);
        secrets.insert(url.rsplit_once("X-Amz-Signature=").unwrap().1);
    }
    assert!(secrets.len() > urls.len(), "each URL has its own signature");
    secrets
}

#[tokio::test]
async fn no_secret_or_url_is_logged_at_trace() {
    for format in ["text", "json"] {
        let mut sidecar = start(&["--log-format", format]).await;
        let urls = calls(&sidecar).await;
        let forms = forms(&sidecar).await;
        assert_eq!(urls.len(), 6);
        let pages = [sidecar.get_page("/metrics").await.1, sidecar.get_page("/").await.1];
        sidecar.send_signal(rustix::process::Signal::TERM);
        assert!(sidecar.wait_for_exit().await.success());
        sidecar.wait_for_log("stopped: every call was answered").await;
        let log = sidecar.log();
        assert!(log.contains("credentials loaded"), "{log}");
        for secret in secrets(&urls).into_iter().chain(forms.iter().map(String::as_str)) {
            for (output, text) in [("the log", &log), ("/metrics", &pages[0]), ("the status page", &pages[1])]
            {
                assert!(!text.contains(secret), "{secret} is in {output}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn response_of_a_failing_provider_is_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer");
    let config = folder.path().join("config");
    std::fs::write(&config, format!("[default]\ncredential_process = /bin/cat {}\n", answer.display()))
        .unwrap();
    // Each response is invalid for another reason, and contains a secret.
    for broken in [
        format!(
            "{{\"Version\": 2, \"SecretAccessKey\": \"{SECRET_KEY}\", \"SessionToken\": \"{SESSION_TOKEN}\"}}"
        ),
        format!(
            "{{\"Version\": 1, \"SecretAccessKey\": \"{SECRET_KEY}\", \"Expiration\": \"{SESSION_TOKEN}\"}}"
        ),
        format!("{{\"Version\": 1, \"SecretAccessKey\": \"{SECRET_KEY}\" {SESSION_TOKEN}"),
        SECRET_KEY.to_owned(),
    ] {
        std::fs::write(&answer, broken).unwrap();
        let mut command = presignd();
        command
            .envs([
                ("AWS_REGION", "us-east-1"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
                ("RUST_LOG", "trace"),
            ])
            .env("AWS_CONFIG_FILE", &config);
        let sidecar = Sidecar::spawn(command, &[]);
        sidecar.wait_for_log("failed to load credentials, retrying in").await;
        let log = sidecar.log();
        assert!(!log.contains(SECRET_KEY) && !log.contains(SESSION_TOKEN), "{log}");
    }
}
