//! The Python gRPC client without special settings, over every kind of socket: the strictest client of all languages.

use crate::support::{
    ACCESS_KEY, SECRET_KEY, python,
    sidecar::{Sidecar, presignd},
};

/// Runs the client in the directory of the socket, and asserts that it succeeds with every target.
fn assert_client_works(sidecar: &Sidecar, targets: &[String]) {
    let mut command = python::script("client.py");
    command.args(targets).current_dir(sidecar.folder.path());
    let expected: String = targets.iter().map(|target| format!("{target} works\n")).collect();
    assert_eq!(python::run(command, ""), expected);
}

#[tokio::test]
async fn python_client_works_over_tcp_and_socket_paths() {
    let sidecar = Sidecar::start(&[]).await;
    let absolute = sidecar.unix.display().to_string();
    let targets = [
        sidecar.tcp.clone(),
        format!("unix://{absolute}"),
        format!("unix:{absolute}"),
        "unix:presignd.sock".into(),
    ];
    assert_client_works(&sidecar, &targets);
}

#[tokio::test]
async fn python_client_works_over_an_abstract_socket() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().display().to_string();
    let mut command = presignd();
    command
        .args(["serve", "--open", "--listen-tcp", "127.0.0.1:0", "--admin-listen", "off", "--listen-unix"])
        .arg(format!("@{name}"))
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
        ]);
    let unused = folder.path().join("unused");
    let sidecar = Sidecar::launch(command, folder, unused);
    sidecar.wait_until_serving().await;
    assert_client_works(&sidecar, &[format!("unix-abstract:{name}")]);
}
