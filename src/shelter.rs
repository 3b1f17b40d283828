//! Keeps what is secret in this process from other processes: no core file, no debugger, and no AWS secret in the
//! environment. The only home of the process's environment beside the settings.
//!
//! `/proc/PID/environ` shows the block that a process was started with, whatever it unsets afterwards. So a server that
//! finds AWS secrets there starts itself anew with an environment without them, and hands them over on its standard
//! input, in memory that no file has. They are held as [`Secret`]s, and programs that presignd starts (a
//! `credential_process`) inherit neither the variables nor that memory.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    os::{
        fd::{AsRawFd, IntoRawFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{MemfdFlags, SeekFrom},
    pipe::PipeFlags,
    process::{DumpableBehavior, Resource, Rlimit},
};
use zeroize::Zeroizing;

use crate::presign::credentials::Secret;

/// Set in the environment of a server whose secrets wait on its standard input, to its process ID: so it means nothing to
/// a program that inherits it.
const HANDED_OVER: &str = "_PRESIGND_HANDED_OVER";

/// Where file descriptors begin that nobody has by chance.
const FAR_DESCRIPTOR: i32 = 100;

/// What a pipe holds at least, when nobody reads it yet.
///
/// Source: pipe(7), Pipe capacity.
const PIPE_BYTES: usize = 64 * 1024;

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
    if env::var_os(HANDED_OVER).is_some_and(|of| of == *own_id()) {
        // It was started as /proc/self/exe, and would be listed as `exe`.
        let _best_effort = rustix::thread::set_name(c"presignd");
        let secrets = handed_over()?;
        if let Some(token) = secrets.get(CONTAINER_TOKEN) {
            put_container_token_back(token)?;
        }
        return Ok(Environment::with(secrets));
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

fn own_id() -> OsString {
    std::process::id().to_string().into()
}

/// The same program with the same arguments, and the secrets on its standard input.
fn start_anew(secrets: &[(OsString, OsString)]) -> io::Error {
    let prepare = || -> io::Result<Command> {
        let mut command = Command::new("/proc/self/exe");
        let mut arguments = env::args_os();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env(HANDED_OVER, own_id());
        for (name, _) in secrets {
            command.env_remove(name);
        }
        let has_token = secrets.iter().any(|(name, _)| name == CONTAINER_TOKEN);
        if has_token && env::var_os(CONTAINER_TOKEN_FILE).is_none() {
            // AWS's provider reads the token from a file, too: there will be one here, in memory.
            let free = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), FAR_DESCRIPTOR)?;
            command.env(CONTAINER_TOKEN_FILE, format!("{OWN_DESCRIPTORS}{}", free.as_raw_fd()));
        }
        let block = as_block(secrets);
        // Some systems have no files in memory.
        rustix::stdio::dup2_stdin(in_memory(&block).or_else(|_| in_a_pipe(&block))?)?;
        Ok(command)
    };
    let error = match prepare() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    };
    let _best_effort = close_stdin();
    error
}

const OWN_DESCRIPTORS: &str = "/proc/self/fd/";

/// Puts the token into the file that [`start_anew`] named: one that is only in memory, and that no other program inherits.
fn put_container_token_back(token: &Secret) -> io::Result<()> {
    let file = env::var_os(CONTAINER_TOKEN_FILE).and_then(|file| file.into_string().ok()).unwrap_or_default();
    let Some(wanted) = file.strip_prefix(OWN_DESCRIPTORS).and_then(|number| number.parse().ok()) else {
        return Ok(());
    };
    let token = in_memory(token.expose().as_bytes())?;
    let placed = rustix::io::fcntl_dupfd_cloexec(token, wanted)?;
    if placed.as_raw_fd() != wanted {
        return Err(io::Error::other(format!("there is no place for the file of {CONTAINER_TOKEN}")));
    }
    // It stays open for as long as the process runs.
    let _number = placed.into_raw_fd();
    Ok(())
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

/// A file without a name, to be read from its beginning, any number of times.
fn in_memory(content: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("presignd", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create("presignd", MemfdFlags::CLOEXEC))?;
    write_all(&file, content)?;
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// A pipe with something in it, to be read once.
fn in_a_pipe(content: &[u8]) -> io::Result<OwnedFd> {
    if content.len() > PIPE_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    write_all(&writer, content)?;
    Ok(reader)
}

fn write_all(to: &OwnedFd, content: &[u8]) -> io::Result<()> {
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(to, rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

/// Reads what was handed over, and lets go of the memory that it came in.
fn handed_over() -> io::Result<BTreeMap<String, Secret>> {
    let stdin = rustix::stdio::stdin();
    let size = usize::try_from(rustix::fs::fstat(stdin)?.st_size).unwrap_or_default();
    // Of its full size from the start: memory that is given back for more would not be wiped.
    let mut block = Zeroizing::new(vec![0; size.max(PIPE_BYTES)]);
    let mut filled = 0;
    while filled < block.len() {
        match rustix::io::read(stdin, &mut block[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    close_stdin()?;
    let variable = |variable: &[u8]| {
        let (name, value) = str::from_utf8(variable).ok()?.split_once('=')?;
        Some((name.to_owned(), Secret::from(value.to_owned())))
    };
    Ok(block[..filled].split(|byte| *byte == 0).filter_map(variable).collect())
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
