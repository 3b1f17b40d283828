//! Runs Python scripts with the packages that `make test` installs: S3 servers, boto3 and gRPC.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The interpreter that `make test` sets.
///
/// # Panics
/// If it is not set: no test is skipped, so run the tests with `make test`.
pub fn interpreter() -> PathBuf {
    let named = std::env::var_os("PRESIGND_TEST_PYTHON");
    named.map(PathBuf::from).expect("PRESIGND_TEST_PYTHON is set: run the tests with `make test`")
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A script of `tests/python`, ready to run.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(repository("tests/python").join(name));
    command
}

/// Runs a script and returns its standard output.
///
/// # Panics
/// If it fails; the message has its output.
pub fn run(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the script starts");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the script ends");
    writer.join().expect("the writer ends").expect("the script reads its input");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed\n{out}\n{err}");
    out.into_owned()
}
