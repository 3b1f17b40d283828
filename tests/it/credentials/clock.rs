//! A system time that jumps: delays are measured by the monotonic clock, expiry by the system time.

use std::time::Duration;

use prost_types::Timestamp;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{Aws, Fault, Keys, in_container, refuses, serves, serving};
use crate::support::{
    aws::Kind,
    callers::{signs, url},
    clock::{OwnClock, Sets, signed_from_now},
    sidecar::Sidecar,
};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_clock_jump_past_the_expiry_loads_newer_credentials() {
    let (first, second) = (Keys::lasting("first", 1_800), Keys::lasting("second", 3 * 3_600));
    let aws = Aws::giving(&first);
    let mut command = in_container(&aws);
    let clock = OwnClock::of(&mut command, Sets::TimeOfDay);
    let sidecar = serving(command).await;
    serves(&sidecar, &first).await;

    aws.give(&second);
    clock.set(3_600);
    aws.asked(Kind::Container, 2).await;
    signs(&sidecar, &second).await;
    let url = url(&sidecar).await;
    assert!((signed_from_now(&url) - 3_600).abs() < 5, "signed at the new system time");
    assert_eq!(url.expires_at, second.end.map(Timestamp::from));
}

#[tokio::test]
async fn credentials_are_usable_again_after_the_clock_jumps_back() {
    let keys = Keys::lasting("only", 1_800);
    let aws = Aws::giving(&keys);
    let mut command = in_container(&aws);
    let clock = OwnClock::of(&mut command, Sets::TimeOfDay);
    let sidecar = serving(command).await;

    aws.fault(Fault::Refused);
    clock.set(3_600);
    refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
    clock.set(0);
    sidecar.health("signer.default", Serving).await;
    serves(&sidecar, &keys).await;
}

#[tokio::test]
async fn a_backward_clock_jump_does_not_delay_the_refresh() {
    let (first, second) = (Keys::lasting("first", 12), Keys::lasting("second", 3_600));
    let aws = Aws::giving(&first);
    let mut command = in_container(&aws);
    let clock = OwnClock::of(&mut command, Sets::TimeOfDay);
    let sidecar = serving(command).await;
    serves(&sidecar, &first).await;

    clock.set_for(&sidecar, -3_600).await;
    // By the system time, more than an hour is left until the refresh; by the monotonic clock, nine seconds.
    aws.give(&second);
    aws.asked(Kind::Container, 2).await;
    signs(&sidecar, &second).await;
    assert!(aws.count(Kind::Container) <= 3, "no busy loop");
}

#[tokio::test]
async fn a_wrong_clock_at_start_is_logged_as_expired_credentials() {
    let keys = Keys::lasting("only", HOUR.as_secs());
    let aws = Aws::giving(&keys);
    let mut command = in_container(&aws);
    let clock = OwnClock::of(&mut command, Sets::TimeOfDay);
    clock.set(7_200);
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.logged("the provider returned credentials that expired 1h").await;
    sidecar.health("signer.default", NotServing).await;
    clock.set(0);
    serves(&sidecar, &keys).await;
}
