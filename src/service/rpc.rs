//! One file for each RPC. Each handler gets an admitted call and its encoded message.

pub(super) mod batch;
pub(super) mod explain;
pub(super) mod post;
pub(super) mod presign;
pub(super) mod stream;
