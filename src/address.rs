//! Addresses of servers and of sockets: TCP and Unix.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use thiserror::Error;

/// The address of a gRPC server.
///
/// Written as on the command line: `127.0.0.1:4780`, `localhost:4780`, `unix:/run/presignd.sock`, `unix:@presignd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IP address and port.
    Tcp(SocketAddr),
    /// Host name and port: only for clients, which resolve the name when they connect.
    Host {
        /// A DNS name or any other name that the system's resolver knows.
        name: String,
        /// The TCP port.
        port: u16,
    },
    /// A Unix socket.
    Unix(UnixAddress),
}

/// The address of a Unix socket.
///
/// Written as in the configuration: an absolute or relative path, or `@NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixAddress {
    /// A path in the file system.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, without the `@`.
    Abstract(String),
}

/// A loopback IP address and port, which only this machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddress(SocketAddr);

/// The text is not the address of a server. The message is the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("unix:PATH, unix:@NAME or HOST:PORT")]
pub struct AddressError;

impl Address {
    /// Parses `HOST:PORT`.
    ///
    /// # Errors
    /// When the host or the port is missing.
    pub fn parse_tcp(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let is_host = |name: &str| !name.is_empty() && !name.contains('/');
        let (name, port) = text.rsplit_once(':').filter(|(name, _)| is_host(name)).ok_or(AddressError)?;
        let port = port.parse().map_err(|_| AddressError)?;
        Ok(Self::Host { name: name.to_owned(), port })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Also accepts the forms of other gRPC clients: `unix:///run/presignd.sock`, `http://127.0.0.1:4780/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                path.parse().map(Self::Unix).map_err(|_| AddressError)
            }
            None => Self::parse_tcp(text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/')),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            // Not `unix:4780`: that is parsed as a path.
            Self::Host { name, port } if name == "unix" || name.starts_with("unix:") => {
                write!(f, "http://{name}:{port}")
            }
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            // The parser removes the prefix `unix://`, so a path that begins with two slashes needs it.
            Self::Unix(UnixAddress::Path(path)) if path.as_os_str().as_encoded_bytes().starts_with(b"//") => {
                write!(f, "unix://{}", path.display())
            }
            Self::Unix(address) => write!(f, "unix:{address}"),
        }
    }
}

impl FromStr for UnixAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('@') {
            Some("") => Err("@ and a name, such as @presignd"),
            Some(name) => Ok(Self::Abstract(name.to_owned())),
            None if text.is_empty() => Err("a path, or @NAME"),
            None => Ok(Self::Path(text.into())),
        }
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

impl LoopbackAddress {
    /// The address.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for LoopbackAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: SocketAddr =
            text.parse().map_err(|_| "an address such as 127.0.0.1:4780 or [::1]:4780, or off")?;
        if address.ip().is_loopback() {
            Ok(Self(address))
        } else {
            Err(
                "a loopback address, such as 127.0.0.1:4780 or [::1]:4780, because every client that can reach this \
                 port can have URLs signed; for callers outside this host or pod, run one presignd next to each of them",
            )
        }
    }
}

impl fmt::Display for LoopbackAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Address {
        Address::Host { name: name.to_owned(), port }
    }

    fn path(path: &str) -> Address {
        Address::Unix(UnixAddress::Path(path.into()))
    }

    #[test]
    fn every_form_of_a_server_address_is_parsed() {
        for (text, address) in [
            ("127.0.0.1:4780", Address::Tcp(([127, 0, 0, 1], 4780).into())),
            ("[::1]:4780", Address::Tcp("[::1]:4780".parse().unwrap())),
            ("http://127.0.0.1:4780/", Address::Tcp(([127, 0, 0, 1], 4780).into())),
            ("localhost:4780", host("localhost", 4780)),
            ("http://sidecar:80", host("sidecar", 80)),
            ("http://unix:80", host("unix", 80)),
            ("::1:4780", host("::1", 4780)),
            ("unix:/run/p.sock", path("/run/p.sock")),
            ("unix:///run/p.sock", path("/run/p.sock")),
            ("unix:p.sock", path("p.sock")),
            ("unix://p.sock", path("p.sock")),
            ("unix:@presignd", Address::Unix(UnixAddress::Abstract("presignd".into()))),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in [
            "",
            "nowhere",
            "127.0.0.1",
            ":4780",
            "localhost:65536",
            "http:///x:1",
            "unix:",
            "unix:@",
            "/run/p.sock",
        ] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text:?}");
        }
    }

    #[test]
    fn a_unix_address_is_a_path_or_an_abstract_name() {
        for (text, address) in [
            ("/run/p.sock", Ok(UnixAddress::Path("/run/p.sock".into()))),
            ("p.sock", Ok(UnixAddress::Path("p.sock".into()))),
            ("127.0.0.1:4780", Ok(UnixAddress::Path("127.0.0.1:4780".into()))),
            ("@presignd", Ok(UnixAddress::Abstract("presignd".into()))),
            ("", Err("a path, or @NAME")),
            ("@", Err("@ and a name, such as @presignd")),
        ] {
            assert_eq!(text.parse(), address, "{text}");
        }
    }

    #[test]
    fn other_addresses_than_loopback_are_rejected() {
        for text in ["127.0.0.1:4780", "127.1.2.3:1", "[::1]:4780"] {
            assert_eq!(text.parse::<LoopbackAddress>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:127.0.0.1]:1", "localhost:1", ""] {
            assert!(text.parse::<LoopbackAddress>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsed_addresses_print_and_parse_to_the_same(
            text in "(unix:|http://|http://unix:)?/{0,5}[-@.:/\\[\\]a-z0-9]{0,12}(:[0-9]{1,5})?/?|\\PC{0,16}",
        ) {
            if let Ok(address) = text.parse::<Address>() {
                assert_eq!(address.to_string().parse(), Ok(address));
            }
            if let Ok(address) = text.parse::<UnixAddress>() {
                assert_eq!(address.to_string(), text);
                let address = Address::Unix(address);
                assert_eq!(address.to_string().parse(), Ok(address));
            }
        }

        #[test]
        fn socket_addresses_print_and_parse_to_the_same(address: SocketAddr) {
            // Without the flow label and scope ID of IPv6, which have no text form here.
            let address = SocketAddr::new(address.ip(), address.port());
            assert_eq!(address.to_string().parse(), Ok(Address::Tcp(address)));
            let loopback = address.to_string().parse::<LoopbackAddress>().ok().map(LoopbackAddress::get);
            assert_eq!(loopback, address.ip().is_loopback().then_some(address));
        }
    }
}
