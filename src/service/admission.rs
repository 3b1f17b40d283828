//! Admission: what a call needs before any work is done for it, and the memory that its answer may take.

pub(super) mod call;
pub(super) mod response_budget;
