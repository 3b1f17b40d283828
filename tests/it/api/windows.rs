//! `reuse_window`: the same request gets the same URL, with the correct lifetime.

use std::time::SystemTime;

use presignd::{
    clock::Clock,
    pb::{BatchPresignRequest, PresignRequest, PresignedRequest},
};
use tonic::Code;

use crate::support::{
    grpc::{GrpcError, batch, get, metadata, presigned, refused, results, seconds, url_of},
    sidecar::Sidecar,
};

const HOUR: i64 = 3_600;
/// Long enough that it rarely ends during a test. If it does, the test repeats the calls.
const WINDOW: i64 = 100 * HOUR;

fn reusable(key: &str, window: i64) -> PresignRequest {
    PresignRequest {
        expires_in: Some(seconds(7 * 24 * HOUR)),
        reuse_window: Some(seconds(window)),
        ..get(key)
    }
}

fn signed_at(presigned: &PresignedRequest) -> i64 {
    presigned.signed_at.as_ref().unwrap().seconds
}

fn now() -> i64 {
    let since = Clock::system().now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_url_within_its_window() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    loop {
        let began = now();
        let first = presigned(client.presign(reusable("key", WINDOW)).await);
        let again = presigned(client.presign(reusable("key", WINDOW)).await);
        let defaults = Some(reusable("", WINDOW));
        let items = vec![
            PresignRequest { key: "key".to_owned(), ..PresignRequest::default() },
            reusable("key", WINDOW),
            PresignRequest { reuse_window: None, ..reusable("key", 0) },
            PresignRequest { reuse_window: Some(seconds(HOUR)), ..reusable("key", 0) },
            reusable("another", WINDOW),
            reusable("key", 0),
        ];
        let hourly = presigned(client.presign(reusable("key", HOUR)).await);
        let together = BatchPresignRequest { defaults, ..batch(items) };
        let together = results(client.batch_presign(together).await);
        let last = presigned(client.presign(reusable("key", WINDOW)).await);
        let hourly_again = presigned(client.presign(reusable("key", HOUR)).await);
        let times: Vec<_> = together.iter().map(|result| signed_at(url_of(result))).collect();
        if now() / HOUR != began / HOUR || began % HOUR == 0 {
            // A window ended during the calls, or started in the second of the first call.
            continue;
        }
        assert_eq!(signed_at(&first) % WINDOW, 0);
        assert!(again == first && last == first && hourly_again == hourly);
        assert!(together.iter().take(3).all(|same| url_of(same) == &first));
        assert!(url_of(&together[3]) == &hourly && times[3] % HOUR == 0);
        assert!(times[5] > times[3] && times[3] >= times[0], "{times:?}");
        assert!(url_of(&together[4]).url != first.url && times[4] == times[0]);
        break;
    }
}

#[tokio::test]
async fn a_window_under_one_second_has_no_effect() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let before = now();
    let empty = PresignRequest { reuse_window: Some(seconds(0)), ..get("key") };
    let at = signed_at(&presigned(client.presign(empty).await));
    assert!((before..=now()).contains(&at), "{at}");
}

#[tokio::test]
async fn a_window_longer_than_the_lifetime_is_refused() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let mut client = sidecar.client().await;
    let expected = |message: &str| {
        GrpcError::new(Code::InvalidArgument, "REUSE_WINDOW_TOO_LONG", Some("reuse_window"), message)
    };
    let short =
        PresignRequest { expires_in: Some(seconds(600)), reuse_window: Some(seconds(600)), ..get("key") };
    let status = refused(client.presign(short).await);
    assert_eq!(
        GrpcError::of(&status),
        expected(
            "reuse_window is 10m, but its URLs expire 10m after the window begins \
             (expires_in does not ask for more): reuse_window must be shorter, \
             or URLs from the end of the window would already have expired"
        )
    );
    assert_eq!(metadata(&status)["grantable_seconds"], "600");
    let status = refused(client.presign(reusable("key", HOUR)).await);
    assert_eq!(
        GrpcError::of(&status),
        expected(
            "reuse_window is 1h, but its URLs expire 1h after the window begins \
             (limited by this server's expiry.max): reuse_window must be shorter, \
             or URLs from the end of the window would already have expired"
        )
    );
    let negative = PresignRequest { reuse_window: Some(seconds(-1)), ..get("key") };
    let error = GrpcError::of(&refused(client.presign(negative).await));
    assert_eq!((error.reason.as_str(), error.field.as_deref()), ("DURATION_INVALID", Some("reuse_window")));
}
