//! presignd presigns S3 URLs over gRPC. This file parses the command line; `commands::run` runs the command.

#![deny(unsafe_code)]

use std::process::ExitCode;

use presignd::{commands, config::arguments};

/// Chosen by measurement, see benches/README.md: a call for one URL allocates about forty times, and the response to a
/// batch is allocated in chunks, for which the allocator of the system would often ask the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match arguments::parse(arguments::command_line(), &arguments::environment()) {
        Ok(invocation) => commands::run(invocation),
        Err(error) => commands::report_misuse(&error),
    }
}
