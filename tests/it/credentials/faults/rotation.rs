//! The moment at which new credentials replace the old ones.

use std::sync::Arc;

use futures_util::future::join_all;
use presignd::pb::PresignedRequest;
use tokio::{sync::Barrier, time::timeout};

use super::{
    FakeAws, Fault, Keys, RequestKind, assert_no_secrets, assert_serves, in_container, start_serving,
};
use crate::support::{
    callers::long_request,
    grpc::{batch, results, url_of},
    sidecar::PATIENCE,
};

const CALLERS: usize = 100;
const BATCH: usize = 5;

#[tokio::test]
async fn no_url_mixes_old_and_new_credentials() {
    let (old, new) = (Keys::expiring_in("old", 12), Keys::expiring_in("new", 3_600));
    let aws = FakeAws::with_keys(&old);
    let sidecar = start_serving(in_container(&aws)).await;
    assert_serves(&sidecar, &old).await;
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        clients.push(sidecar.client().await);
    }
    aws.set_fault(Fault::Hanging);
    // From now on the refresh runs, until the test sets new keys.
    aws.wait_for_request(RequestKind::Container, 2).await;

    let all_have_called = Arc::new(Barrier::new(CALLERS + 1));
    let mut callers = Vec::new();
    for mut client in clients {
        let (all_have_called, new) = (Arc::clone(&all_have_called), new.clone());
        callers.push(tokio::spawn(async move {
            let mut seen: Vec<Vec<PresignedRequest>> = Vec::new();
            loop {
                let answer = results(client.batch_presign(batch(vec![long_request(); BATCH])).await);
                seen.push(answer.iter().map(url_of).cloned().collect());
                if seen.len() == 1 {
                    all_have_called.wait().await;
                }
                // A few more calls, which must not use the old credentials again.
                if seen.iter().filter(|urls| new.are_in(&urls[0])).count() == 3 {
                    return seen;
                }
            }
        }));
    }
    timeout(PATIENCE, all_have_called.wait()).await.expect("all callers get a response");
    aws.set_keys(&new);

    let answers = timeout(PATIENCE, join_all(callers)).await.expect("all callers see the new credentials");
    for calls in answers.into_iter().map(|caller| caller.expect("no call failed")) {
        let first_new = calls.iter().position(|urls| new.are_in(&urls[0])).expect("the last call used them");
        assert!(first_new > 0, "the old credentials sign during the refresh");
        for (index, urls) in calls.iter().enumerate() {
            let keys = if index < first_new { &old } else { &new };
            assert_eq!(urls.len(), BATCH);
            for url in urls {
                keys.assert_signed(url);
            }
        }
    }
    assert_no_secrets(&sidecar).await;
}
