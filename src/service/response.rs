//! Responses: encodes them, and sends them in chunks.

pub(super) mod body;
pub(super) mod chunks;
pub(super) mod encode;
