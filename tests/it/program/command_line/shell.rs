//! Printed curl commands run unchanged in `/bin/sh`.

use std::{fs, path::Path, process::Command};

use super::{ask, expect_stdout};
use crate::{
    program::{CommandOutput, run_command},
    support::{
        s3::{PLAIN_BUCKET, Server},
        sidecar::Sidecar,
    },
};

/// Keys that a shell or curl would change without correct quoting.
const KEYS: [&str; 10] = [
    "a space",
    "'single' \"double\" `back`",
    "$HOME $(id) ${PATH} !! ~",
    "a;b|c&d>e<f",
    "tab\tand\nnewline",
    "../dots/./and//slashes/",
    "{a,b}[1-3]*?#",
    "back\\slash%41+@",
    "-rf --help",
    "ü 😀",
];

/// Runs a printed command in a shell, as a user would paste it.
fn run_in_shell(folder: &Path, command: &str) -> CommandOutput {
    let mut shell = Command::new("/bin/sh");
    // Ignore a proxy that this machine may have configured.
    shell.args(["-c", command]).current_dir(folder).env("no_proxy", "*");
    run_command(shell)
}

/// The standard output of a command that must succeed. Stderr is ignored: curl prints its progress there.
fn expect_success(output: CommandOutput, context: &str) -> String {
    assert_eq!(output.code, Some(0), "{context}: {}{}", output.stdout, output.stderr);
    output.stdout
}

async fn start_with_path_style() -> Sidecar {
    let endpoint = Server::ministack().endpoint();
    Sidecar::start(&["--signers-default-endpoint", &endpoint, "--signers-default-path-style"]).await
}

#[tokio::test]
async fn printed_curl_command_works_for_every_key_and_header() {
    let sidecar = start_with_path_style().await;
    let folder = tempfile::tempdir().unwrap();
    for key in KEYS {
        let uri = format!("s3://{PLAIN_BUCKET}/shell/{key}");
        let command = |method: &str, more: &[&str]| {
            let arguments = [&["presign", method, &uri, "--curl"], more].concat();
            expect_stdout(ask(&sidecar, &arguments))
        };
        fs::write(folder.path().join("FILE"), key).unwrap();
        // Without headers, with an empty header, and with special characters.
        expect_success(run_in_shell(folder.path(), &command("put", &[])), key);
        let headers = [
            "--header",
            "content-type: text/x-odd; a=\"it's $HOME\"",
            "--header",
            "x-amz-meta-empty:",
            "--header",
            "x-amz-meta-odd: `id` $(id) \\ \"",
        ];
        expect_success(run_in_shell(folder.path(), &command("put", &headers)), key);
        assert_eq!(expect_success(run_in_shell(folder.path(), &command("get", &[])), key), key);
        let listing = expect_success(
            run_in_shell(folder.path(), &command("list", &["--query", "encoding-type=url"])),
            key,
        );
        assert!(listing.contains("<KeyCount>1</KeyCount>"), "{key}: {listing}");
        let head = expect_success(run_in_shell(folder.path(), &command("head", &[])), key).to_lowercase();
        for header in ["content-type: text/x-odd; a=\"it's $home\"", "x-amz-meta-odd: `id` $(id) \\ \""] {
            assert!(head.contains(header), "{key}: {head}");
        }
        expect_success(run_in_shell(folder.path(), &command("delete", &[])), key);
        assert_eq!(run_in_shell(folder.path(), &command("get", &[])).code, Some(22), "{key} is deleted");
    }
}

#[tokio::test]
async fn printed_post_command_works_for_every_key() {
    let sidecar = start_with_path_style().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("FILE"), "a file").unwrap();
    for (key, stored) in KEYS
        .iter()
        .filter(|key| !key.contains('\n'))
        .map(|key| (*key, *key))
        .chain([("named/${filename}", "named/FILE"), ("${filename}", "FILE")])
    {
        let uri = format!("s3://{PLAIN_BUCKET}/posted/{key}");
        let conditions = [
            "--field",
            "x-amz-meta-odd=@it's; $HOME \"`id`\"",
            "--field",
            "x-amz-meta-empty=",
            "--starts-with",
            "Content-Type=text/",
            "--content-length-range",
            "1:10",
        ];
        let CommandOutput { stdout: command, stderr, .. } =
            ask(&sidecar, &[&["post", &uri], &conditions[..]].concat());
        assert_eq!(stderr, "complete the value of Content-Type: the command has only the required prefix\n");
        assert!(
            command.starts_with("curl --fail --form-string ") && command.contains(" --form file=@FILE '")
        );
        expect_success(run_in_shell(folder.path(), &command), key);
        let get = format!("s3://{PLAIN_BUCKET}/posted/{stored}");
        let get = |method: &str| expect_stdout(ask(&sidecar, &["presign", method, &get, "--curl"]));
        assert_eq!(expect_success(run_in_shell(folder.path(), &get("get")), key), "a file");
        let head = expect_success(run_in_shell(folder.path(), &get("head")), key);
        assert!(head.contains("x-amz-meta-odd: @it's; $HOME \"`id`\""), "{head}");
        let html = command.replace("Content-Type=text/", "Content-Type=image/");
        assert_eq!(
            run_in_shell(folder.path(), &html).code,
            Some(22),
            "the policy rejects another content type"
        );
    }
}
