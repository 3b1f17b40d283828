//! S3 servers that verify signatures: one ministack and one `SeaweedFS` for the whole test binary.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::OnceLock,
};

use super::{ACCESS_KEY, SECRET_KEY, python};

/// The Outpost of the access points.
pub const OUTPOST_HOST: &str = "op-01234567890123456.s3-outposts.us-east-1.amazonaws.com";
/// A bucket that is addressed in the host.
pub const PLAIN_BUCKET: &str = "plain-bucket";
/// The name on the servers of the bucket of `OUTPOSTS_ARN`.
pub const OUTPOSTS_BUCKET: &str = "demo-123456789012";
/// A bucket that the rules of AWS put into the path with TLS.
pub const DOTTED_BUCKET: &str = "dotted.bucket";
/// Buckets for tests that list all their objects.
pub const LISTED_BUCKETS: [&str; 3] = ["listed-123456789012", "listed-by-host", "listed-by-path"];

/// The number of access keys of `SeaweedFS` in addition to the root key. Each belongs to a separate identity.
pub const FURTHER_KEYS: usize = 16;

/// The ID and the secret of one additional key.
///
/// # Panics
/// If `number` is not less than [`FURTHER_KEYS`].
pub fn further_key(number: usize) -> (String, String) {
    assert!(number < FURTHER_KEYS, "there are only {FURTHER_KEYS} additional keys");
    (format!("AKIAFURTHERKEYEXAM{number:02}"), format!("{SECRET_KEY}{number:02}"))
}

/// A running S3 server with the buckets of this file, and the root key of the tests.
pub struct Server {
    /// `ministack` or `seaweedfs`.
    pub name: &'static str,
    /// Its port on 127.0.0.1, for every host.
    pub port: u16,
    /// The script stops the server when its stdin is closed, so also when the test binary crashes.
    _script: Child,
}

impl Server {
    /// `ministack`, the server that is closest to AWS.
    pub fn ministack() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start("ministack"))
    }

    /// `SeaweedFS`, which is independent of ministack.
    pub fn seaweedfs() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start("seaweedfs"))
    }

    /// Its URL, for clients that do not resolve the host of a presigned URL.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(name: &'static str) -> Self {
        let mut command = python::script("s3_server.py");
        command.args([name, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, "--host", OUTPOST_HOST]);
        for bucket in [PLAIN_BUCKET, OUTPOSTS_BUCKET, DOTTED_BUCKET].iter().chain(&LISTED_BUCKETS) {
            command.args(["--bucket", bucket]);
        }
        for (key, secret) in (0..FURTHER_KEYS).map(further_key).filter(|_| name == "seaweedfs") {
            command.args(["--further-key", &format!("{key}:{secret}")]);
        }
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let mut line = String::new();
        let stdout = script.stdout.take().expect("its output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its output is text");
        let started: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{name} did not start: see above"));
        let port = started["port"].as_u64().and_then(|port| port.try_into().ok()).expect("it says its port");
        Self { name, port, _script: script }
    }
}
