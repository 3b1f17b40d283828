//! Faults of AWS endpoints, and their effect on callers.

mod answers;
mod outages;
mod rotation;
mod slow;

use std::process::Command;

use super::{
    FAILED, Keys, assert_no_secrets, assert_serves, assert_unavailable, assuming, in_container, on_ec2,
    replace_file, start_serving, wait_for_attempts, wait_for_rotation, with_web_identity,
};
use crate::support::{
    aws::{FakeAws, Fault, RequestKind},
    callers::Caller,
    sidecar::Sidecar,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/demo-app";

/// presignd that needs only STS for its credentials.
fn in_role(sts: &FakeAws) -> Command {
    assuming(ROLE, &Keys::permanent("base"), sts)
}

/// Makes the command of presignd for an endpoint.
type MakeCommand = fn(&FakeAws) -> Command;

/// Each endpoint: the name of its credentials, the kind of their request, and the command.
const ENDPOINTS: [(&str, RequestKind, MakeCommand); 3] = [
    ("imds", RequestKind::Imds, on_ec2),
    ("container", RequestKind::Container, in_container),
    ("sts", RequestKind::AssumeRole, in_role),
];
