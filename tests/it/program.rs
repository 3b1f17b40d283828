//! The program: how it starts, stops and talks to the shell.

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

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs presignd to its end.
fn run(arguments: &[&str]) -> Ended {
    let mut command = presignd();
    command.args(arguments);
    ended(command)
}

/// Runs a command to its end. One that does not end is killed, and the test fails.
fn ended(mut command: Command) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("presignd starts");
    let pid = rustix::process::Pid::from_child(&child);
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = waiting.recv_timeout(PATIENCE) else {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it still runs");
        panic!("{command:?} did not end");
    };
    let Output { status, stdout, stderr } = output.expect("its output can be read");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A failure: nothing on stdout, one sentence on stderr.
fn failed(code: i32, sentence: &str) -> Ended {
    Ended { code: Some(code), stdout: String::new(), stderr: format!("presignd: {sentence}\n") }
}
