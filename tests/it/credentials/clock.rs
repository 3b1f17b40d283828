//! A system time that jumps: delays are measured by the monotonic clock, expiry by the system time.

use std::time::Duration;

use prost_types::Timestamp;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{FakeAws, Fault, Keys, assert_serves, assert_unavailable, in_container, start_serving};
use crate::support::{
    aws::RequestKind,
    callers::{url, wait_until_signing},
    clock::{FakeClock, FakedClocks, signed_from_now},
    sidecar::Sidecar,
};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_clock_jump_past_the_expiry_loads_newer_credentials() {
    let (first, second) = (Keys::expiring_in("first", 1_800), Keys::expiring_in("second", 3 * 3_600));
    let aws = FakeAws::with_keys(&first);
    let mut command = in_container(&aws);
    let clock = FakeClock::attach(&mut command, FakedClocks::SystemTime);
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &first).await;

    aws.set_keys(&second);
    clock.set(3_600);
    aws.wait_for_request(RequestKind::Container, 2).await;
    wait_until_signing(&sidecar, &second).await;
    let url = url(&sidecar).await;
    assert!((signed_from_now(&url) - 3_600).abs() < 5, "signed at the new system time");
    assert_eq!(url.expires_at, second.end.map(Timestamp::from));
}

#[tokio::test]
async fn credentials_are_usable_again_after_the_clock_jumps_back() {
    let keys = Keys::expiring_in("only", 1_800);
    let aws = FakeAws::with_keys(&keys);
    let mut command = in_container(&aws);
    let clock = FakeClock::attach(&mut command, FakedClocks::SystemTime);
    let sidecar = start_serving(command).await;

    aws.set_fault(Fault::Unreachable);
    clock.set(3_600);
    assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
    clock.set(0);
    sidecar.wait_for_health("signer.default", Serving).await;
    assert_serves(&sidecar, &keys).await;
}

#[tokio::test]
async fn a_backward_clock_jump_does_not_delay_the_refresh() {
    let (first, second) = (Keys::expiring_in("first", 12), Keys::expiring_in("second", 3_600));
    let aws = FakeAws::with_keys(&first);
    let mut command = in_container(&aws);
    let clock = FakeClock::attach(&mut command, FakedClocks::SystemTime);
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &first).await;

    clock.set_and_wait(&sidecar, -3_600).await;
    // By the system time, more than an hour is left until the refresh; by the monotonic clock, nine seconds.
    aws.set_keys(&second);
    aws.wait_for_request(RequestKind::Container, 2).await;
    wait_until_signing(&sidecar, &second).await;
    assert!(aws.request_count(RequestKind::Container) <= 3, "no busy loop");
}

#[tokio::test]
async fn a_wrong_clock_at_start_is_logged_as_expired_credentials() {
    let keys = Keys::expiring_in("only", HOUR.as_secs());
    let aws = FakeAws::with_keys(&keys);
    let mut command = in_container(&aws);
    let clock = FakeClock::attach(&mut command, FakedClocks::SystemTime);
    clock.set(7_200);
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_for_log("the provider returned credentials that expired 1h").await;
    sidecar.wait_for_health("signer.default", NotServing).await;
    clock.set(0);
    assert_serves(&sidecar, &keys).await;
}
