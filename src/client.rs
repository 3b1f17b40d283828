//! The commands that call a running server.

mod curl;
mod explain;
pub mod post;
mod terms;
pub mod uri;

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use serde_json::json;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::service_fn;

pub use self::explain::explain;
use self::{terms::GrantSummary, uri::S3Uri};
use crate::{
    address::{Address, UnixAddress},
    config::{
        arguments::{HealthcheckArguments, presign::PresignArguments},
        layers::Layers,
    },
    pb::{self, presign_request::Operation, presign_service_client::PresignServiceClient},
};

/// The timeout for connecting to the server, and for one call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a command failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `--server`, `listen.unix` or `listen.tcp` is not a valid address.
    #[error("{0:?} is not a valid server address: use unix:PATH, unix:@NAME or HOST:PORT")]
    Address(String),
    /// Neither `--server` nor the settings give an address.
    #[error(
        "the server's address is unknown, because listen.tcp is off and listen.unix is not set: give it with --server"
    )]
    NoAddress,
    /// No server responds at the address.
    #[error(
        "cannot reach presignd at {address}: {error}. Start it with `presignd serve`, or give another address with --server"
    )]
    Unreachable {
        /// The server's address.
        address: Address,
        /// The cause.
        error: String,
    },
    /// An argument is invalid.
    #[error("{0}")]
    Argument(String),
    /// The server rejected the request.
    #[error("{}", .0.message())]
    Rejected(Box<tonic::Status>),
    /// The server cannot sign at present.
    #[error("not serving: {0}")]
    NotServing(String),
    /// The server's response has no URL.
    #[error("the server's response has no URL: use a client and a server of the same version")]
    Empty,
}

/// `presignd presign`: returns the text for stdout and the text for stderr.
///
/// # Errors
/// See [`ClientError`].
pub async fn presign(arguments: PresignArguments) -> Result<(String, String), ClientError> {
    let request = build_request(&arguments)?;
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let response = PresignServiceClient::new(channel).presign(request).await;
    let presigned = response
        .map_err(|status| client_error(&address, status))?
        .into_inner()
        .presigned
        .ok_or(ClientError::Empty)?;
    let mut details = String::new();
    if arguments.verbose {
        details = GrantSummary::of_url(&presigned).to_string();
        if !arguments.curl {
            details.extend(["curl      ", &curl::url_command(&presigned), "\n"]);
        }
    }
    let output = match () {
        () if arguments.json => to_json(&presigned),
        () if arguments.curl => curl::url_command(&presigned),
        () => presigned.url,
    };
    Ok((output, details))
}

/// `presignd healthcheck`: returns the text for stdout when the server can sign.
///
/// # Errors
/// See [`ClientError`].
pub async fn healthcheck(arguments: HealthcheckArguments) -> Result<String, ClientError> {
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let request = HealthCheckRequest { service: arguments.service.clone() };
    let response = HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
        tonic::Code::NotFound => {
            ClientError::NotServing(format!("the server has no health service {:?}", arguments.service))
        }
        _ => client_error(&address, status),
    })?;
    match response.into_inner().status() {
        ServingStatus::Serving => Ok("serving".to_owned()),
        _ => Err(ClientError::NotServing(
            "the server has no usable credentials yet, or is stopping".to_owned(),
        )),
    }
}

fn build_request(arguments: &PresignArguments) -> Result<pb::PresignRequest, ClientError> {
    let (S3Uri { bucket, key }, operation) = parse_target(arguments).map_err(ClientError::Argument)?;
    Ok(pb::PresignRequest {
        bucket,
        key,
        expires_in: parse_duration("--expires-in", arguments.expires_in.as_deref())?,
        min_expires_in: parse_duration("--min-expires-in", arguments.min_expires_in.as_deref())?,
        signer: arguments.signer.clone(),
        headers: parse_pairs("--header", &arguments.headers, ':')?,
        query: parse_pairs("--query", &arguments.query, '=')?,
        reuse_window: None,
        operation: Some(operation),
    })
}

/// The object or bucket of the command, and the operation of its method.
fn parse_target(arguments: &PresignArguments) -> Result<(S3Uri, Operation), String> {
    if arguments.method == "list" {
        let S3Uri { bucket, key: prefix } = S3Uri::parse_listing(&arguments.uri)?;
        let list = pb::ListObjectsV2 { prefix, ..Default::default() };
        return Ok((S3Uri { bucket, key: String::new() }, Operation::ListObjectsV2(list)));
    }
    let operation = match arguments.method.as_str() {
        "put" => Operation::PutObject(pb::PutObject::default()),
        "head" => Operation::HeadObject(pb::HeadObject::default()),
        "delete" => Operation::DeleteObject(pb::DeleteObject::default()),
        _ => Operation::GetObject(pb::GetObject::default()),
    };
    Ok((arguments.uri.parse()?, operation))
}

fn parse_duration(flag: &str, text: Option<&str>) -> Result<Option<prost_types::Duration>, ClientError> {
    let Some(text) = text else { return Ok(None) };
    let invalid = || {
        ClientError::Argument(format!("{flag} is {text:?}, but must be a duration, such as 90s, 10m or 12h"))
    };
    let parsed = humantime::parse_duration(text).map_err(|_| invalid())?;
    Ok(Some(parsed.try_into().map_err(|_| invalid())?))
}

fn parse_pairs(
    flag: &str,
    texts: &[String],
    separator: char,
) -> Result<std::collections::BTreeMap<String, String>, ClientError> {
    let mut all = std::collections::BTreeMap::new();
    for text in texts {
        let (name, value) = text.split_once(separator).ok_or_else(|| {
            ClientError::Argument(format!(
                "{flag} must be NAME{separator}VALUE, such as {flag} \"a{separator}b\""
            ))
        })?;
        // In a header, white space around the colon belongs neither to the name nor to the value.
        let (name, value) = if separator == ':' { (name.trim(), value.trim_start()) } else { (name, value) };
        if all.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(ClientError::Argument(format!(
                "{flag} {name:?} is given twice: give each name only once"
            )));
        }
    }
    Ok(all)
}

async fn connect(server: Option<&str>, layers: &Layers) -> Result<(Address, Channel), ClientError> {
    let address = resolve_address(server, layers)?;
    let to = address.clone();
    // The host in this URI is a placeholder: the connector ignores it.
    let endpoint = Endpoint::from_static("http://localhost").connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let channel = endpoint.connect_with_connector(service_fn(move |_| open_stream(to.clone()))).await;
    let channel = channel
        .map_err(|error| ClientError::Unreachable { address: address.clone(), error: root_cause(&error) })?;
    Ok((address, channel))
}

async fn open_stream(address: Address) -> io::Result<TokioIo<Either<TcpStream, UnixStream>>> {
    use std::os::{linux::net::SocketAddrExt, unix::net};
    let stream = match address {
        Address::Tcp(address) => Either::Left(TcpStream::connect(address).await?),
        Address::Host { name, port } => Either::Left(TcpStream::connect((name, port)).await?),
        Address::Unix(UnixAddress::Path(path)) => Either::Right(UnixStream::connect(path).await?),
        Address::Unix(UnixAddress::Abstract(name)) => {
            let address = net::SocketAddr::from_abstract_name(name)?;
            let stream = net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            Either::Right(UnixStream::from_std(stream)?)
        }
    };
    Ok(TokioIo::new(stream))
}

/// Takes the address from `--server`, else from `listen.unix`, else from `listen.tcp`.
fn resolve_address(server: Option<&str>, layers: &Layers) -> Result<Address, ClientError> {
    let invalid = |text: &str| ClientError::Address(text.to_owned());
    if let Some(text) = server {
        return text.parse().map_err(|_| invalid(text));
    }
    match (layers.get("listen.unix"), layers.get("listen.tcp")) {
        (Some(unix), _) => unix.text.parse().map(Address::Unix).map_err(|_| invalid(&unix.text)),
        (None, Some(tcp)) if tcp.text != "off" => {
            Address::parse_tcp(&tcp.text).map_err(|_| invalid(&tcp.text))
        }
        _ => Err(ClientError::NoAddress),
    }
}

/// Distinguishes a failed connection, whose status has a source, from a status that the server sent.
fn client_error(address: &Address, status: tonic::Status) -> ClientError {
    match std::error::Error::source(&status) {
        Some(cause) => ClientError::Unreachable { address: address.clone(), error: root_cause(cause) },
        None => ClientError::Rejected(Box::new(status)),
    }
}

/// The last cause is the most precise: `connection refused` rather than `transport error`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn to_json(presigned: &pb::PresignedRequest) -> String {
    let terms = GrantSummary::of_url(presigned);
    json!({
        "url": presigned.url,
        "method": presigned.method,
        "headers": presigned.headers,
        "signed_at": terms::rfc3339(presigned.signed_at.as_ref()),
        "expires_at": terms.expires_at,
        "granted_seconds": terms.granted,
        "requested_seconds": terms.requested,
        "clamp_reason": terms.clamp_reason,
    })
    .to_string()
}
