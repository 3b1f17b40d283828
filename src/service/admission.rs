//! Admission: limits the number of calls in progress and the memory of their responses.

pub(super) mod call;
pub(super) mod response_budget;
