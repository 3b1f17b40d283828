//! presignd: presigns S3 URLs over gRPC. `commands::run` hands each command to the module that does it.

#![deny(unsafe_code)]

use std::process::ExitCode;

use presignd::{commands, config::arguments};

/// Chosen by measurement, see benches/README.md: a call for one URL allocates some forty times, and a batch's answer
/// comes and goes in pieces of half a megabyte, for which the system's allocator asks the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match arguments::parse(arguments::command_line(), &arguments::environment()) {
        Ok(invocation) => commands::run(invocation),
        Err(error) => commands::report_misuse(&error),
    }
}
