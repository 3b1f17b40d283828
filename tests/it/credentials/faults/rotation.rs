//! The moment at which new credentials take the place of the old.

use std::sync::Arc;

use futures_util::future::join_all;
use presignd::pb::PresignedRequest;
use tokio::{sync::Barrier, time::timeout};

use super::{Aws, Fault, Keys, Kind, in_container, kept_secrets, serves, serving};
use crate::support::{
    callers::long,
    grpc::{batch, results, url_of},
    sidecar::PATIENCE,
};

const CALLERS: usize = 100;
const BATCH: usize = 5;

#[tokio::test]
async fn every_url_of_a_hundred_callers_is_wholly_of_the_old_or_wholly_of_the_new_credentials() {
    let (old, new) = (Keys::lasting("old", 12), Keys::lasting("new", 3_600));
    let aws = Aws::giving(&old);
    let sidecar = serving(in_container(&aws)).await;
    serves(&sidecar, &old).await;
    let mut clients = Vec::new();
    for _ in 0..CALLERS {
        clients.push(sidecar.client().await);
    }
    aws.fault(Fault::Held);
    // The refresh is under way from here on, and ends when the test says so.
    aws.asked(Kind::Container, 2).await;

    let all_ask = Arc::new(Barrier::new(CALLERS + 1));
    let mut callers = Vec::new();
    for mut client in clients {
        let (all_ask, new) = (Arc::clone(&all_ask), new.clone());
        callers.push(tokio::spawn(async move {
            let mut seen: Vec<Vec<PresignedRequest>> = Vec::new();
            loop {
                let answer = results(client.batch_presign(batch(vec![long(); BATCH])).await);
                seen.push(answer.iter().map(url_of).cloned().collect());
                if seen.len() == 1 {
                    all_ask.wait().await;
                }
                // A few more calls, to see that nobody is given the old ones again.
                if seen.iter().filter(|urls| new.are_in(&urls[0])).count() == 3 {
                    return seen;
                }
            }
        }));
    }
    timeout(PATIENCE, all_ask.wait()).await.expect("all callers have an answer");
    aws.give(&new);

    let answers = timeout(PATIENCE, join_all(callers)).await.expect("all callers see the new credentials");
    for calls in answers.into_iter().map(|caller| caller.expect("no call was refused")) {
        let first_new = calls.iter().position(|urls| new.are_in(&urls[0])).expect("it ended with them");
        assert!(first_new > 0, "the old ones signed while the new ones were on their way");
        for (index, urls) in calls.iter().enumerate() {
            let keys = if index < first_new { &old } else { &new };
            assert_eq!(urls.len(), BATCH);
            for url in urls {
                keys.signed(url);
            }
        }
    }
    kept_secrets(&sidecar).await;
}
