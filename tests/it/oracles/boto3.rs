//! boto3, configured for `s3v4` and the regional endpoint, must give the same parameters and signature.

use presignd::pb::{self, presign_request::Operation};
use serde_json::{Value, json};

use super::cases::{self, Sample};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
    python,
};

#[tokio::test]
async fn thousands_of_urls_equal_those_of_boto3() {
    let all = cases::all();
    let requests: String =
        all.iter().map(|(sample, case)| url_request(sample, case).to_string() + "\n").collect();
    let answers =
        tokio::task::spawn_blocking(move || python::run(python::script("boto3_oracle.py"), &requests));
    let answers = answers.await.unwrap();
    let service = InProcess::new();
    let mut compared = 0;
    for ((sample, case), answer) in all.iter().zip(answers.lines()) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let theirs = answer["url"].as_str().unwrap_or_else(|| panic!("{}: {answer}", sample.name));
        let ours = service.presign(case).await.unwrap();
        assert_eq!(
            Parts::of(&ours.url),
            Parts::of(theirs),
            "{} of {:?} in {}",
            sample.name,
            case.key,
            case.bucket
        );
        compared += 1;
    }
    assert!(compared > 3_000 && compared == all.len(), "{compared} of {} cases", all.len());
}

/// The fields and conditions of the forms to compare.
fn forms() -> Vec<pb::PresignPostRequest> {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let range = |min, max| Some(pb::ContentLengthRange { min, max });
    let form = |fields: &[(&str, &str)], starts_with: &[(&str, &str)], content_length_range| {
        let (fields, starts_with) = (map(fields), map(starts_with));
        pb::PresignPostRequest { fields, starts_with, content_length_range, ..Default::default() }
    };
    vec![
        form(&[], &[], None),
        form(&[], &[], range(0, 0)),
        form(&[("acl", "public-read")], &[], range(1, 5 << 30)),
        form(&[], &[("Content-Type", "image/"), ("x-amz-meta-tag", "")], None),
        form(
            &[
                ("Content-Type", "text/plain; charset=utf-8"),
                ("success_action_redirect", "https://example.com/done?a=b&c=\"d\""),
                ("x-amz-meta-odd", "ünïcödé 😀 \\ \t \u{7f} $$ 'x'"),
                ("tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"),
            ],
            &[("x-ignore-me", "ü\\")],
            range(7, 7),
        ),
    ]
}

#[tokio::test]
async fn forms_with_policy_and_signature_equal_those_of_boto3() {
    let mut cases = Vec::new();
    for (region, endpoint, path_style, bucket) in [
        ("us-east-1", None, false, "plain-bucket"),
        ("eu-west-1", None, true, "plain-bucket"),
        ("eu-central-1", None, false, "dotted.bucket"),
        ("us-gov-west-1", None, false, "plain-bucket"),
        ("cn-north-1", None, false, "plain-bucket"),
        ("us-east-1", None, false, "reports-abc-s3alias"),
        ("us-east-1", Some("http://127.0.0.1:9000"), true, "plain-bucket"),
        ("us-east-1", Some("https://minio.example"), false, "plain-bucket"),
    ] {
        for session_token in [None, Some("a/session+token==".to_owned())] {
            for key in ["a", "user/${filename}", "${filename}", "ü/😀 \" \\ + %41 $$.txt", "//a/../b"] {
                let operation = Operation::PutObject(pb::PutObject::default());
                let session_token = session_token.clone();
                let case =
                    Case { region, session_token, endpoint, path_style, ..Case::new(bucket, key, operation) };
                cases.extend(forms().into_iter().map(|form| (case.clone(), form)));
            }
        }
    }
    let requests: String =
        cases.iter().map(|(case, form)| post_request(case, form).to_string() + "\n").collect();
    let answers =
        tokio::task::spawn_blocking(move || python::run(python::script("boto3_oracle.py"), &requests));
    let answers = answers.await.unwrap();
    assert_eq!(answers.lines().count(), cases.len());
    let service = InProcess::new();
    for ((case, form), answer) in cases.into_iter().zip(answers.lines()) {
        let theirs: Value = serde_json::from_str(answer).unwrap();
        let ours = service.presign_post(&case, form).await.unwrap();
        let ours = json!({"url": ours.url, "fields": ours.fields});
        assert_eq!(ours, theirs, "{:?} in {} of {}", case.key, case.bucket, case.region);
    }
}

fn post_request(case: &Case, form: &pb::PresignPostRequest) -> Value {
    let exact = form.fields.iter().map(|(name, value)| json!({name: value}));
    let prefixes =
        form.starts_with.iter().map(|(name, text)| json!(["starts-with", format!("${name}"), text]));
    let length =
        form.content_length_range.iter().map(|range| json!(["content-length-range", range.min, range.max]));
    let conditions: Vec<Value> = exact.chain(prefixes).chain(length).collect();
    oracle_request(case, "PresignPost", &json!({"Fields": form.fields, "Conditions": conditions}))
}

fn url_request(sample: &Sample, case: &Case) -> Value {
    oracle_request(case, sample.name, &json!(sample.botocore))
}

fn oracle_request(case: &Case, operation: &str, params: &Value) -> Value {
    json!({
        "time": case.time,
        "region": case.region,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "session_token": case.session_token,
        "endpoint": case.endpoint,
        "path_style": case.path_style,
        "operation": operation,
        "bucket": case.bucket,
        "key": case.key,
        "expires_in": case.expires_in,
        "params": params,
    })
}
