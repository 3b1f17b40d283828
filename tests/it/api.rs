//! The gRPC API of the built binary.

mod answers;
mod batches;
mod compression;
mod deadlines;
mod health;
mod malformed;
mod metrics;
mod reflection;
mod refusals;
mod request_id;
mod streams;
mod windows;
