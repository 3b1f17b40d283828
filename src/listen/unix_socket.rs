//! Binds Unix sockets: sets the mode, replaces a stale socket file, and removes the file at the end.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::Mode;
use tokio::net::UnixListener;

use super::ListenError;
use crate::{address::UnixAddress, config::UnixSocket};

/// The file of a bound socket. It is removed on drop.
#[derive(Debug)]
pub(super) struct SocketPath {
    path: PathBuf,
    /// Device and inode number of the bound file.
    inode: Option<(u64, u64)>,
}

impl SocketPath {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), inode: inode_at(path) }
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        // Another server may have replaced the file since: do not remove its socket.
        if self.inode.is_some() && inode_at(&self.path) == self.inode {
            let _best_effort = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode number of the file at a path.
fn inode_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Binds a socket. A stale socket file at its path is replaced. The returned path, if any, removes the file on drop.
pub(super) fn bind(settings: &UnixSocket) -> Result<(UnixListener, Option<SocketPath>), ListenError> {
    let name = settings.address.to_string();
    match &settings.address {
        UnixAddress::Abstract(abstract_name) => Ok((bind_abstract(abstract_name, name)?, None)),
        UnixAddress::Path(path) => {
            remove_stale(path)?;
            let socket = bind_with_mode(path, settings.mode);
            let socket = socket.map_err(|error| ListenError::Socket { name, error })?;
            Ok((socket, Some(SocketPath::new(path))))
        }
    }
}

fn bind_abstract(abstract_name: &str, name: String) -> Result<UnixListener, ListenError> {
    let bound = std::os::unix::net::SocketAddr::from_abstract_name(abstract_name)
        .and_then(|address| std::os::unix::net::UnixListener::bind_addr(&address))
        .and_then(listen_async);
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::SocketInUse(name),
        _ => ListenError::Socket { name, error },
    })
}

fn listen_async(socket: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket)
}

/// Sets the mode through the umask, so that it applies from the start: until a chmod after bind, others could connect.
fn bind_with_mode(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let masked = Mode::from_raw_mode(!mode & 0o777);
    let before = rustix::process::umask(masked);
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// Removes the file at a path only if it is a socket that refuses connections.
///
/// # Errors
/// When the file is not a socket, or a process listens on it.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let name = path.display().to_string();
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ListenError::Socket { name, error }),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket(name));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| ListenError::Socket { name, error })
        }
        _ => Err(ListenError::SocketInUse(name)),
    }
}
