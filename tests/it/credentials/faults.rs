//! Everything that goes wrong with AWS's endpoints, and what callers see of it.

mod answers;
mod outages;
mod rotation;
mod slow;

use std::process::Command;

use super::{
    FAILED, Keys, assuming, counted, in_container, kept_secrets, on_ec2, refuses, replace, rotated, serves,
    serving, with_web_identity,
};
use crate::support::{
    aws::{Aws, Fault, Kind},
    callers::Caller,
    sidecar::Sidecar,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/demo-app";

/// presignd with STS alone between it and its credentials.
fn in_role(sts: &Aws) -> Command {
    assuming(ROLE, &Keys::unending("base"), sts)
}

/// How presignd is started against an endpoint.
type Started = fn(&Aws) -> Command;

/// Each endpoint, with the name of its credentials.
const ENDPOINTS: [(&str, Kind, Started); 3] = [
    ("imds", Kind::Imds, on_ec2),
    ("container", Kind::Container, in_container),
    ("sts", Kind::AssumeRole, in_role),
];
