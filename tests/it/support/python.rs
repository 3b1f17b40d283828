//! The project's Python: with the S3 servers, boto3 and gRPC in it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The interpreter that `make test` names.
///
/// # Panics
/// When it is not named: the tests are run with `make test`, and none is skipped.
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

/// Runs a script to its end and gives its standard output.
///
/// # Panics
/// When it fails: with what it printed.
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
