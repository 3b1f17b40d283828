//! `presignd config check`: prints every setting with its origin.

use std::fs;

use super::{CommandOutput, failure, run, run_command};
use crate::support::sidecar::presignd;

#[test]
fn every_setting_is_printed_with_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    let text = "open = true\n\n[listen]\nunix = \"/run/presignd.sock\"\n[expiry]\nmax = \"2h\"\ndefault = \"5m\"\n\
        [signers.partner]\nregion = \"eu-west-1\"\n";
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let mut command = presignd();
    command
        .args(["config", "check", "--config", path, "--listen-tcp", "127.0.0.1:5000"])
        .env("PRESIGND_EXPIRY_MAX", "3h")
        .env("PRESIGND_LISTEN_TCP", "127.0.0.1:6000")
        .env("PRESIGND_SIGNERS_PARTNER_PATH_STYLE", "true");
    let CommandOutput { code, stdout, stderr } = run_command(command);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for line in [
        "listen.tcp = \"127.0.0.1:5000\"  # --listen-tcp".to_owned(),
        "expiry.max = \"3h\"  # PRESIGND_EXPIRY_MAX".to_owned(),
        "signers.partner.path_style = \"true\"  # PRESIGND_SIGNERS_PARTNER_PATH_STYLE".to_owned(),
        format!("open = \"true\"  # {path}:1"),
        format!("listen.unix = \"/run/presignd.sock\"  # {path}:4"),
        format!("expiry.default = \"5m\"  # {path}:7"),
        format!("signers.partner.region = \"eu-west-1\"  # {path}:9"),
        "limits.batch_items = \"1000\"  # default".to_owned(),
        "admin.listen = \"127.0.0.1:4781\"  # default".to_owned(),
    ] {
        assert_eq!(stdout.lines().filter(|printed| *printed == line).count(), 1, "{line} is in\n{stdout}");
    }
}

#[test]
fn environment_can_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    fs::write(&file, "open = true\n").unwrap();
    let mut command = presignd();
    command.args(["config", "check"]).env("PRESIGND_CONFIG", &file);
    let CommandOutput { code, stdout, .. } = run_command(command);
    assert_eq!(code, Some(0));
    assert!(stdout.contains(&format!("open = \"true\"  # {}:1\n", file.display())), "{stdout}");
}

#[test]
fn invalid_settings_are_rejected_as_at_server_start() {
    let CommandOutput { code, stderr, .. } = run(&["config", "check"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.starts_with("presignd: this version of presignd does not authenticate callers"),
        "{stderr}"
    );
    let CommandOutput { code, stdout, stderr } = run(&["config", "check", "--open", "--expiry-max", "8d"]);
    assert_eq!(code, Some(2));
    assert!(
        stdout.contains("expiry.max = \"8d\"  # --expiry-max\n"),
        "the invalid setting is printed too: {stdout}"
    );
    assert_eq!(
        stderr,
        "presignd: expiry.max is \"8d\" (--expiry-max), but must be a duration from 1s to 7d, such as 15m\n"
    );
    let mut command = presignd();
    command.args(["config", "check", "--open"]).env("PRESIGND_LISTEN_TPC", "127.0.0.1:0");
    let message = "environment: unknown setting PRESIGND_LISTEN_TPC; did you mean PRESIGND_LISTEN_TCP?";
    assert_eq!(run_command(command), failure(2, message));
}
