//! The RPCs of the contract, one file each. Each takes an admitted call and the bytes of its message.

pub(super) mod batch;
pub(super) mod explain;
pub(super) mod post;
pub(super) mod presign;
pub(super) mod stream;
