//! Stock Python gRPC over every kind of socket: the client that is hardest to please.

use crate::support::{
    ACCESS_KEY, SECRET_KEY, python,
    sidecar::{Sidecar, presignd},
};

/// Runs the client in the folder of the socket.
fn works_with(sidecar: &Sidecar, targets: &[String]) {
    let mut command = python::script("client.py");
    command.args(targets).current_dir(sidecar.folder.path());
    let expected: String = targets.iter().map(|target| format!("{target} works\n")).collect();
    assert_eq!(python::run(command, ""), expected);
}

#[tokio::test]
async fn stock_python_works_over_tcp_and_over_absolute_and_relative_socket_paths() {
    let sidecar = Sidecar::start(&[]).await;
    let absolute = sidecar.unix.display().to_string();
    let targets = [
        sidecar.tcp.clone(),
        format!("unix://{absolute}"),
        format!("unix:{absolute}"),
        "unix:presignd.sock".into(),
    ];
    works_with(&sidecar, &targets);
}

#[tokio::test]
async fn stock_python_works_over_a_socket_without_a_path() {
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
    sidecar.serving().await;
    works_with(&sidecar, &[format!("unix-abstract:{name}")]);
}
