//! Every setting, once: its name, its default, and the sentence that `--help` and the README show.
//!
//! The name is the TOML key. The flag is the name with dashes (`--listen-tcp`), the environment variable the name in
//! capitals with underscores (`PRESIGND_LISTEN_TCP`).

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// The TOML key, dots between tables.
    pub name: &'static str,
    /// The value if it is not set, as it would be written; nothing if there is no default.
    pub default: Option<&'static str>,
    /// The value's name in `--help`; nothing for a switch.
    pub value: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
}

/// Settings and tables of the contract that later versions have.
pub(super) const NOT_YET: [&str; 7] =
    ["allow", "audit", "callers", "deny", "expect", "listen.tcp_auth", "listen.token_file"];

/// The prefix of environment variables.
pub const ENVIRONMENT_PREFIX: &str = "PRESIGND_";

/// The settings of a signer are named `signers.NAME.…`; this table has them with this prefix.
pub const SIGNER_PREFIX: &str = "signers.default.";

const fn setting(
    name: &'static str,
    default: Option<&'static str>,
    value: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, default, value, help }
}

/// Every setting, in the order of the README's table.
pub const SETTINGS: &[Setting] = &[
    setting(
        "listen.tcp",
        Some("127.0.0.1:4780"),
        Some("ADDRESS"),
        "loopback address for gRPC over TCP, or off",
    ),
    setting("listen.unix", None, Some("PATH"), "socket for gRPC: a path, or @NAME in the abstract namespace"),
    setting("listen.unix_mode", Some("0660"), Some("MODE"), "octal mode of the socket at listen.unix"),
    setting("open", Some("false"), None, "no caller authentication, every request allowed: for development"),
    setting(
        "admin.listen",
        Some("127.0.0.1:4781"),
        Some("ADDRESS"),
        "HTTP address for metrics and probes, or off",
    ),
    setting(
        "expiry.default",
        Some("15m"),
        Some("DURATION"),
        "how long a URL works when the caller does not say",
    ),
    setting("expiry.max", Some("7d"), Some("DURATION"), "the longest that a URL may work; S3 allows 7d"),
    setting(
        "expiry.refresh_wait",
        Some("2s"),
        Some("DURATION"),
        "how long a request that outlives the credentials waits for newer ones; 0s: not at all",
    ),
    setting(
        "signers.default.region",
        None,
        Some("REGION"),
        "region to sign for; otherwise as the AWS SDKs find it",
    ),
    setting(
        "signers.default.profile",
        None,
        Some("NAME"),
        "profile of the shared AWS config and credentials files",
    ),
    setting(
        "signers.default.provider",
        Some("default"),
        Some("NAME"),
        "where credentials come from: default (the AWS default chain), environment, profile, web_identity, container, imds",
    ),
    setting(
        "signers.default.web_identity",
        None,
        Some("FILE"),
        "web identity token to assume the first role of assume_role with",
    ),
    setting(
        "signers.default.assume_role",
        None,
        Some("ARN"),
        "role to assume with the credentials; several, with commas between them, one after the other",
    ),
    setting("signers.default.external_id", None, Some("ID"), "external ID for the (last) role"),
    setting(
        "signers.default.session_name",
        None,
        Some("NAME"),
        "session name for the roles; presignd-NAME when it is not set",
    ),
    setting(
        "signers.default.session_duration",
        None,
        Some("DURATION"),
        "how long a session of the (last) role lasts, 15m to 12h; 1h when it is not set",
    ),
    setting(
        "signers.default.endpoint",
        None,
        Some("URL"),
        "S3-compatible server or private link in the place of AWS's endpoint, or aws for that; otherwise as the AWS SDKs find it. \
         The bucket goes into the host unless path_style is set, which most such servers need",
    ),
    setting(
        "signers.default.public_endpoint",
        None,
        Some("URL"),
        "another name for the endpoint, by which the URL's user reaches it: the URL has it. Host and path must reach the \
         server as they are, so this is nothing to put in front of AWS S3 but a VPC endpoint's name",
    ),
    setting(
        "signers.default.path_style",
        Some("false"),
        None,
        "put the bucket into the path, not into the host: most S3-compatible servers need it (MinIO, Ceph), and unlike \
         boto3, presignd does not do so by itself",
    ),
    setting(
        "signers.default.fips",
        None,
        None,
        "use AWS's FIPS endpoints, of STS too; otherwise as the AWS SDKs find it, or false",
    ),
    setting(
        "signers.default.dual_stack",
        None,
        None,
        "use AWS's endpoints for IPv4 and IPv6, of STS too; otherwise as the AWS SDKs find it, or false",
    ),
    setting("signers.default.accelerate", Some("false"), None, "use S3 Transfer Acceleration"),
    setting(
        "signers.default.use_arn_region",
        None,
        None,
        "let an ARN name another region than the signer's; otherwise as the AWS SDKs find it, or true",
    ),
    setting(
        "signers.default.disable_session_auth",
        None,
        None,
        "sign for directory buckets without a session; otherwise as the AWS SDKs find it, or false",
    ),
    setting(
        "signers.default.sigv4a",
        Some("false"),
        None,
        "sign for S3 on Outposts by SigV4A, for every region",
    ),
    setting("limits.batch_items", Some("1000"), Some("N"), "requests in one batch; 1000 at most"),
    setting("limits.message_bytes", Some("4194304"), Some("BYTES"), "size of one received message"),
    setting("limits.connections", Some("1024"), Some("N"), "gRPC connections open at once"),
    setting("limits.streams", Some("256"), Some("N"), "calls at once on one connection"),
    setting("limits.requests", Some("1024"), Some("N"), "calls at once on all connections"),
    setting(
        "limits.handshake_time",
        Some("10s"),
        Some("DURATION"),
        "time for a new connection to speak HTTP/2",
    ),
    setting("limits.drain_time", Some("10s"), Some("DURATION"), "time for open calls to end after SIGTERM"),
    setting("reflection", Some("true"), Some("BOOL"), "answer gRPC reflection, v1 and v1alpha"),
    setting("log.format", Some("text"), Some("FORMAT"), "text or json, on stderr; RUST_LOG sets the level"),
];

impl Setting {
    /// `--listen-tcp`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// `PRESIGND_LISTEN_TCP`.
    pub fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_and_variable_follow_from_the_name() {
        let setting = SETTINGS.iter().find(|setting| setting.name == "signers.default.path_style").unwrap();
        assert_eq!(setting.flag(), "signers-default-path-style");
        assert_eq!(setting.variable(), "PRESIGND_SIGNERS_DEFAULT_PATH_STYLE");
    }
}
