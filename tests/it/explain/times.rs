//! URLs that are expired or not yet valid, and credentials that expire before the URL.

use std::time::{Duration, SystemTime};

use presignd::pb::{GetObject, presign_request::Operation};

use super::{Used, verdict};
use crate::support::in_process::{Case, InProcess};

const SIGNED: u64 = 1_369_353_600;

#[tokio::test]
async fn url_is_valid_from_15_minutes_before_signing_to_expiry() {
    let service = InProcess::new();
    let case = Case::new("plain-bucket", "key", Operation::GetObject(GetObject::default()));
    let used = Used::of(&service.presign(&case).await.unwrap());
    let end = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    for (now, ends, expected, finding) in [
        (SIGNED, None, "VALID", ""),
        (SIGNED + 899, None, "VALID", ""),
        (SIGNED + 900, None, "EXPIRED", "the URL expired at 2013-05-24T00:15:00Z: request a new one"),
        (SIGNED + 99_999, None, "EXPIRED", "the URL expired at 2013-05-24T00:15:00Z: request a new one"),
        (SIGNED - 900, None, "VALID", ""),
        (
            SIGNED - 901,
            None,
            "NOT_YET_VALID",
            "the URL is not yet valid, X-Amz-Date is 2013-05-24T00:00:00Z, in the future: check the clocks of presignd \
             and of the signer",
        ),
        (
            SIGNED + 60,
            end(SIGNED + 60),
            "EXPIRED",
            "the credentials that signed the URL expired at 2013-05-24T00:01:00Z, before the URL itself: request a new \
             URL",
        ),
        (
            SIGNED + 30,
            end(SIGNED + 60),
            "VALID",
            "the credentials that signed the URL expire at 2013-05-24T00:01:00Z, before the URL itself: it stops working \
             then",
        ),
        (SIGNED + 30, end(SIGNED + 900), "VALID", ""),
    ] {
        let at = Case { time: now, ..case.clone() };
        let answer = service.explain(&at, ends, used.to_explain_request("")).await;
        let findings: Vec<_> = if finding.is_empty() { vec![] } else { vec![finding.to_owned()] };
        assert_eq!((verdict(&answer), &answer.findings), (expected, &findings), "{now}");
        assert_eq!(answer.signed_at.unwrap().seconds.unsigned_abs(), SIGNED);
        assert_eq!(answer.expires_at.unwrap().seconds.unsigned_abs(), SIGNED + 900);
    }
}

#[tokio::test]
async fn mismatch_and_expiry_are_both_reported() {
    let service = InProcess::new();
    let case = Case::new("plain-bucket", "key", Operation::GetObject(GetObject::default()));
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.method = "delete".to_owned();
    let at = Case { time: SIGNED + 1_000, ..case };
    let answer = service.explain(&at, None, used.to_explain_request("")).await;
    assert_eq!(verdict(&answer), "SIGNATURE_MISMATCH");
    assert_eq!(
        answer.findings,
        [
            "the method differs: signed GET, sent DELETE",
            "the URL expired at 2013-05-24T00:15:00Z: request a new one"
        ]
    );
}
