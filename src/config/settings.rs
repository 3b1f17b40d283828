//! The table of all settings: name, default, and the description in `--help`.
//!
//! The name is the TOML key. The flag is the name with dashes (`--listen-tcp`), the environment variable the name in
//! capitals with underscores (`PRESIGND_LISTEN_TCP`).

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// The TOML key, with its tables: `listen.tcp`.
    pub name: &'static str,
    /// The default, as text; `None` if there is no default.
    pub default: Option<&'static str>,
    /// The placeholder of the value in `--help`; none for a boolean flag.
    pub value: Option<&'static str>,
    /// The description in `--help`.
    pub help: &'static str,
}

/// Names of settings and tables that are reserved for later versions.
pub(super) const RESERVED: [&str; 7] =
    ["allow", "audit", "callers", "deny", "expect", "listen.tcp_auth", "listen.token_file"];

/// The prefix of every environment variable.
pub const ENVIRONMENT_PREFIX: &str = "PRESIGND_";

/// The prefix of a signer's settings in this table. The name of another signer replaces `default`.
pub const SIGNER_PREFIX: &str = "signers.default.";

const fn setting(
    name: &'static str,
    default: Option<&'static str>,
    value: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, default, value, help }
}

/// Every setting, in the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    setting(
        "listen.tcp",
        Some("127.0.0.1:4780"),
        Some("ADDRESS"),
        "loopback address for gRPC over TCP, or off",
    ),
    setting(
        "listen.unix",
        None,
        Some("PATH"),
        "Unix socket for gRPC: a path, or @NAME in the abstract namespace",
    ),
    setting("listen.unix_mode", Some("0660"), Some("MODE"), "octal mode of the socket file at listen.unix"),
    setting(
        "open",
        Some("false"),
        None,
        "do not authenticate callers, and allow every request: for development",
    ),
    setting(
        "admin.listen",
        Some("127.0.0.1:4781"),
        Some("ADDRESS"),
        "HTTP address for metrics and probes, or off",
    ),
    setting("expiry.default", Some("15m"), Some("DURATION"), "lifetime of a URL when the request sets none"),
    setting(
        "expiry.max",
        Some("7d"),
        Some("DURATION"),
        "longest lifetime of a URL; longer requests are shortened to it; S3 allows at most 7d",
    ),
    setting(
        "expiry.refresh_wait",
        Some("2s"),
        Some("DURATION"),
        "how long a request that would outlive the credentials waits for newer ones; 0s: it does not wait",
    ),
    setting(
        "signers.default.region",
        None,
        Some("REGION"),
        "region to sign for; if unset, resolved as by the AWS SDKs",
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
        "source of the credentials: default (the AWS default chain), environment, profile, web_identity, \
         container, imds",
    ),
    setting(
        "signers.default.web_identity",
        None,
        Some("FILE"),
        "file with a web identity token, with which the first role of assume_role is assumed",
    ),
    setting(
        "signers.default.assume_role",
        None,
        Some("ARN"),
        "role to assume with the credentials; several ARNs, separated by commas, are assumed in this order, \
         each with the credentials of the one before",
    ),
    setting("signers.default.external_id", None, Some("ID"), "external ID for the last role of assume_role"),
    setting(
        "signers.default.session_name",
        None,
        Some("NAME"),
        "session name for the roles; if unset, presignd-NAME, where NAME is the signer",
    ),
    setting(
        "signers.default.session_duration",
        None,
        Some("DURATION"),
        "duration of a session of the last role, 15m to 12h, at most 1h in a chain of roles; if unset, 1h",
    ),
    setting(
        "signers.default.endpoint",
        None,
        Some("URL"),
        "S3-compatible server or private link to use instead of AWS's endpoint; aws: AWS's own endpoint; if \
         unset, resolved as by the AWS SDKs. The bucket becomes part of the host name unless path_style is \
         set, which most S3-compatible servers need",
    ),
    setting(
        "signers.default.public_endpoint",
        None,
        Some("URL"),
        "another address of the same server, which URLs have instead of endpoint. Host and path must arrive \
         at the server unchanged, so for AWS S3 only the name of a VPC endpoint works",
    ),
    setting(
        "signers.default.path_style",
        Some("false"),
        None,
        "put the bucket into the path instead of the host name. Most S3-compatible servers (MinIO, Ceph) \
         need this, and presignd, unlike boto3, does not set it by itself",
    ),
    setting(
        "signers.default.fips",
        None,
        None,
        "use AWS's FIPS endpoints, for STS too; if unset, resolved as by the AWS SDKs, else false",
    ),
    setting(
        "signers.default.dual_stack",
        None,
        None,
        "use AWS's endpoints for IPv4 and IPv6, for STS too; if unset, resolved as by the AWS SDKs, else false",
    ),
    setting("signers.default.accelerate", Some("false"), None, "use S3 Transfer Acceleration"),
    setting(
        "signers.default.use_arn_region",
        None,
        None,
        "accept an ARN of another region than the signer's; if unset, resolved as by the AWS SDKs, else true",
    ),
    setting(
        "signers.default.disable_session_auth",
        None,
        None,
        "sign for directory buckets without a session; if unset, resolved as by the AWS SDKs, else false",
    ),
    setting(
        "signers.default.sigv4a",
        Some("false"),
        None,
        "sign for S3 on Outposts with SigV4A, for every region",
    ),
    setting(
        "limits.batch_items",
        Some("1000"),
        Some("N"),
        "maximum number of requests in one batch, at most 1000",
    ),
    setting("limits.message_bytes", Some("4194304"), Some("BYTES"), "maximum size of one received message"),
    setting("limits.connections", Some("1024"), Some("N"), "maximum number of open gRPC connections"),
    setting("limits.streams", Some("256"), Some("N"), "maximum number of concurrent calls on one connection"),
    setting(
        "limits.requests",
        Some("1024"),
        Some("N"),
        "maximum number of concurrent calls on all connections",
    ),
    setting(
        "limits.handshake_time",
        Some("10s"),
        Some("DURATION"),
        "how long a new connection may take to start HTTP/2",
    ),
    setting(
        "limits.drain_time",
        Some("10s"),
        Some("DURATION"),
        "how long open calls may take to end after SIGTERM or SIGINT",
    ),
    setting("reflection", Some("true"), Some("BOOL"), "answer gRPC reflection, v1 and v1alpha"),
    setting("log.format", Some("text"), Some("FORMAT"), "text or json, on stderr; RUST_LOG sets the level"),
];

impl Setting {
    /// The name of the flag, without the leading dashes: `listen-tcp`.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// The name of the environment variable: `PRESIGND_LISTEN_TCP`.
    pub fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_and_variable_are_derived_from_the_name() {
        let setting = SETTINGS.iter().find(|setting| setting.name == "signers.default.path_style").unwrap();
        assert_eq!(setting.flag(), "signers-default-path-style");
        assert_eq!(setting.variable(), "PRESIGND_SIGNERS_DEFAULT_PATH_STYLE");
    }
}
