//! Endpoint settings in the environment and the profile are resolved as by the AWS SDKs, unless presignd's settings
//! override them.

use std::{fs, process::Command};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{FAILED, Keys, assert_no_secrets, assert_unavailable, start_serving};
use crate::support::{
    OUTPOSTS_ARN,
    grpc::{GrpcError, get, presigned, refused},
    sidecar::{PATIENCE, Sidecar, presignd},
};

/// presignd with the default chain, and with keys and these variables in its environment.
fn with(variables: &[(&str, &str)]) -> Command {
    let keys = Keys::permanent("user");
    let mut command = presignd();
    command
        .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")])
        .envs([("AWS_REGION", "us-east-1"), ("RUST_LOG", "trace")])
        .env("AWS_ACCESS_KEY_ID", &keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
        .envs(variables.iter().copied());
    command
}

/// Writes a shared config file; returns its folder and its path.
fn config_file(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap().to_owned();
    (folder, name)
}

/// The base URL of the test bucket.
async fn origin(sidecar: &Sidecar) -> String {
    let url = presigned(sidecar.client().await.presign(get("key")).await).url;
    url.split("/key?").next().unwrap().to_owned()
}

const AT_AWS: &str = "https://plain-bucket.s3.us-east-1.amazonaws.com";

#[tokio::test]
async fn settings_override_the_variables_of_the_sdks() {
    let fips = "https://plain-bucket.s3-fips.us-east-1.amazonaws.com";
    let rows: [(&[(&str, &str)], &str); 12] = [
        (&[], AT_AWS),
        (&[("AWS_ENDPOINT_URL", "http://all:9000")], "http://plain-bucket.all:9000"),
        (
            &[("AWS_ENDPOINT_URL", "http://all:9000"), ("AWS_ENDPOINT_URL_S3", "https://s3.local/base")],
            "https://plain-bucket.s3.local/base",
        ),
        (&[("AWS_ENDPOINT_URL_STS", "http://sts:9000"), ("AWS_ENDPOINT_URL", "")], AT_AWS),
        (
            &[("AWS_ENDPOINT_URL_S3", "http://s3:9000"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
            AT_AWS,
        ),
        (
            &[("AWS_ENDPOINT_URL", "http://all"), ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "http://set:1")],
            "http://plain-bucket.set:1",
        ),
        (&[("AWS_ENDPOINT_URL", "http://all"), ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "aws")], AT_AWS),
        (
            &[
                ("AWS_ENDPOINT_URL", "http://all"),
                ("PRESIGND_SIGNERS_DEFAULT_PUBLIC_ENDPOINT", "https://cdn"),
            ],
            "https://plain-bucket.cdn",
        ),
        (&[("AWS_USE_FIPS_ENDPOINT", "true")], fips),
        (&[("AWS_USE_FIPS_ENDPOINT", "true"), ("PRESIGND_SIGNERS_DEFAULT_FIPS", "false")], AT_AWS),
        (
            &[("AWS_USE_DUALSTACK_ENDPOINT", "True")],
            "https://plain-bucket.s3.dualstack.us-east-1.amazonaws.com",
        ),
        (&[("AWS_USE_DUALSTACK_ENDPOINT", "true"), ("PRESIGND_SIGNERS_DEFAULT_DUAL_STACK", "false")], AT_AWS),
    ];
    for (variables, expected) in rows {
        let sidecar = start_serving(with(variables)).await;
        assert_eq!(origin(&sidecar).await, expected, "{variables:?}");
    }
}

#[tokio::test]
async fn an_invalid_variable_is_ignored_if_a_setting_overrides_it() {
    let overridden = [
        ("AWS_REGION", "US-EAST-1"),
        ("PRESIGND_SIGNERS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "http://user:canary@minio"),
        ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "aws"),
        ("AWS_USE_FIPS_ENDPOINT", "1"),
        ("PRESIGND_SIGNERS_DEFAULT_FIPS", "false"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
        ("PRESIGND_SIGNERS_DEFAULT_DUAL_STACK", "false"),
        ("AWS_S3_USE_ARN_REGION", "1"),
        ("PRESIGND_SIGNERS_DEFAULT_USE_ARN_REGION", "true"),
        ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "1"),
        ("PRESIGND_SIGNERS_DEFAULT_DISABLE_SESSION_AUTH", "true"),
    ];
    assert_eq!(origin(&start_serving(with(&overridden)).await).await, AT_AWS);
}

#[tokio::test]
async fn the_environment_overrides_the_profile() {
    let (_folder, file) = config_file(
        "[default]\nendpoint_url = http://all\nservices = ours\ns3_use_arn_region = false\n\
         [services ours]\ns3 =\n  endpoint_url = http://s3.local:9000\n\
         [profile plain]\nendpoint_url = http://all\n\
         [profile fips]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n",
    );
    let file = ("AWS_CONFIG_FILE", file.as_str());
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[file], "http://plain-bucket.s3.local:9000"),
        (&[file, ("AWS_PROFILE", "plain")], "http://plain-bucket.all"),
        (&[file, ("AWS_ENDPOINT_URL", "http://environment")], "http://plain-bucket.environment"),
        (&[file, ("AWS_PROFILE", "fips")], "https://plain-bucket.s3-fips.dualstack.us-east-1.amazonaws.com"),
    ];
    for (variables, expected) in rows {
        let sidecar = start_serving(with(variables)).await;
        assert_eq!(origin(&sidecar).await, expected, "{variables:?}");
    }
}

#[tokio::test]
async fn an_arn_of_another_region_is_rejected_as_by_the_sdks() {
    let request =
        presignd::pb::PresignRequest { bucket: OUTPOSTS_ARN.replace("us-east-1", "eu-west-1"), ..get("key") };
    let (_folder, file) = config_file("[default]\ns3_use_arn_region = false\n");
    let rows: [(&[(&str, &str)], bool); 5] = [
        (&[], true),
        (&[("AWS_S3_USE_ARN_REGION", "false")], false),
        (&[("AWS_CONFIG_FILE", &file)], false),
        (&[("AWS_CONFIG_FILE", &file), ("AWS_S3_USE_ARN_REGION", "true")], true),
        (&[("AWS_S3_USE_ARN_REGION", "false"), ("PRESIGND_SIGNERS_DEFAULT_USE_ARN_REGION", "true")], true),
    ];
    for (variables, is_accepted) in rows {
        let sidecar = start_serving(with(variables)).await;
        let answer = sidecar.client().await.presign(request.clone()).await;
        assert_eq!(answer.is_ok(), is_accepted, "{variables:?}");
        if !is_accepted {
            let error = GrpcError::of(&refused(answer));
            assert_eq!((error.reason.as_str(), error.field.as_deref()), ("TARGET_REFUSED", Some("bucket")));
            assert!(error.message.contains("signers.NAME.use_arn_region"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_directory_bucket_needs_no_session_without_session_auth() {
    let directory = presignd::pb::PresignRequest { bucket: "logs--use1-az4--x-s3".to_owned(), ..get("key") };
    let host = "https://logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/key?";
    for variable in ["AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "PRESIGND_SIGNERS_DEFAULT_DISABLE_SESSION_AUTH"] {
        let sidecar = start_serving(with(&[(variable, "true")])).await;
        let url = presigned(sidecar.client().await.presign(directory.clone()).await).url;
        assert!(url.starts_with(host) && url.contains("%2Fus-east-1%2Fs3express%2Faws4_request"), "{url}");
    }
}

#[tokio::test]
async fn an_invalid_variable_is_named_without_its_value() {
    for (name, value) in [
        ("AWS_ENDPOINT_URL_S3", "http://user:canary@minio"),
        ("AWS_REGION", "Canary"),
        ("AWS_USE_FIPS_ENDPOINT", "canary"),
        ("AWS_S3_USE_ARN_REGION", "canary"),
    ] {
        let mut command = with(&[(name, value)]);
        command.env("RUST_LOG", "info");
        let sidecar = Sidecar::spawn(command, &[]);
        sidecar.wait_for_log(FAILED).await;
        assert!(sidecar.log().contains(name), "{}", sidecar.log());
        assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
        assert_no_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn unsupported_endpoint_settings_are_logged_and_rejected() {
    let sidecar = start_serving(with(&[
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", "http://minio:9000"),
    ]))
    .await;
    sidecar.wait_for_log("URLs cannot be signed for any bucket: FIPS exists only on AWS").await;
    let error = GrpcError::of(&refused(sidecar.client().await.presign(get("key")).await));
    assert_eq!((error.reason.as_str(), error.field.as_deref()), ("TARGET_REFUSED", Some("bucket")));
    assert!(error.message.contains("signers.NAME.fips = false"), "{error:?}");
}

#[tokio::test]
async fn a_changed_profile_endpoint_is_used_with_the_same_keys() {
    let keys = Keys::permanent("first").section("default");
    let text = |endpoint: &str| format!("{keys}\nregion = us-east-1\nendpoint_url = {endpoint}\n");
    let (_folder, file) = config_file(&text("http://before"));
    let mut command = with(&[("AWS_CONFIG_FILE", &file), ("PRESIGND_SIGNERS_DEFAULT_PROVIDER", "profile")]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let sidecar = start_serving(command).await;
    assert_eq!(origin(&sidecar).await, "http://plain-bucket.before");
    fs::write(&file, text("http://after")).unwrap();
    wait_for_origin(&sidecar, "http://plain-bucket.after").await;
}

/// Waits until the test bucket has this base URL.
async fn wait_for_origin(sidecar: &Sidecar, expected: &str) {
    let changed = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
        while origin(sidecar).await != expected {
            pace.tick().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, changed).await.is_ok();
    assert!(in_time, "{expected} and not {}: {}", origin(sidecar).await, sidecar.log());
}

#[tokio::test]
async fn resolved_endpoint_defaults_survive_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    fs::write(&file, "").unwrap();
    let mut command = with(&[("AWS_ENDPOINT_URL_S3", "http://minio:9000")]);
    command.env("PRESIGND_CONFIG", &file);
    let sidecar = start_serving(command).await;
    assert_eq!(origin(&sidecar).await, "http://plain-bucket.minio:9000");
    for (text, expected) in [
        ("path_style = true", "http://minio:9000/plain-bucket"),
        ("endpoint = \"http://set\"", "http://plain-bucket.set"),
        ("accelerate = false", "http://plain-bucket.minio:9000"),
    ] {
        fs::write(&file, format!("[signers.default]\n{text}\n")).unwrap();
        sidecar.send_signal(Signal::HUP);
        wait_for_origin(&sidecar, expected).await;
    }
}
