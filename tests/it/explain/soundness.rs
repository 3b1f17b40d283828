//! Every URL that presignd signs is valid, and its explanation shows what was signed. No other text is valid.

use std::collections::BTreeMap;

use presignd::pb::{GetObject, PutObject, presign_request::Operation};
use proptest::{collection::btree_map, option, prelude::*};

use super::{Used, verdict};
use crate::{
    oracles::cases,
    support::in_process::{Case, InProcess, Parts, percent_decoded},
};

#[tokio::test]
async fn signed_urls_of_all_operations_and_targets_are_valid() {
    let service = InProcess::new();
    let mut all = cases::all();
    for key in cases::KEYS {
        let global = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
        let read = || Operation::GetObject(GetObject::default());
        let custom = |endpoint, path_style| Case {
            endpoint: Some(endpoint),
            path_style,
            ..Case::new("plain-bucket", key, read())
        };
        for case in [
            Case::new(global, key, read()),
            custom("http://127.0.0.1:9000", true),
            custom("https://minio.local:443/base", true),
            custom("http://minio.local:9000", false),
        ] {
            let sample = cases::samples().remove(0);
            all.push((sample, case));
        }
    }
    for (sample, case) in &all {
        let presigned = service.presign(case).await.unwrap();
        let answer = service.explain(case, None, Used::of(&presigned).to_explain_request("")).await;
        let what = format!("{} of {:?} in {}", sample.name, case.key, case.bucket);
        assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]), "{what}");
        let parts = answer.parts.unwrap();
        assert_eq!(parts.key, case.key, "{what}");
        assert!(is_same_bucket(&parts.bucket, &case.bucket), "{what}: {}", parts.bucket);
        assert_eq!(parts.has_session_token, case.session_token.is_some(), "{what}");
        assert_eq!(parts.expires.unwrap().seconds.unsigned_abs(), case.expires_in, "{what}");
        assert_eq!(answer.canonical_request.lines().nth(1), Some(Parts::of(&presigned.url).path.as_str()));
    }
    assert!(all.len() > 3_000, "{} cases", all.len());
}

/// Whether the bucket in a host name is the bucket of a request.
fn is_same_bucket(shown: &str, asked: &str) -> bool {
    if !asked.starts_with("arn:") {
        return shown == asked;
    }
    let name = asked.rsplit([':', '/']).next().unwrap();
    shown == name || shown == format!("{name}-123456789012")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_key_is_valid_until_the_method_changes(
        key in "\\PC{1,40}",
        metadata in btree_map("[a-z0-9-]{1,8}", "[ -~]{0,12}", 0..4),
        query in option::of("\\PC{1,20}"),
        token in option::of("[A-Za-z0-9+/=]{1,40}"),
    ) {
        let operation = match &query {
            Some(text) => Operation::GetObject(GetObject { response_content_type: text.clone(), ..Default::default() }),
            None => Operation::PutObject(PutObject { metadata, ..Default::default() }),
        };
        let case = Case { session_token: token, ..Case::new("plain-bucket", &key, operation) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let service = InProcess::new();
            let presigned = service.presign(&case).await.unwrap();
            let mut used = Used::of(&presigned);
            let answer = service.explain(&case, None, used.to_explain_request("")).await;
            assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
            let path = answer.canonical_request.lines().nth(1).unwrap();
            assert_eq!(percent_decoded(path), format!("/{key}"));
            used.method = if used.method == "GET" { "PUT".to_owned() } else { "GET".to_owned() };
            let answer = service.explain(&case, None, used.to_explain_request("")).await;
            assert_eq!(verdict(&answer), "SIGNATURE_MISMATCH");
            assert!(answer.findings[0].starts_with("the method differs"), "{:?}", answer.findings);
        });
    }

    #[test]
    fn no_text_with_a_forged_signature_is_valid(
        url in any::<String>(),
        rest in "[ -~]{0,80}",
        body in any::<String>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let case = Case::new("plain-bucket", "key", Operation::GetObject(GetObject::default()));
        let forged = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20130524T000000Z&X-Amz-Expires=900\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-SignedHeaders=host&X-Amz-Signature=00";
        runtime.block_on(async {
            let service = InProcess::new();
            for text in [format!("x{url}"), format!("https://{url}"), format!("http://b.s3.amazonaws.com/{rest}?{forged}"),
                format!("http://b.s3.amazonaws.com/{url}?{forged}&{rest}")] {
                let used = Used { url: text, method: "GET".to_owned(), headers: BTreeMap::new() };
                let answer = service.explain(&case, None, used.to_explain_request(&body)).await;
                assert_ne!(verdict(&answer), "VALID");
                assert!(!answer.findings.is_empty());
            }
        });
    }
}
