//! Responses: written as the bytes that are sent, and sent in chunks.

pub(super) mod body;
pub(super) mod chunks;
pub(super) mod encode;
