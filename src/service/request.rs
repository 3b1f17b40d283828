//! Requests: decoded, merged with a batch's defaults, and turned into the core's types.

pub(super) mod batch;
pub(super) mod fields;
pub(super) mod merged;
pub(super) mod operations;
pub(super) mod protobuf;
