//! boto3, told to sign with `s3v4` and to use the regional endpoint, must give the same parameters and signature.

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
    let questions: String =
        all.iter().map(|(sample, case)| question(sample, case).to_string() + "\n").collect();
    let answers =
        tokio::task::spawn_blocking(move || python::run(python::script("boto3_oracle.py"), &questions));
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

fn question(sample: &Sample, case: &Case) -> Value {
    json!({
        "time": case.time,
        "region": case.region,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "session_token": case.session_token,
        "endpoint": case.endpoint,
        "path_style": case.path_style,
        "operation": sample.name,
        "bucket": case.bucket,
        "key": case.key,
        "expires_in": case.expires_in,
        "params": sample.botocore,
    })
}
