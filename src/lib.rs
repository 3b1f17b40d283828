//! presignd as a library: what the binary and the tests stand on. `ARCHITECTURE.md` tells the way through it.

#![forbid(unsafe_code)]

pub mod presign;
