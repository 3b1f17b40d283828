//! Protects the secrets of this process from other processes: no core file, no debugger, and no AWS secret in the
//! environment that child processes inherit.
//!
//! `/proc/PID/environ` keeps the variables with which the process was started, even after they are removed. Once the
//! process is not dumpable, only root and processes with `CAP_SYS_PTRACE` can read that file, other processes of the
//! same user cannot.
//!
//! Source: `PR_SET_DUMPABLE` in [prctl(2)](https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html).

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::{presign::credentials::Secret, sys};

/// The variables of the environment that concern AWS credentials.
#[derive(Default)]
pub struct AwsEnvironment {
    secrets: BTreeMap<String, Secret>,
    shared_paths: [Option<PathBuf>; 3],
    expiration: Option<String>,
}

/// Whether a variable of this name has an AWS secret, or the access key ID that belongs to one.
fn is_secret(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let contains = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    let of_aws = name.starts_with(b"AWS_") && !name.ends_with(b"_FILE");
    name == b"SECRET_ACCESS_KEY"
        || (of_aws && [&b"ACCESS_KEY"[..], b"SECRET", b"TOKEN"].iter().any(|part| contains(part)))
}

/// Disables core files, prevents other processes of the same user from inspecting this one, and moves the AWS secrets
/// out of the environment. Call it before the process starts its first thread.
///
/// A step that the system does not permit is logged and skipped.
pub fn harden() -> AwsEnvironment {
    prevent_inspection();
    AwsEnvironment::take_from_process()
}

fn prevent_inspection() {
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(
            "failed to protect this process from inspection by other processes of its user: {error}"
        );
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::debug!("failed to disable core files: {error}");
    }
}

impl AwsEnvironment {
    fn take_from_process() -> Self {
        let (names, values): (Vec<OsString>, Vec<OsString>) =
            env::vars_os().filter(|(name, _)| is_secret(name)).unzip();
        if !names.is_empty()
            && let Err(error) = sys::remove_variables(&names)
        {
            tracing::warn!(
                "failed to remove the AWS secrets from the environment, child processes inherit them: {error}"
            );
        }
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, Secret::from(value.into_string().ok()?)))
        };
        Self::new(names.into_iter().zip(values).filter_map(text).collect())
    }

    fn new(secrets: BTreeMap<String, Secret>) -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        let under_home = |path: PathBuf| match (path.strip_prefix("~"), &home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path,
        };
        let shared =
            |name: &str, default: &str| Some(under_home(path(name).unwrap_or_else(|| default.into())));
        Self {
            secrets,
            shared_paths: [
                shared("AWS_CONFIG_FILE", "~/.aws/config"),
                shared("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
                path("AWS_WEB_IDENTITY_TOKEN_FILE"),
            ],
            expiration: env::var_os("AWS_CREDENTIAL_EXPIRATION")
                .and_then(|value| value.into_string().ok())
                .filter(|value| !value.trim().is_empty()),
        }
    }

    /// The value of a variable that was removed from the environment; `None` if it was missing or blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).filter(|secret| !secret.expose().trim().is_empty())
    }

    /// `AWS_CREDENTIAL_EXPIRATION`: when the credentials of the environment expire, as written by the tool that
    /// exported them.
    ///
    /// Source: `aws configure export-credentials --format env` in the
    /// [AWS CLI](https://docs.aws.amazon.com/cli/latest/reference/configure/export-credentials.html).
    pub fn expiration(&self) -> Option<&str> {
        self.expiration.as_deref()
    }

    /// The files that the providers of the SDK read: shared config, shared credentials, web identity token.
    ///
    /// Source: [Location of the shared config and credentials files](https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html).
    pub fn shared_paths(&self) -> impl Iterator<Item = &Path> {
        self.shared_paths.iter().flatten().map(PathBuf::as_path)
    }
}

impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsEnvironment").field("shared_paths", &self.shared_paths).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_variables_are_recognised_by_name() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_BEARER_TOKEN_BEDROCK",
        ] {
            assert!(is_secret(OsStr::new(name)), "{name}");
        }
        for name in
            ["AWS_REGION", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "PATH", "TOKEN"]
        {
            assert!(!is_secret(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secrets =
            BTreeMap::from([("AWS_SECRET_ACCESS_KEY".to_owned(), Secret::from("canary".to_owned()))]);
        let printed = format!("{:#?}", AwsEnvironment { secrets, ..AwsEnvironment::default() });
        assert!(!printed.contains("canary") && !printed.contains("SECRET"), "{printed}");
    }
}
