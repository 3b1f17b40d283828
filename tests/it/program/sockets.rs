//! The Unix socket: its path, its mode, and what is there already.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixListener,
    },
};

use super::{Ended, ended, failed, run};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    sidecar::{Sidecar, presignd},
};

/// Starts a server on a socket where one cannot be.
fn serve_on(path: &str) -> Ended {
    run(&["serve", "--open", "--listen-tcp", "off", "--admin-listen", "off", "--listen-unix", path])
}

/// The bits of a socket's mode.
fn mode(path: &std::path::Path) -> String {
    let found = fs::metadata(path).unwrap();
    assert!(found.file_type().is_socket());
    format!("{:04o}", found.mode() & 0o7777)
}

#[tokio::test]
async fn owner_and_group_may_connect_unless_a_mode_says_otherwise() {
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
async fn a_socket_that_a_running_server_has_is_left_to_it() {
    let sidecar = Sidecar::start(&[]).await;
    let path = sidecar.unix.to_str().unwrap();
    let message = format!(
        "a running server has the socket {path} (listen.unix): stop it, or set listen.unix to another path"
    );
    let Ended { code, stderr, .. } = serve_on(path);
    assert_eq!((code, stderr), (Some(1), format!("presignd: {message}\n")));
    let still = run(&["healthcheck", "--server", &format!("unix:{path}")]);
    assert_eq!(still.code, Some(0), "{still:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced() {
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
    // Without TCP there is no address to tell: the page is all that is needed.
    command.args(["--signers-default-region", "us-east-1"]);
    let sidecar = Sidecar::launch(command, folder, unix);
    sidecar.logged("ready=true").await;
    let server = format!("unix:{}", sidecar.unix.display());
    assert_eq!(run(&["healthcheck", "--server", &server]).code, Some(0));
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    fs::write(&file, "keep me").unwrap();
    let subfolder = folder.path().join("folder");
    fs::create_dir(&subfolder).unwrap();
    // A link could lead anywhere, to a socket too.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &subfolder, &link] {
        let path = path.to_str().unwrap();
        let message = format!(
            "{path} (listen.unix) is there already and is not a socket: \
             move it away, or set listen.unix to another path"
        );
        assert_eq!(serve_on(path), failed(1, &message));
    }
    assert_eq!(fs::read_to_string(&link).unwrap(), "keep me");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_the_system() {
    let message =
        "cannot listen on /nonexistent/p.sock (listen.unix): No such file or directory (os error 2)";
    assert_eq!(serve_on("/nonexistent/p.sock"), failed(1, message));
}

#[tokio::test]
async fn the_socket_is_removed_at_the_end() {
    let sidecar = Sidecar::start(&[]).await;
    let (unix, folder) = (sidecar.unix.clone(), sidecar.folder.path().to_owned());
    assert!(unix.exists());
    let mut sidecar = sidecar;
    sidecar.signal(rustix::process::Signal::TERM);
    assert!(sidecar.ended().await.success());
    assert!(folder.exists() && !unix.exists());
}

#[tokio::test]
async fn a_socket_without_a_path_works_and_is_not_taken_twice() {
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
    sidecar.logged("ready=true").await;
    let server = format!("unix:{name}");
    assert_eq!(
        run(&["healthcheck", "--server", &server]),
        Ended { code: Some(0), stdout: "serving\n".to_owned(), stderr: String::new() }
    );
    let url = run(&["presign", "get", "s3://plain-bucket/key", "--server", &server]);
    assert!(url.stdout.starts_with("https://plain-bucket.s3.us-east-1.amazonaws.com/key?"), "{url:?}");
    let taken = serve_on(&name);
    assert_eq!(taken.code, Some(1));
    assert!(
        taken.stderr.starts_with(&format!("presignd: a running server has the socket {name}")),
        "{taken:?}"
    );
}

#[tokio::test]
async fn a_client_finds_the_socket_where_the_environment_says_it_is() {
    let sidecar = Sidecar::start(&[]).await;
    let mut command = presignd();
    command.arg("healthcheck").env("PRESIGND_LISTEN_UNIX", &sidecar.unix);
    assert_eq!(ended(command).code, Some(0));
}

#[tokio::test]
async fn the_log_names_the_process_behind_a_unix_connection_and_the_address_of_a_tcp_one() {
    let mut command = presignd();
    command.env("RUST_LOG", "debug");
    let sidecar = Sidecar::spawn(command, &[]);
    let _unix = std::os::unix::net::UnixStream::connect(&sidecar.unix).unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let peer = format!("peer=unix=uid:{uid},gid:{gid},pid:{}", std::process::id());
    sidecar.logged(&format!("connection accepted {peer}")).await;
    let tcp = std::net::TcpStream::connect(&sidecar.tcp).unwrap();
    sidecar.logged(&format!("connection accepted peer=tcp={}", tcp.local_addr().unwrap())).await;
}
