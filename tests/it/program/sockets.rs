//! The Unix socket: its path, its mode, and an existing file at its path.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixListener,
    },
};

use super::{CommandOutput, failure, run, run_command};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    sidecar::{Sidecar, presignd},
};

/// Starts a server on a socket that cannot be bound.
fn serve_on(path: &str) -> CommandOutput {
    run(&["serve", "--open", "--listen-tcp", "off", "--admin-listen", "off", "--listen-unix", path])
}

/// The permission bits of a socket, in octal.
fn mode(path: &std::path::Path) -> String {
    let metadata = fs::metadata(path).unwrap();
    assert!(metadata.file_type().is_socket());
    format!("{:04o}", metadata.mode() & 0o7777)
}

#[tokio::test]
async fn default_mode_lets_owner_and_group_connect() {
    for (arguments, expected) in [
        (&[][..], "0660"),
        (&["--listen-unix-mode", "0600"][..], "0600"),
        (&["--listen-unix-mode", "0666"], "0666"),
    ] {
        let sidecar = Sidecar::start(arguments).await;
        assert_eq!(mode(&sidecar.unix), expected);
    }
}

#[tokio::test]
async fn socket_of_a_running_server_is_not_replaced() {
    let sidecar = Sidecar::start(&[]).await;
    let path = sidecar.unix.to_str().unwrap();
    let message = format!(
        "listen.unix is {path}, but another process already listens on this socket: \
         stop it, or set listen.unix to another path"
    );
    let CommandOutput { code, stderr, .. } = serve_on(path);
    assert_eq!((code, stderr), (Some(1), format!("presignd: {message}\n")));
    let still = run(&["healthcheck", "--server", &format!("unix:{path}")]);
    assert_eq!(still.code, Some(0), "{still:?}");
}

#[tokio::test]
async fn stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let unix = folder.path().join("presignd.sock");
    drop(UnixListener::bind(&unix).unwrap());
    let mut command = presignd();
    command.args([
        "serve",
        "--open",
        "--listen-tcp",
        "off",
        "--admin-listen",
        "127.0.0.1:0",
        "--listen-unix",
    ]);
    command.arg(&unix).env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    // The region as a flag: this command does not set AWS_REGION.
    command.args(["--signers-default-region", "us-east-1"]);
    let sidecar = Sidecar::launch(command, folder, unix);
    sidecar.wait_for_log("ready=true").await;
    let server = format!("unix:{}", sidecar.unix.display());
    assert_eq!(run(&["healthcheck", "--server", &server]).code, Some(0));
}

#[test]
fn path_that_is_not_a_socket_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    fs::write(&file, "keep me").unwrap();
    let subfolder = folder.path().join("folder");
    fs::create_dir(&subfolder).unwrap();
    // A symbolic link is not followed: it could lead to any file.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &subfolder, &link] {
        let path = path.to_str().unwrap();
        let message = format!(
            "listen.unix is {path}, but this path exists and is not a socket: \
             move it, or set listen.unix to another path"
        );
        assert_eq!(serve_on(path), failure(1, &message));
    }
    assert_eq!(fs::read_to_string(&link).unwrap(), "keep me");
}

#[test]
fn missing_folder_is_reported_with_the_system_error() {
    let message = "listen.unix is /nonexistent/p.sock, but listening on it failed: No such file or directory (os error 2)";
    assert_eq!(serve_on("/nonexistent/p.sock"), failure(1, message));
}

#[tokio::test]
async fn socket_file_is_removed_at_the_end() {
    let sidecar = Sidecar::start(&[]).await;
    let (unix, folder) = (sidecar.unix.clone(), sidecar.folder.path().to_owned());
    assert!(unix.exists());
    let mut sidecar = sidecar;
    sidecar.send_signal(rustix::process::Signal::TERM);
    assert!(sidecar.wait_for_exit().await.success());
    assert!(folder.exists() && !unix.exists());
}

#[tokio::test]
async fn abstract_socket_works_and_cannot_be_bound_twice() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("@{}", folder.path().display());
    let mut command = presignd();
    command
        .args([
            "serve",
            "--open",
            "--listen-tcp",
            "off",
            "--admin-listen",
            "127.0.0.1:0",
            "--listen-unix",
            &name,
        ])
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
        ]);
    let unix = folder.path().join("unused");
    let sidecar = Sidecar::launch(command, folder, unix);
    sidecar.wait_for_log("ready=true").await;
    let server = format!("unix:{name}");
    assert_eq!(
        run(&["healthcheck", "--server", &server]),
        CommandOutput { code: Some(0), stdout: "serving\n".to_owned(), stderr: String::new() }
    );
    let url = run(&["presign", "get", "s3://plain-bucket/key", "--server", &server]);
    assert!(url.stdout.starts_with("https://plain-bucket.s3.us-east-1.amazonaws.com/key?"), "{url:?}");
    let second = serve_on(&name);
    assert_eq!(second.code, Some(1));
    assert!(
        second
            .stderr
            .starts_with(&format!("presignd: listen.unix is {name}, but another process already listens")),
        "{second:?}"
    );
}

#[tokio::test]
async fn client_uses_the_socket_of_the_environment() {
    let sidecar = Sidecar::start(&[]).await;
    let mut command = presignd();
    command.arg("healthcheck").env("PRESIGND_LISTEN_UNIX", &sidecar.unix);
    assert_eq!(run_command(command).code, Some(0));
}

#[tokio::test]
async fn log_names_process_or_address_of_each_peer() {
    let mut command = presignd();
    command.env("RUST_LOG", "debug");
    let sidecar = Sidecar::spawn(command, &[]);
    let _unix = std::os::unix::net::UnixStream::connect(&sidecar.unix).unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let peer = format!("peer=unix=uid:{uid},gid:{gid},pid:{}", std::process::id());
    sidecar.wait_for_log(&format!("connection accepted {peer}")).await;
    let tcp = std::net::TcpStream::connect(&sidecar.tcp).unwrap();
    sidecar.wait_for_log(&format!("connection accepted peer=tcp={}", tcp.local_addr().unwrap())).await;
}
