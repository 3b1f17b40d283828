//! A server that cannot start prints the reason, and exits.

use std::fs;

use super::{CommandOutput, failure, run};

/// Starts a server that must fail to start.
fn serve(arguments: &[&str]) -> CommandOutput {
    run(&[&["serve"], arguments].concat())
}

/// Free ports for every socket.
const FREE_PORTS: [&str; 4] = ["--listen-tcp", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

#[test]
fn start_without_open_fails_with_a_remedy() {
    let message = "this version of presignd does not authenticate callers, \
        so any process that can reach its sockets can have any URL signed.\n\
        To accept this, for development or where the host or pod is the security boundary, set open:\n\
        \x20   presignd serve --open        or   PRESIGND_OPEN=true        or   open = true in the file";
    assert_eq!(serve(&FREE_PORTS), failure(2, message));
    assert_eq!(serve(&[&FREE_PORTS[..], &["--open=false"]].concat()), failure(2, message));
}

#[test]
fn unknown_setting_is_rejected_with_line_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    let path = file.to_str().unwrap();
    for (text, message) in [
        (
            "open = true\n[listen]\ntpc = \"127.0.0.1:0\"\n",
            "3: unknown setting listen.tpc; did you mean listen.tcp?",
        ),
        (
            "open = true\n\n[signers.partner]\nregoin = \"us-east-1\"\n",
            "4: unknown setting signers.partner.regoin; did you mean signers.partner.region?",
        ),
        ("zzz = 1\n", "1: unknown setting zzz"),
        (
            "open = true\n[[allow]]\ncallers = [\"any\"]\n",
            "2: allow is not supported by this version of presignd, \
             which has no caller authentication and no policy: remove it and set open = true",
        ),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(serve(&["--config", path]), failure(2, &format!("{path}:{message}")), "{text}");
    }
}

#[test]
fn unreadable_file_is_named() {
    let missing = "/nonexistent/presignd.toml";
    let message =
        format!("cannot read the configuration file {missing}: No such file or directory (os error 2)");
    assert_eq!(serve(&["--config", missing]), failure(2, &message));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    fs::write(&file, "open = ").unwrap();
    let CommandOutput { code, stderr, .. } = serve(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with(&format!("presignd: {} is not valid TOML: ", file.display())), "{stderr}");
}

#[test]
fn invalid_value_is_rejected_with_origin_and_expected_form() {
    for (flag, value, name, expected) in [
        ("--expiry-max", "8d", "expiry.max", "a duration from 1s to 7d, such as 15m"),
        ("--expiry-default", "soon", "expiry.default", "a duration from 1s to 7d, such as 15m"),
        ("--limits-batch-items", "1001", "limits.batch_items", "a number from 1 to 1000"),
        ("--limits-connections", "0", "limits.connections", "a number from 1 to 65536"),
        ("--limits-drain-time", "10", "limits.drain_time", "a duration such as 10s, 15m or 1h 30m"),
        ("--listen-unix-mode", "rw", "listen.unix_mode", "an octal mode in quotes, such as \"0660\""),
        ("--log-format", "xml", "log.format", "text or json"),
        ("--admin-listen", "localhost", "admin.listen", "an address such as 127.0.0.1:4781, or off"),
    ] {
        let message = format!("{name} is {value:?} ({flag}), but must be {expected}");
        assert_eq!(serve(&["--open", flag, value]), failure(2, &message));
    }
}

#[test]
fn only_loopback_addresses_are_accepted() {
    let expected = "a loopback address, such as 127.0.0.1:4780 or [::1]:4780, because every client that can reach this port \
        can have URLs signed; for callers outside this host or pod, run one presignd next to each of them";
    for address in ["0.0.0.0:4780", "[::]:4780", "10.0.0.1:4780", "[::ffff:10.0.0.1]:4780"] {
        let message = format!("listen.tcp is {address:?} (--listen-tcp), but must be {expected}");
        assert_eq!(serve(&["--open", "--listen-tcp", address]), failure(2, &message));
    }
}

#[test]
fn port_in_use_is_named_with_its_setting() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    for (grpc, admin, setting) in
        [(address.as_str(), "127.0.0.1:0", "listen.tcp"), ("127.0.0.1:0", address.as_str(), "admin.listen")]
    {
        let CommandOutput { code, stderr, .. } =
            serve(&["--open", "--listen-tcp", grpc, "--admin-listen", admin]);
        let message = format!(
            "presignd: {setting} is {address}, but this address is already in use: \
             stop the other process, or set {setting} to another address\n"
        );
        assert_eq!((code, stderr.as_str()), (Some(1), message.as_str()));
    }
}

#[test]
fn unknown_command_or_flag_is_misuse() {
    let CommandOutput { code, stdout, stderr } = run(&["sing"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("unrecognized subcommand 'sing'"), "{stderr}");
    let CommandOutput { code, stderr, .. } = serve(&["--opne"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'--open"), "{stderr}");
}
