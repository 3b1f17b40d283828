//! The sockets that the server listens on, and the accepted connections.

mod authority;
pub mod peer;
pub mod preface;
mod unix_socket;
mod yielding;

use std::{io, net::SocketAddr, time::Duration};

use rustix::process::{Resource, Rlimit};
use thiserror::Error;
use tokio::{
    io::{Join, join},
    net::{TcpListener, TcpStream, UnixListener, UnixStream, tcp, unix},
};
use tokio_util::either::Either;

use self::{
    authority::AuthorityRewriter,
    peer::{Peer, PeerCredentials},
    unix_socket::SocketPath,
    yielding::YieldingWriter,
};
use crate::{
    address::Address,
    config::{Config, UnixSocket},
};

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// The two directions of the connection.
    pub io: ConnectionIo,
    /// The client.
    pub peer: Peer,
}

/// Both directions of a connection, over TCP or a Unix socket.
pub type ConnectionIo = Join<ConnectionReader, ConnectionWriter>;

/// The bytes from the peer.
pub type ConnectionReader = Either<tcp::OwnedReadHalf, AuthorityRewriter<unix::OwnedReadHalf>>;

/// The bytes to the peer.
pub type ConnectionWriter = YieldingWriter<Either<tcp::OwnedWriteHalf, unix::OwnedWriteHalf>>;

impl Connection {
    fn from_tcp(stream: TcpStream, address: SocketAddr) -> Self {
        // Without this, Nagle's algorithm delays small responses.
        let _best_effort = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let io = join(Either::Left(reader), YieldingWriter::new(Either::Left(writer)));
        Self { io, peer: Peer::Tcp(address) }
    }

    fn from_unix(stream: UnixStream) -> io::Result<Self> {
        let peer = Peer::Unix(PeerCredentials::of(&stream)?);
        let (reader, writer) = stream.into_split();
        let reader = Either::Right(AuthorityRewriter::new(reader));
        Ok(Self { io: join(reader, YieldingWriter::new(Either::Right(writer))), peer })
    }
}

/// Every socket that the server listens on.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC, over TCP and over a Unix socket.
    pub grpc: Vec<Listener>,
    /// HTTP, for metrics and probes.
    pub admin: Option<Listener>,
}

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// The bound address. For a configured port 0 it has the port that the system assigned.
    address: Address,
    /// The socket file, which is removed when the listener is dropped.
    _path: Option<SocketPath>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Raises the soft limit of open files to the hard limit. The usual soft limit is 1,024, as many as the default of
/// `limits.connections`, and probes and the refresh of credentials need file descriptors too.
pub fn raise_open_files_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::debug!("failed to raise the limit of open files: {error}");
    }
}

/// An error of a socket that the server should listen on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another process uses the address.
    #[error(
        "{setting} is {address}, but this address is already in use: stop the other process, or set {setting} to another address"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// The setting of the address.
        setting: &'static str,
    },
    /// The address cannot be bound.
    #[error("{setting} is {address}, but listening on it failed: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The setting of the address.
        setting: &'static str,
        /// The error of the operating system.
        error: io::Error,
    },
    /// Another process listens on the Unix socket.
    #[error(
        "listen.unix is {0}, but another process already listens on this socket: stop it, or set listen.unix to another path"
    )]
    SocketInUse(String),
    /// The path exists and is not a socket.
    #[error(
        "listen.unix is {0}, but this path exists and is not a socket: move it, or set listen.unix to another path"
    )]
    NotASocket(String),
    /// The Unix socket cannot be bound.
    #[error("listen.unix is {name}, but listening on it failed: {error}")]
    Socket {
        /// The path, or `@` and the name.
        name: String,
        /// The error of the operating system.
        error: io::Error,
    },
}

/// Binds every socket of the configuration.
///
/// # Errors
/// The first socket that cannot be bound; then no socket stays bound.
pub async fn bind(config: &Config) -> Result<Listeners, ListenError> {
    let mut grpc = Vec::new();
    if let Some(address) = config.tcp {
        grpc.push(bind_tcp(address.get(), "listen.tcp").await?);
    }
    if let Some(socket) = &config.unix {
        grpc.push(bind_unix(socket)?);
    }
    let admin = match config.admin {
        Some(address) => Some(bind_tcp(address, "admin.listen").await?),
        None => None,
    };
    Ok(Listeners { grpc, admin })
}

async fn bind_tcp(address: SocketAddr, setting: &'static str) -> Result<Listener, ListenError> {
    let error = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::AddressInUse { address, setting },
        _ => ListenError::Address { address, setting, error },
    };
    let socket = TcpListener::bind(address).await.map_err(error)?;
    let address = Address::Tcp(socket.local_addr().map_err(error)?);
    Ok(Listener { socket: Socket::Tcp(socket), address, _path: None })
}

fn bind_unix(settings: &UnixSocket) -> Result<Listener, ListenError> {
    let (socket, path) = unix_socket::bind(settings)?;
    let address = Address::Unix(settings.address.clone());
    Ok(Listener { socket: Socket::Unix(socket), address, _path: path })
}

/// How long to wait after a failed accept, as when the process has no file descriptors left.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

impl Listener {
    /// The bound address, with the assigned port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address for the log: `tcp=127.0.0.1:4780`, `unix=/run/presignd/presignd.sock`.
    pub fn log_field(&self) -> String {
        match &self.address {
            Address::Unix(address) => format!("unix={address}"),
            address => format!("tcp={address}"),
        }
    }

    /// Accepts the next connection. Aborted connections are ignored; after any other error it retries with a back-off of
    /// `ACCEPT_BACK_OFF`.
    pub async fn accept(&self) -> Connection {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(socket) => {
                    socket.accept().await.map(|(stream, address)| Connection::from_tcp(stream, address))
                }
                Socket::Unix(socket) => {
                    socket.accept().await.and_then(|(stream, _)| Connection::from_unix(stream))
                }
            };
            match accepted {
                Ok(connection) => return connection,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(
                        "failed to accept a connection on {}, retrying in {ACCEPT_BACK_OFF:?}: {error}",
                        self.log_field()
                    );
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;

    use super::*;
    use crate::address::{LoopbackAddress, UnixAddress};

    #[tokio::test]
    async fn unix_peer_has_the_ids_of_its_process() {
        // An abstract socket, because binding a path sets the umask of the process, which affects other tests.
        let name = format!("presignd-test-peer-{}", std::process::id());
        let settings = UnixSocket { address: UnixAddress::Abstract(name.clone()), mode: 0o600 };
        let listener = bind_unix(&settings).unwrap();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let _peer = std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
        let expected = PeerCredentials {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            pid: Some(std::process::id()),
        };
        assert_eq!(listener.accept().await.peer, Peer::Unix(expected));
    }

    #[tokio::test]
    async fn tcp_peer_has_an_address_and_no_ids() {
        let loopback: LoopbackAddress = "127.0.0.1:0".parse().unwrap();
        let listener = bind_tcp(loopback.get(), "listen.tcp").await.unwrap();
        let Address::Tcp(address) = listener.address() else { panic!("expected a TCP address") };
        let peer = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().await.peer, Peer::Tcp(peer.local_addr().unwrap()));
    }
}
