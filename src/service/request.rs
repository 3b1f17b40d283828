//! Requests: decodes them, merges them with the defaults of a batch, and converts them into the types of the core.

pub(super) mod batch;
pub(super) mod fields;
pub(super) mod merged;
pub(super) mod operations;
pub(super) mod protobuf;
