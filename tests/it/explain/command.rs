//! `presignd explain`: exit codes and output.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    grpc::{get, presigned},
    sidecar::{Sidecar, presignd},
};

/// Runs `presignd explain` with this standard input. Returns the exit code, standard output and standard error.
fn run(sidecar: &Sidecar, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command: Command = presignd();
    command.arg("explain").args(arguments).args(["--server", &sidecar.tcp]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("presignd starts");
    child.stdin.take().expect("it is a pipe").write_all(input.as_bytes()).expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn url(sidecar: &Sidecar) -> String {
    presigned(sidecar.client().await.presign(get("a b.txt")).await).url
}

#[tokio::test]
async fn valid_url_exits_0_and_prints_its_parts() {
    let sidecar = Sidecar::start(&[]).await;
    let url = url(&sidecar).await;
    let (code, out, err) = run(&sidecar, &[&url], "");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "verdict   VALID",
            "host      plain-bucket.s3.us-east-1.amazonaws.com",
            "bucket    plain-bucket",
            "key       a b.txt",
        ]
    );
    assert!(lines[4].starts_with("signed    20") && lines[5].starts_with("expires   20"), "{out}");
    assert_eq!(lines[6..8], ["algorithm AWS4-HMAC-SHA256", "key id    AKIAIOSFODNN7EXAMPLE"]);
    assert!(lines[8].ends_with("/us-east-1/s3"), "{out}");
    assert_eq!(lines[9..], ["headers   host"]);
    // The same from standard input.
    assert_eq!(run(&sidecar, &["-"], &format!("{url}\n")), (Some(0), out, String::new()));
}

#[tokio::test]
async fn other_verdict_exits_1_and_prints_findings() {
    let sidecar = Sidecar::start(&[]).await;
    let url = url(&sidecar).await;
    let (code, out, err) = run(&sidecar, &[&url, "--method", "put", "-v"], "");
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let start = "verdict   SIGNATURE_MISMATCH\nfinding   the method differs: signed GET, sent PUT\nhost ";
    assert!(out.starts_with(start), "{out}");
    assert!(out.contains("\n\ncanonical request:\nPUT\n/a%20b.txt\nX-Amz-Algorithm="), "{out}");
    assert!(out.contains("\n\nstring to sign:\nAWS4-HMAC-SHA256\n"), "{out}");
    let (_, signature) = url.rsplit_once("X-Amz-Signature=").unwrap();
    assert!(!out.contains(signature), "{out}");
}

#[tokio::test]
async fn json_output_has_every_field() {
    let sidecar = Sidecar::start(&[]).await;
    let url = url(&sidecar).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.xml");
    std::fs::write(&file, "<Error><Code>ExpiredToken</Code><Message>over</Message></Error>").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (vec![url.as_str(), "--json", "--error-body", file, "--header", "X-A: b"], String::new()),
        (vec!["-", "--json", "--error-body", file, "--header", "X-A: b"], url.clone()),
        (vec![url.as_str(), "--json", "--error-body", "-"], std::fs::read_to_string(file).unwrap()),
    ] {
        let (code, out, err) = run(&sidecar, &arguments, &input);
        assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["verdict"], "EXPIRED");
        assert_eq!(answer["findings"].as_array().unwrap().len(), 1);
        assert_eq!(answer["parts"]["key"], "a b.txt");
        assert_eq!(answer["parts"]["expires_seconds"], 900);
        assert_eq!(answer["parts"]["signed_headers"], serde_json::json!(["host"]));
        assert!(answer["signed_at"].as_str().unwrap().ends_with('Z'));
        let mut names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let documented = [
            "canonical_request",
            "expires_at",
            "findings",
            "parts",
            "signed_at",
            "string_to_sign",
            "verdict",
        ];
        assert_eq!(names, documented);
    }
}

#[tokio::test]
async fn invalid_arguments_are_rejected_with_one_sentence() {
    let sidecar = Sidecar::start(&[]).await;
    for (arguments, message) in [
        (
            &["-", "--error-body", "-"][..],
            "the URL and the error body cannot both be read from standard input: give one as an argument or a file",
        ),
        (&["-"], "url is empty: give the whole URL that was used"),
        (
            &["https://h/", "--error-body", "/none.xml"],
            "failed to read --error-body from /none.xml: No such file or directory (os error 2)",
        ),
        (&["https://h/", "--header", "x"], "--header must be NAME:VALUE, such as --header \"a:b\""),
    ] {
        let ended = run(&sidecar, arguments, "");
        assert_eq!(ended, (Some(1), String::new(), format!("presignd: {message}\n")));
    }
}
