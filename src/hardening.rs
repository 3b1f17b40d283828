//! Protects the secrets in this process from other processes: no core file, no debugger, and no AWS secret in the
//! environment that child processes inherit.
//!
//! The kernel goes on showing the variables that the process was started with in `/proc/PID/environ`. Once the process is
//! not dumpable, only root and processes with `CAP_SYS_PTRACE` can read that file, and no longer those of the same user.
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

/// What of the environment bears on credentials.
#[derive(Default)]
pub struct Environment {
    secrets: BTreeMap<String, Secret>,
    files: [Option<PathBuf>; 3],
    expiration: Option<String>,
}

/// The name of a variable that holds a secret of AWS, or the key that goes with one.
fn is_secret(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let contains = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    let of_aws = name.starts_with(b"AWS_") && !name.ends_with(b"_FILE");
    name == b"SECRET_ACCESS_KEY"
        || (of_aws && [&b"ACCESS_KEY"[..], b"SECRET", b"TOKEN"].iter().any(|part| contains(part)))
}

/// Forbids core files and forbids other processes of the same user to inspect this one, then takes the AWS secrets out of
/// the environment. To be called before the process starts its first thread.
///
/// What the system does not permit is logged, and is no error: then the secrets stay where they are.
pub fn harden() -> Environment {
    forbid_inspection();
    Environment::take()
}

fn forbid_inspection() {
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("others of this user may look into this process: {error}");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::debug!("the limit of core files stays as it is: {error}");
    }
}

impl Environment {
    fn take() -> Self {
        let (names, values): (Vec<OsString>, Vec<OsString>) =
            env::vars_os().filter(|(name, _)| is_secret(name)).unzip();
        if !names.is_empty()
            && let Err(error) = sys::remove_variables(&names)
        {
            tracing::warn!("AWS secrets stay in this process's environment: {error}");
        }
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, Secret::from(value.into_string().ok()?)))
        };
        Self::with(names.into_iter().zip(values).filter_map(text).collect())
    }

    fn with(secrets: BTreeMap<String, Secret>) -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        let under_home = |path: PathBuf| match (path.strip_prefix("~"), &home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path,
        };
        let shared = |name: &str, usual: &str| Some(under_home(path(name).unwrap_or_else(|| usual.into())));
        Self {
            secrets,
            files: [
                shared("AWS_CONFIG_FILE", "~/.aws/config"),
                shared("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
                path("AWS_WEB_IDENTITY_TOKEN_FILE"),
            ],
            expiration: env::var_os("AWS_CREDENTIAL_EXPIRATION")
                .and_then(|value| value.into_string().ok())
                .filter(|value| !value.trim().is_empty()),
        }
    }

    /// A variable that was taken out of the environment, when it says something.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).filter(|secret| !secret.expose().trim().is_empty())
    }

    /// When the credentials of the environment end, as the tools that put them there write it.
    ///
    /// Source: `aws configure export-credentials --format env` in the
    /// [AWS CLI](https://docs.aws.amazon.com/cli/latest/reference/configure/export-credentials.html).
    pub fn expiration(&self) -> Option<&str> {
        self.expiration.as_deref()
    }

    /// The files that AWS's providers read: shared config, shared credentials, web identity token.
    ///
    /// Source: [Location of the shared config and credentials files](https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html).
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().flatten().map(PathBuf::as_path)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_told_by_its_name() {
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
    fn nothing_secret_is_printed() {
        let secrets =
            BTreeMap::from([("AWS_SECRET_ACCESS_KEY".to_owned(), Secret::from("canary".to_owned()))]);
        let printed = format!("{:#?}", Environment { secrets, ..Environment::default() });
        assert!(!printed.contains("canary") && !printed.contains("SECRET"), "{printed}");
    }
}
