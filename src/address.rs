//! Addresses: of sockets that the server listens on, and of a server that a command connects to.

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
        /// A DNS name, or whatever else the system resolves.
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
    /// In the file system.
    Path(PathBuf),
    /// In Linux's abstract namespace, without the `@`.
    Abstract(String),
}

/// An IP address and port that only this machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddress(SocketAddr);

/// A text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("unix:PATH, unix:@NAME or HOST:PORT")]
pub struct AddressError;

impl Address {
    /// Reads `HOST:PORT`.
    ///
    /// # Errors
    /// Without a host or a port.
    pub fn parse_tcp(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let fits = |name: &str| !name.is_empty() && !name.contains('/');
        let (name, port) = text.rsplit_once(':').filter(|(name, _)| fits(name)).ok_or(AddressError)?;
        let port = port.parse().map_err(|_| AddressError)?;
        Ok(Self::Host { name: name.to_owned(), port })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Also reads what other gRPC clients accept: `unix:///run/presignd.sock`, `http://127.0.0.1:4780/`.
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
            // `unix:4780` would be a path.
            Self::Host { name, port } if name == "unix" || name.starts_with("unix:") => {
                write!(f, "http://{name}:{port}")
            }
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            // `unix://` is a prefix: a path that begins with two slashes needs it in front.
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
            Some("") => Err("a name behind the @"),
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
            Err("a loopback address (127.0.0.1 or [::1]): whoever reaches this port can have URLs signed; \
                 for callers outside this host or pod, run one presignd beside each of them")
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
    fn every_form_of_a_server_address_is_read() {
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
            ("@", Err("a name behind the @")),
        ] {
            assert_eq!(text.parse(), address, "{text}");
        }
    }

    #[test]
    fn only_loopback_addresses_are_loopback_addresses() {
        for text in ["127.0.0.1:4780", "127.1.2.3:1", "[::1]:4780"] {
            assert_eq!(text.parse::<LoopbackAddress>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:127.0.0.1]:1", "localhost:1", ""] {
            assert!(text.parse::<LoopbackAddress>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_parsed_prints_and_parses_the_same(
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
        fn every_socket_address_prints_and_parses_the_same(address: SocketAddr) {
            // The flow label and the zone of IPv6 are no part of what users write.
            let address = SocketAddr::new(address.ip(), address.port());
            assert_eq!(address.to_string().parse(), Ok(Address::Tcp(address)));
            let loopback = address.to_string().parse::<LoopbackAddress>().ok().map(LoopbackAddress::get);
            assert_eq!(loopback, address.ip().is_loopback().then_some(address));
        }
    }
}
