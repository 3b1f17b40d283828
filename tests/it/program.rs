//! The program as a process: start, stop, reload, sockets and command line.

mod canary;
mod command_line;
mod config_check;
mod hardening;
mod limits;
mod reload;
mod sockets;
mod start;
mod stop;

use std::{
    process::{Command, Output, Stdio},
    sync::mpsc,
};

use crate::support::sidecar::{PATIENCE, presignd};

/// The exit code and output of a command.
#[derive(Debug, PartialEq, Eq)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs presignd until it ends.
fn run(arguments: &[&str]) -> CommandOutput {
    let mut command = presignd();
    command.args(arguments);
    run_command(command)
}

/// Runs a command until it ends. After [`PATIENCE`] it is killed, and the test fails.
fn run_command(mut command: Command) -> CommandOutput {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("presignd starts");
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the command still runs");
        panic!("{command:?} did not end");
    };
    let Output { status, stdout, stderr } = output.expect("the output is readable");
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    CommandOutput { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// The output of a command that fails: nothing on stdout, one message on stderr.
fn failure(code: i32, message: &str) -> CommandOutput {
    CommandOutput { code: Some(code), stdout: String::new(), stderr: format!("presignd: {message}\n") }
}
