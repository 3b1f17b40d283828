//! Faults of AWS endpoints, and their effect on callers.

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

/// presignd that needs only STS for its credentials.
fn in_role(sts: &Aws) -> Command {
    assuming(ROLE, &Keys::unending("base"), sts)
}

/// Makes the command of presignd for an endpoint.
type MakeCommand = fn(&Aws) -> Command;

/// Each endpoint: the name of its credentials, the kind of their request, and the command.
const ENDPOINTS: [(&str, Kind, MakeCommand); 3] = [
    ("imds", Kind::Imds, on_ec2),
    ("container", Kind::Container, in_container),
    ("sts", Kind::AssumeRole, in_role),
];
