//! `presignd post`.

use serde_json::{Value, json};

use super::{ask, expect_stdout};
use crate::{
    program::{CommandOutput, failure},
    support::sidecar::Sidecar,
};

#[tokio::test]
async fn post_prints_a_command_with_the_file_last() {
    let sidecar = Sidecar::start(&[]).await;
    let arguments = ["post", "s3://plain-bucket/user/${filename}", "--field", "acl=private", "--starts-with"];
    let more = ["Content-Type=image/", "-v", "--expires-in", "8d"];
    let CommandOutput { code, stdout, stderr } = ask(&sidecar, &[&arguments[..], &more].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let start = "curl --fail --form-string 'acl=private' --form-string 'key=user/${filename}' \
                 --form-string 'policy=";
    let end = " --form-string 'Content-Type=image/' --form file=@FILE \
               'https://plain-bucket.s3.us-east-1.amazonaws.com/'\n";
    assert!(stdout.starts_with(start) && stdout.ends_with(end), "{stdout}");
    for name in ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"] {
        assert!(stdout.contains(&format!(" --form-string '{name}=")), "{stdout}");
    }
    let [expires, requested, complete] = stderr.lines().collect::<Vec<_>>()[..] else { panic!("{stderr}") };
    assert!(expires.starts_with("expires   20") && expires.ends_with("Z (granted 7days)"), "{expires}");
    assert_eq!(requested, "requested 8days, shortened by service_maximum");
    assert_eq!(complete, "complete the value of Content-Type: the command has only the required prefix");
}

#[tokio::test]
async fn json_has_every_field_of_the_form() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let arguments = ["post", "s3://plain-bucket/key", "--json", "--expires-in", "2h"];
    let more = ["--content-length-range", "1:10", "--field", "x-amz-meta-a= as it is "];
    let out = expect_stdout(ask(&sidecar, &[&arguments[..], &more].concat()));
    let mut form: Value = serde_json::from_str(&out).unwrap();
    let fields = form["fields"].take();
    assert!(form["expires_at"].take().as_str().unwrap().ends_with('Z'));
    let rest = json!({
        "url": "https://plain-bucket.s3.us-east-1.amazonaws.com/",
        "fields": null,
        "expires_at": null,
        "granted_seconds": 3_600,
        "requested_seconds": 7_200,
        "clamp_reason": "SERVER_MAXIMUM",
    });
    assert_eq!(form, rest);
    assert_eq!((&fields["key"], &fields["x-amz-meta-a"]), (&"key".into(), &" as it is ".into()));
    let policy = aws_smithy_types::base64::decode(fields["policy"].as_str().unwrap()).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    assert!(policy["conditions"].as_array().unwrap().contains(&json!(["content-length-range", 1, 10])));
}

#[tokio::test]
async fn invalid_arguments_fail_with_one_message() {
    let sidecar = Sidecar::start(&[]).await;
    for (arguments, message) in [
        (
            &["plain-bucket/key"][..],
            "\"plain-bucket/key\" is not the URI of an object: use s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY",
        ),
        (
            &["s3://plain-bucket/key", "--content-length-range", "10"],
            "--content-length-range is \"10\", but must be MIN:MAX in bytes, such as --content-length-range 1:10485760",
        ),
        (
            &["s3://plain-bucket/key", "--content-length-range", "2:1"],
            "content_length_range has min 2 and max 1: min must not be greater than max",
        ),
        (&["s3://plain-bucket/key", "--field", "acl"], "--field must be NAME=VALUE, such as --field \"a=b\""),
        (&["s3://plain-bucket/key", "--field", "policy=x"], "field policy cannot be set: presignd sets it"),
        (
            &["s3://plain-bucket/a\nb"],
            "key contains a line break: browsers change line breaks in forms, so the key would not match the signed one",
        ),
    ] {
        assert_eq!(ask(&sidecar, &[&["post"], arguments].concat()), failure(1, message));
    }
}
