//! The peer of a connection, as reported by the kernel.

use std::{fmt, io, net::SocketAddr};

use tokio::net::UnixStream;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP: the peer's address. The kernel does not report its process.
    Tcp(SocketAddr),
    /// Over a Unix socket: the peer's process.
    Unix(PeerCredentials),
}

/// The process that connected to a Unix socket, by `SO_PEERCRED`.
///
/// The kernel records these IDs when the peer connects; a later change of the peer's user does not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Effective user ID; 65534 for a user that has no ID in this user namespace.
    pub uid: u32,
    /// Effective (primary) group ID.
    pub gid: u32,
    /// Process ID; none for a process that has no ID in this PID namespace.
    pub pid: Option<u32>,
}

impl PeerCredentials {
    /// Reads the credentials from the kernel.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        // 0 for a process in another PID namespace: unix(7), pid_namespaces(7).
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid })
    }
}

impl fmt::Display for Peer {
    /// For the log: `tcp=127.0.0.1:50312`, `unix=uid:1000,gid:1000,pid:4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp={address}"),
            Self::Unix(PeerCredentials { uid, gid, pid }) => {
                write!(f, "unix=uid:{uid},gid:{gid}")?;
                pid.map_or(Ok(()), |pid| write!(f, ",pid:{pid}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_prints_its_known_fields() {
        let credentials = PeerCredentials { uid: 1, gid: 2, pid: Some(3) };
        let in_another_namespace = PeerCredentials { pid: None, ..credentials };
        for (peer, printed) in [
            (Peer::Tcp(([127, 0, 0, 1], 50312).into()), "tcp=127.0.0.1:50312"),
            (Peer::Unix(credentials), "unix=uid:1,gid:2,pid:3"),
            (Peer::Unix(in_another_namespace), "unix=uid:1,gid:2"),
        ] {
            assert_eq!(peer.to_string(), printed);
        }
    }
}
