//! Keeps what is secret in this process from other processes: no core file, no debugger, and no AWS secret in the
//! environment. The only home of the process's environment beside the settings.
//!
//! `/proc/PID/environ` shows the block that a process was started with, whatever it unsets afterwards. So a server that
//! finds AWS secrets there starts itself anew with an environment without them, and hands them over on its standard
//! input, in memory that no file has. They are held as [`Secret`]s, and programs that presignd starts (a
//! `credential_process`) do not inherit them.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    os::{
        fd::{IntoRawFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, SeekFrom},
    process::{DumpableBehavior, Resource, Rlimit},
};
use zeroize::Zeroizing;

use crate::presign::credentials::Secret;

/// Set in the environment of a server whose secrets wait on its standard input.
const HANDED_OVER: &str = "_PRESIGND_HANDED_OVER";

const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

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

/// Forbids core files and the memory of this process to others of the same user, and takes the AWS secrets out of the
/// environment: this may start the program anew, with the same arguments and process ID.
///
/// # Errors
/// When the secrets that were handed over cannot be read. What only the system forbids is no error: then the secrets
/// stay where they are.
pub fn take() -> io::Result<Environment> {
    forbid_looking();
    if env::var_os(HANDED_OVER).is_some() {
        // It was started as /proc/self/exe, and would be listed as `exe`.
        let _best_effort = rustix::thread::set_name(c"presignd");
        return Ok(Environment::with(handed_over()?));
    }
    let secrets = secrets_in_the_environment();
    if !secrets.is_empty() {
        // It returns only when it fails: without /proc, or where programs may not be started.
        let error = start_anew(&secrets);
        tracing::warn!("AWS secrets stay in this process's environment: {error}");
    }
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let secrets = secrets.into_iter().filter_map(text);
    Ok(Environment::with(secrets.map(|(name, value)| (name, Secret::from(value))).collect()))
}

fn forbid_looking() {
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("others of this user may look into this process: {error}");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::debug!("the limit of core files stays as it is: {error}");
    }
}

fn secrets_in_the_environment() -> Vec<(OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_secret(name)).collect()
}

/// The same program with the same arguments, and the secrets on its standard input.
fn start_anew(secrets: &[(OsString, OsString)]) -> io::Error {
    let prepare = || -> io::Result<Command> {
        let mut command = Command::new("/proc/self/exe");
        let mut arguments = env::args_os();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(HANDED_OVER, "stdin");
        for (name, value) in secrets {
            command.env_remove(name);
            if name == CONTAINER_TOKEN && env::var_os(CONTAINER_TOKEN_FILE).is_none() {
                // AWS's provider reads the token from a file, too: it gets one that is only in memory.
                let file = in_memory(value.as_bytes(), MemfdFlags::ALLOW_SEALING)?;
                rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::SEAL)?;
                // It stays open for the program that is started now.
                command.env(CONTAINER_TOKEN_FILE, format!("/proc/self/fd/{}", file.into_raw_fd()));
            }
        }
        let handed = in_memory(&as_block(secrets), MemfdFlags::CLOEXEC)?;
        rustix::stdio::dup2_stdin(handed)?;
        Ok(command)
    };
    let error = match prepare() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    };
    let _best_effort = close_stdin();
    error
}

/// Lets go of what is on the standard input.
fn close_stdin() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?)
}

/// The variables as the kernel writes them: `NAME=VALUE`, each ended by a zero.
fn as_block(variables: &[(OsString, OsString)]) -> Zeroizing<Vec<u8>> {
    let length = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    for (name, value) in variables {
        block.extend_from_slice(name.as_bytes());
        block.push(b'=');
        block.extend_from_slice(value.as_bytes());
        block.push(0);
    }
    block
}

/// A file without a name, to be read from its beginning.
fn in_memory(content: &[u8], flags: MemfdFlags) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("presignd", flags)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// Reads what was handed over, and lets go of the memory that it came in.
fn handed_over() -> io::Result<BTreeMap<String, Secret>> {
    let stdin = rustix::stdio::stdin();
    let length = usize::try_from(rustix::fs::fstat(stdin)?.st_size).unwrap_or_default();
    let mut block = Zeroizing::new(vec![0; length]);
    let mut filled = 0;
    while filled < length {
        match rustix::io::read(stdin, &mut block[filled..])? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            read => filled += read,
        }
    }
    close_stdin()?;
    let variable = |variable: &[u8]| {
        let (name, value) = str::from_utf8(variable).ok()?.split_once('=')?;
        Some((name.to_owned(), Secret::from(value.to_owned())))
    };
    Ok(block.split(|byte| *byte == 0).filter_map(variable).collect())
}

impl Environment {
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
            expiration: env::var_os("AWS_CREDENTIAL_EXPIRATION").and_then(|value| value.into_string().ok()),
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
