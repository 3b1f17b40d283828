//! Exit codes and output of `presignd presign`, `presignd post` and `presignd healthcheck`.

mod post;
mod shell;

use serde_json::Value;

use super::{CommandOutput, failure, run};
use crate::support::{
    OUTPOSTS_ARN,
    provider::CredentialProcess,
    sidecar::{Sidecar, presignd},
};

/// Runs a command that calls the server over its Unix socket.
fn ask(sidecar: &Sidecar, arguments: &[&str]) -> CommandOutput {
    let server = format!("unix:{}", sidecar.unix.display());
    run(&[arguments, &["--server", &server]].concat())
}

/// The standard output of a command that succeeds.
fn expect_stdout(output: CommandOutput) -> String {
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stdout);
    output.stdout
}

#[tokio::test]
async fn presign_prints_only_the_url() {
    let sidecar = Sidecar::start(&[]).await;
    for (method, rest) in [("get", ""), ("head", ""), ("put", ""), ("delete", "")] {
        let out = expect_stdout(ask(&sidecar, &["presign", method, "s3://plain-bucket/a b/../c%2F"]));
        let start = "https://plain-bucket.s3.us-east-1.amazonaws.com/a%20b/../c%252F?X-Amz-Algorithm=";
        assert!(out.starts_with(start), "{out}{rest}");
        assert!(out.ends_with('\n') && out.trim_end().len() + 1 == out.len(), "{out:?}");
        let (_, signature) = out.trim_end().rsplit_once("&X-Amz-Signature=").unwrap();
        assert_eq!(signature.len(), 64);
    }
}

#[tokio::test]
async fn access_point_arn_works_with_and_without_scheme() {
    let sidecar = Sidecar::start(&[]).await;
    let outposts = "https://demo-123456789012.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com";
    let colons = OUTPOSTS_ARN.replace("outpost/op", "outpost:op").replace("/accesspoint/", ":accesspoint:");
    let point = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports";
    let reports = "https://reports-123456789012.s3-accesspoint.eu-west-1.amazonaws.com";
    for (uri, host) in [
        (format!("s3://{OUTPOSTS_ARN}/a/b"), outposts),
        (format!("{OUTPOSTS_ARN}/a/b"), outposts),
        (format!("{colons}/a/b"), outposts),
        (format!("s3://{point}/a/b"), reports),
    ] {
        let out = expect_stdout(ask(&sidecar, &["presign", "get", &uri]));
        assert!(out.starts_with(&format!("{host}/a/b?")), "{uri}: {out}");
    }
}

#[tokio::test]
async fn verbose_prints_lifetime_and_curl_command_on_stderr() {
    let sidecar = Sidecar::start(&[]).await;
    let arguments = ["presign", "put", "s3://plain-bucket/key", "-v", "--expires-in", "8d"];
    let headers = ["--header", "Content-Type: text/plain", "--header", "x-amz-meta-who: it's me"];
    let CommandOutput { code, stdout, stderr } = ask(&sidecar, &[&arguments[..], &headers].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let url = stdout.trim_end();
    let [expires, requested, curl] = stderr.lines().collect::<Vec<_>>()[..] else { panic!("{stderr}") };
    assert!(expires.starts_with("expires   20") && expires.ends_with("Z (granted 7days)"), "{expires}");
    assert_eq!(requested, "requested 8days, shortened by service_maximum");
    let command = format!(
        "curl      curl --fail --path-as-is --upload-file FILE --header 'content-type: text/plain' \
         --header 'x-amz-meta-who: it'\\''s me' '{url}'"
    );
    assert_eq!(curl, command);
}

#[tokio::test]
async fn curl_prints_only_the_command_on_stdout() {
    let sidecar = Sidecar::start(&[]).await;
    let arguments = ["presign", "delete", "s3://plain-bucket/it's", "--curl"];
    let out = expect_stdout(ask(&sidecar, &arguments));
    let start = "curl --fail --path-as-is --request DELETE \
                 'https://plain-bucket.s3.us-east-1.amazonaws.com/it%27s?X-Amz-Algorithm=";
    assert!(out.starts_with(start) && out.ends_with("'\n") && out.lines().count() == 1, "{out}");
    let CommandOutput { code, stdout, stderr } = ask(&sidecar, &[&arguments[..], &["-v"]].concat());
    assert!(stdout.starts_with(start), "{stdout}");
    assert!(stderr.starts_with("expires   20") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(code, Some(0));
    assert_eq!(ask(&sidecar, &[&arguments[..], &["--json"]].concat()).code, Some(2));
}

#[tokio::test]
async fn json_has_every_field_of_the_response() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let arguments = ["presign", "put", "s3://plain-bucket/key", "--json", "--expires-in", "2h"];
    let out =
        expect_stdout(ask(&sidecar, &[&arguments[..], &["--header", "Content-Type: text/plain"]].concat()));
    let Value::Object(answer) = serde_json::from_str(&out).unwrap() else { panic!("{out} is an object") };
    let mut names: Vec<&str> = answer.keys().map(String::as_str).collect();
    names.sort_unstable();
    let documented = [
        "clamp_reason",
        "expires_at",
        "granted_seconds",
        "headers",
        "method",
        "requested_seconds",
        "signed_at",
        "url",
    ];
    assert_eq!(names, documented);
    assert_eq!((&answer["method"], &answer["clamp_reason"]), (&"PUT".into(), &"SERVER_MAXIMUM".into()));
    assert_eq!((&answer["granted_seconds"], &answer["requested_seconds"]), (&3_600.into(), &7_200.into()));
    assert_eq!(answer["headers"], serde_json::json!({"content-type": "text/plain"}));
    let url = answer["url"].as_str().unwrap();
    let signed_at = answer["signed_at"].as_str().unwrap().replace(['-', ':'], "");
    assert!(url.contains(&format!("&X-Amz-Date={signed_at}&X-Amz-Expires=3600&")), "{out}");
    assert!(answer["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn query_parameters_are_signed() {
    let sidecar = Sidecar::start(&[]).await;
    let arguments = ["presign", "get", "s3://plain-bucket/key", "--query", "versionId=a=b"];
    let out = expect_stdout(ask(&sidecar, &arguments));
    assert!(out.contains("&versionId=a%3Db&"), "{out}");
}

#[tokio::test]
async fn list_takes_a_bucket_with_optional_prefix() {
    let sidecar = Sidecar::start(&[]).await;
    for (uri, prefix) in [("s3://plain-bucket", ""), ("s3://plain-bucket/a b/", "&prefix=a%20b%2F")] {
        let out = expect_stdout(ask(&sidecar, &["presign", "list", uri]));
        assert!(out.starts_with("https://plain-bucket.s3.us-east-1.amazonaws.com/?X-Amz-"), "{out}");
        assert!(out.contains("&list-type=2") && out.contains(prefix), "{out}");
        assert_eq!(out.contains("prefix"), !prefix.is_empty(), "{out}");
    }
    let message = "\"plain-bucket\" is not the URI of a bucket: use s3://BUCKET[/PREFIX], s3://ARN[/PREFIX] or ARN[/PREFIX]";
    assert_eq!(ask(&sidecar, &["presign", "list", "plain-bucket"]), failure(1, message));
}

#[tokio::test]
async fn invalid_arguments_fail_with_one_message() {
    let sidecar = Sidecar::start(&[]).await;
    let presign = |arguments: &[&str]| ask(&sidecar, &[&["presign", "get"], arguments].concat());
    for (arguments, message) in [
        (
            &["plain-bucket/key"][..],
            "\"plain-bucket/key\" is not the URI of an object: use s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY",
        ),
        (
            &["s3://plain-bucket/"],
            "\"s3://plain-bucket/\" is not the URI of an object: use s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY",
        ),
        (
            &["s3://b/key"],
            "the length of the bucket name is 1: it must have 3 to 63 characters (up to 255 if created before March 2018)",
        ),
        (
            &["s3://plain-bucket/key", "--signer", "partner"],
            "signer \"partner\" is not configured on this server: use one of: default",
        ),
        (
            &["s3://plain-bucket/key", "--expires-in", "soon"],
            "--expires-in is \"soon\", but must be a duration, such as 90s, 10m or 12h",
        ),
        (
            &["s3://plain-bucket/key", "--min-expires-in", "1h"],
            "min_expires_in is 1h, but at most 15m can be granted: expires_in does not ask for more",
        ),
        (
            &["s3://plain-bucket/key", "--header", "Content-Type"],
            "--header must be NAME:VALUE, such as --header \"a:b\"",
        ),
        (
            &["s3://plain-bucket/key", "--query", "a=b", "--query", "a=c"],
            "--query \"a\" is given twice: give each name only once",
        ),
        (
            &["https://plain-bucket.s3.amazonaws.com/key"],
            "\"https://plain-bucket.s3.amazonaws.com/key\" is not the URI of an object: \
             use s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY",
        ),
    ] {
        assert_eq!(presign(arguments), failure(1, message));
    }
}

#[test]
fn unreachable_server_is_named_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("none.sock").display());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().to_string();
    drop(free);
    for (address, error) in [
        (socket.as_str(), "No such file or directory (os error 2)"),
        (port.as_str(), "Connection refused (os error 111)"),
    ] {
        let message = format!(
            "cannot reach presignd at {address}: {error}. Start it with `presignd serve`, or give another address with --server"
        );
        assert_eq!(
            run(&["presign", "get", "s3://plain-bucket/key", "--server", address]),
            failure(1, &message)
        );
        assert_eq!(run(&["post", "s3://plain-bucket/key", "--server", address]), failure(1, &message));
        assert_eq!(run(&["healthcheck", "--server", address]), failure(1, &message));
    }
    let message = "\"nowhere\" is not a valid server address: use unix:PATH, unix:@NAME or HOST:PORT";
    assert_eq!(run(&["healthcheck", "--server", "nowhere"]), failure(1, message));
}

#[tokio::test]
async fn healthcheck_exit_code_shows_whether_the_server_can_sign() {
    let provider = CredentialProcess::blocking();
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    let asked = provider.wait_for_start().await;
    assert_eq!(
        ask(&sidecar, &["healthcheck"]),
        failure(1, "not serving: the server has no usable credentials yet, or is stopping")
    );
    assert_eq!(expect_stdout(ask(&sidecar, &["healthcheck", "--service", "liveness"])), "serving\n");
    assert_eq!(
        ask(&sidecar, &["healthcheck", "--service", "signer.partner"]),
        failure(1, "not serving: the server has no health service \"signer.partner\"")
    );
    asked.answer();
    sidecar.wait_until_serving().await;
    assert_eq!(expect_stdout(ask(&sidecar, &["healthcheck"])), "serving\n");
    assert_eq!(expect_stdout(run(&["healthcheck", "--server", &sidecar.tcp])), "serving\n");
}

#[test]
fn version_is_that_of_the_package() {
    let mut command = presignd();
    command.arg("--version");
    assert_eq!(
        expect_stdout(super::run_command(command)),
        format!("presignd {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn closed_stdout_is_no_failure() {
    let sidecar = Sidecar::start(&[]).await;
    for arguments in [
        &["config", "check", "--open"][..],
        &["presign", "get", "s3://plain-bucket/key", "--server", &sidecar.tcp],
        &["post", "s3://plain-bucket/key", "--server", &sidecar.tcp],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = crate::support::sidecar::presignd();
        let status = command.args(arguments).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}
