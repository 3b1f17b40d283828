//! Expired, too early, and credentials that ended first: with a clock and credentials that the test sets.

use std::time::{Duration, SystemTime};

use presignd::pb::{GetObject, presign_request::Operation};

use super::{Used, verdict};
use crate::support::in_process::{Case, InProcess};

const SIGNED: u64 = 1_369_353_600;

#[tokio::test]
async fn a_url_is_valid_from_a_quarter_of_an_hour_before_its_signing_to_its_end() {
    let service = InProcess::new();
    let case = Case::new("plain-bucket", "key", Operation::GetObject(GetObject::default()));
    let used = Used::of(&service.presign(&case).await.unwrap());
    let end = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    for (now, ends, expected, finding) in [
        (SIGNED, None, "VALID", ""),
        (SIGNED + 899, None, "VALID", ""),
        (SIGNED + 900, None, "EXPIRED", "the URL expired at 2013-05-24T00:15:00Z: ask for a new one"),
        (SIGNED + 99_999, None, "EXPIRED", "the URL expired at 2013-05-24T00:15:00Z: ask for a new one"),
        (SIGNED - 900, None, "VALID", ""),
        (
            SIGNED - 901,
            None,
            "NOT_YET_VALID",
            "the URL is not yet valid: X-Amz-Date is 2013-05-24T00:00:00Z, in the future; the clock of the signer is \
             wrong, or this one's",
        ),
        (
            SIGNED + 60,
            end(SIGNED + 60),
            "EXPIRED",
            "the credentials that signed the URL expired at 2013-05-24T00:01:00Z, before the URL itself: ask for a new \
             URL",
        ),
        (
            SIGNED + 30,
            end(SIGNED + 60),
            "VALID",
            "the credentials that signed the URL end at 2013-05-24T00:01:00Z, before the URL itself: it stops working \
             then",
        ),
        (SIGNED + 30, end(SIGNED + 900), "VALID", ""),
    ] {
        let at = Case { time: now, ..case.clone() };
        let answer = service.explain(&at, ends, used.question("")).await;
        let findings: Vec<_> = if finding.is_empty() { vec![] } else { vec![finding.to_owned()] };
        assert_eq!((verdict(&answer), &answer.findings), (expected, &findings), "{now}");
        assert_eq!(answer.signed_at.unwrap().seconds.unsigned_abs(), SIGNED);
        assert_eq!(answer.expires_at.unwrap().seconds.unsigned_abs(), SIGNED + 900);
    }
}

#[tokio::test]
async fn a_url_that_is_wrong_and_over_is_told_both() {
    let service = InProcess::new();
    let case = Case::new("plain-bucket", "key", Operation::GetObject(GetObject::default()));
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.method = "delete".to_owned();
    let at = Case { time: SIGNED + 1_000, ..case };
    let answer = service.explain(&at, None, used.question("")).await;
    assert_eq!(verdict(&answer), "SIGNATURE_MISMATCH");
    assert_eq!(
        answer.findings,
        [
            "the method differs: GET was signed, DELETE is used",
            "the URL expired at 2013-05-24T00:15:00Z: ask for a new one"
        ]
    );
}
