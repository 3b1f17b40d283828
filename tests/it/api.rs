//! The API, over gRPC, of the built binary.

mod answers;
mod batches;
mod compression;
mod deadlines;
mod health;
mod malformed;
mod metrics;
mod reflection;
mod refusals;
mod streams;
mod windows;
