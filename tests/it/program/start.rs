//! A server that should not start says why, and ends.

use std::fs;

use super::{Ended, failed, run};

/// Starts a server that must refuse to.
fn serve(arguments: &[&str]) -> Ended {
    run(&[&["serve"], arguments].concat())
}

/// Every socket on a free port.
const FREE: [&str; 4] = ["--listen-tcp", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

#[test]
fn without_open_it_does_not_start_and_says_what_to_write() {
    let message = "presignd does not know its callers yet: this version has no tokens and no rules, \
        so everybody who reaches its sockets can have any URL signed.\n\
        To accept that, for development or where the host or pod is the boundary, say so:\n\
        \x20   presignd serve --open        or   PRESIGND_OPEN=true        or   open = true in the file";
    assert_eq!(serve(&FREE), failed(2, message));
    assert_eq!(serve(&[&FREE[..], &["--open=false"]].concat()), failed(2, message));
}

#[test]
fn a_key_that_is_no_setting_is_refused_with_its_line_and_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    let path = file.to_str().unwrap();
    for (text, message) in [
        (
            "open = true\n[listen]\ntpc = \"127.0.0.1:0\"\n",
            "3: there is no setting listen.tpc: did you mean listen.tcp?",
        ),
        (
            "open = true\n\n[signers.partner]\nregoin = \"us-east-1\"\n",
            "4: there is no setting signers.partner.regoin: did you mean signers.partner.region?",
        ),
        ("zzz = 1\n", "1: there is no setting zzz"),
        (
            "open = true\n[[allow]]\ncallers = [\"any\"]\n",
            "2: allow is not supported by this version of presignd, \
             which has no callers and no policy yet: start it with open = true",
        ),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(serve(&["--config", path]), failed(2, &format!("{path}:{message}")), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = "/nonexistent/presignd.toml";
    let message =
        format!("cannot read the configuration file {missing}: No such file or directory (os error 2)");
    assert_eq!(serve(&["--config", missing]), failed(2, &message));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    fs::write(&file, "open = ").unwrap();
    let Ended { code, stderr, .. } = serve(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with(&format!("presignd: {} is not valid TOML: ", file.display())), "{stderr}");
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_place_and_what_fits() {
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
        assert_eq!(serve(&["--open", flag, value]), failed(2, &message));
    }
}

#[test]
fn an_address_that_others_could_reach_is_refused() {
    let expected = "a loopback address (127.0.0.1 or [::1]): whoever reaches this port can have URLs signed; \
        for callers outside this host or pod, run one presignd beside each of them";
    for address in ["0.0.0.0:4780", "[::]:4780", "10.0.0.1:4780", "[::ffff:10.0.0.1]:4780"] {
        let message = format!("listen.tcp is {address:?} (--listen-tcp), but must be {expected}");
        assert_eq!(serve(&["--open", "--listen-tcp", address]), failed(2, &message));
    }
}

#[test]
fn a_port_that_somebody_has_is_named_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (grpc, admin, setting) in
        [(address.as_str(), "127.0.0.1:0", "listen.tcp"), ("127.0.0.1:0", address.as_str(), "admin.listen")]
    {
        let Ended { code, stderr, .. } = serve(&["--open", "--listen-tcp", grpc, "--admin-listen", admin]);
        let message = format!(
            "presignd: {address} ({setting}) is in use: is another presignd running? \
             Stop it, or set {setting} to another address\n"
        );
        assert_eq!((code, stderr.as_str()), (Some(1), message.as_str()));
    }
}

#[test]
fn a_command_that_is_not_there_is_misuse() {
    let Ended { code, stdout, stderr } = run(&["sing"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("unrecognized subcommand 'sing'"), "{stderr}");
    let Ended { code, stderr, .. } = serve(&["--opne"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'--open"), "{stderr}");
}
