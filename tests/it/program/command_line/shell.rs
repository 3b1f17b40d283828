//! Command lines that are pasted into a shell: `/bin/sh` and curl run them as they are printed.

use std::{fs, path::Path, process::Command};

use super::{ask, printed};
use crate::{
    program::{Ended, ended},
    support::{
        s3::{PLAIN_BUCKET, Server},
        sidecar::Sidecar,
    },
};

/// Keys that a shell, curl or a careless quotation would break.
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

/// Runs a printed command as a user would paste it.
fn pasted(folder: &Path, command: &str) -> Ended {
    let mut shell = Command::new("/bin/sh");
    // A proxy of the machine has no part in this.
    shell.args(["-c", command]).current_dir(folder).env("no_proxy", "*");
    ended(shell)
}

/// The standard output of a command that succeeds; curl's progress is on the other.
fn succeeded(ended: Ended, what: &str) -> String {
    assert_eq!(ended.code, Some(0), "{what}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

async fn by_path() -> Sidecar {
    let endpoint = Server::ministack().endpoint();
    Sidecar::start(&["--signers-default-endpoint", &endpoint, "--signers-default-path-style"]).await
}

#[tokio::test]
async fn what_curl_prints_runs_in_a_shell_for_every_key_and_header() {
    let sidecar = by_path().await;
    let folder = tempfile::tempdir().unwrap();
    for key in KEYS {
        let uri = format!("s3://{PLAIN_BUCKET}/shell/{key}");
        let command = |method: &str, more: &[&str]| {
            let arguments = [&["presign", method, &uri, "--curl"], more].concat();
            printed(ask(&sidecar, &arguments))
        };
        fs::write(folder.path().join("FILE"), key).unwrap();
        // Without headers, with an empty one, and with odd ones.
        succeeded(pasted(folder.path(), &command("put", &[])), key);
        let headers = [
            "--header",
            "content-type: text/x-odd; a=\"it's $HOME\"",
            "--header",
            "x-amz-meta-empty:",
            "--header",
            "x-amz-meta-odd: `id` $(id) \\ \"",
        ];
        succeeded(pasted(folder.path(), &command("put", &headers)), key);
        assert_eq!(succeeded(pasted(folder.path(), &command("get", &[])), key), key);
        let listing =
            succeeded(pasted(folder.path(), &command("list", &["--query", "encoding-type=url"])), key);
        assert!(listing.contains("<KeyCount>1</KeyCount>"), "{key}: {listing}");
        let head = succeeded(pasted(folder.path(), &command("head", &[])), key).to_lowercase();
        for header in ["content-type: text/x-odd; a=\"it's $home\"", "x-amz-meta-odd: `id` $(id) \\ \""] {
            assert!(head.contains(header), "{key}: {head}");
        }
        succeeded(pasted(folder.path(), &command("delete", &[])), key);
        assert_eq!(pasted(folder.path(), &command("get", &[])).code, Some(22), "{key} is deleted");
    }
}

#[tokio::test]
async fn what_post_prints_runs_in_a_shell_and_puts_the_files_name_into_the_key() {
    let sidecar = by_path().await;
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
        let Ended { stdout: command, stderr, .. } =
            ask(&sidecar, &[&["post", &uri], &conditions[..]].concat());
        assert_eq!(stderr, "complete Content-Type: the values only begin as they must\n");
        assert!(
            command.starts_with("curl --fail --form-string ") && command.contains(" --form file=@FILE '")
        );
        succeeded(pasted(folder.path(), &command), key);
        let get = format!("s3://{PLAIN_BUCKET}/posted/{stored}");
        let get = |method: &str| printed(ask(&sidecar, &["presign", method, &get, "--curl"]));
        assert_eq!(succeeded(pasted(folder.path(), &get("get")), key), "a file");
        let head = succeeded(pasted(folder.path(), &get("head")), key);
        assert!(head.contains("x-amz-meta-odd: @it's; $HOME \"`id`\""), "{head}");
        let html = command.replace("Content-Type=text/", "Content-Type=image/");
        assert_eq!(pasted(folder.path(), &html).code, Some(22), "the policy holds");
    }
}
