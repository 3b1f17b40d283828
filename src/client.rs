//! The commands that ask a running server.

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

/// How long a command waits for the server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a command failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `--server` cannot be read.
    #[error("{0:?} is not an address: write unix:PATH, unix:@NAME or HOST:PORT")]
    Address(String),
    /// Neither `--server` nor the settings have an address.
    #[error("listen.tcp is off and listen.unix is not set here: say where the server is with --server")]
    NoAddress,
    /// No presignd answers.
    #[error(
        "no presignd answers at {address}: {error}. Start it with `presignd serve`, or name another place with --server"
    )]
    Unreachable {
        /// The server's address.
        address: Address,
        /// What the system says.
        error: String,
    },
    /// An argument does not fit.
    #[error("{0}")]
    Argument(String),
    /// The server refused.
    #[error("{}", .0.message())]
    Refused(Box<tonic::Status>),
    /// The server cannot sign now.
    #[error("not serving: {0}")]
    NotServing(String),
    /// The server's answer has no URL in it.
    #[error("the server's answer was empty: is it another version?")]
    Empty,
}

/// `presignd presign`: what to print on stdout, and on stderr.
///
/// # Errors
/// See [`ClientError`].
pub async fn presign(arguments: PresignArguments) -> Result<(String, String), ClientError> {
    let request = build_request(&arguments)?;
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let answer = PresignServiceClient::new(channel).presign(request).await;
    let presigned = answer
        .map_err(|status| client_error(&address, status))?
        .into_inner()
        .presigned
        .ok_or(ClientError::Empty)?;
    let mut details = String::new();
    if arguments.verbose {
        details = GrantSummary::of_url(&presigned).to_string();
        if !arguments.curl {
            details.extend(["try      ", &curl::url_command(&presigned), "\n"]);
        }
    }
    let output = match () {
        () if arguments.json => as_json(&presigned),
        () if arguments.curl => curl::url_command(&presigned),
        () => presigned.url,
    };
    Ok((output, details))
}

/// `presignd healthcheck`: what to print when the server can sign.
///
/// # Errors
/// See [`ClientError`].
pub async fn healthcheck(arguments: HealthcheckArguments) -> Result<String, ClientError> {
    let (address, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let request = HealthCheckRequest { service: arguments.service.clone() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
        tonic::Code::NotFound => {
            ClientError::NotServing(format!("{:?} is not known there", arguments.service))
        }
        _ => client_error(&address, status),
    })?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok("serving".to_owned()),
        _ => Err(ClientError::NotServing("no usable credentials yet, or stopping".to_owned())),
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

/// The object or bucket, and the operation.
fn parse_target(arguments: &PresignArguments) -> Result<(S3Uri, Operation), String> {
    if arguments.method == "list" {
        let S3Uri { bucket, key: prefix } = S3Uri::of_listing(&arguments.uri)?;
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
    let wrong =
        || ClientError::Argument(format!("{flag} {text:?} is not a duration: write it as 90s, 10m or 12h"));
    let parsed = humantime::parse_duration(text).map_err(|_| wrong())?;
    Ok(Some(parsed.try_into().map_err(|_| wrong())?))
}

fn parse_pairs(
    flag: &str,
    given: &[String],
    separator: char,
) -> Result<std::collections::BTreeMap<String, String>, ClientError> {
    let mut all = std::collections::BTreeMap::new();
    for text in given {
        let (name, value) = text.split_once(separator).ok_or_else(|| {
            ClientError::Argument(format!(
                "{flag} needs NAME{separator}VALUE, as in {flag} \"a{separator}b\""
            ))
        })?;
        // Spaces around the colon of a header are not part of name or value.
        let (name, value) = if separator == ':' { (name.trim(), value.trim_start()) } else { (name, value) };
        if all.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(ClientError::Argument(format!("{flag} {name:?} is given twice: give it once")));
        }
    }
    Ok(all)
}

async fn connect(server: Option<&str>, layers: &Layers) -> Result<(Address, Channel), ClientError> {
    let address = server_address(server, layers)?;
    let to = address.clone();
    // The authority is only a name here: the connector chooses the address.
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

/// The address in `--server`, else the one in the settings.
fn server_address(server: Option<&str>, layers: &Layers) -> Result<Address, ClientError> {
    let wrong = |text: &str| ClientError::Address(text.to_owned());
    if let Some(text) = server {
        return text.parse().map_err(|_| wrong(text));
    }
    match (layers.get("listen.unix"), layers.get("listen.tcp")) {
        (Some(unix), _) => unix.text.parse().map(Address::Unix).map_err(|_| wrong(&unix.text)),
        (None, Some(tcp)) if tcp.text != "off" => Address::parse_tcp(&tcp.text).map_err(|_| wrong(&tcp.text)),
        _ => Err(ClientError::NoAddress),
    }
}

fn client_error(address: &Address, status: tonic::Status) -> ClientError {
    match std::error::Error::source(&status) {
        Some(cause) => ClientError::Unreachable { address: address.clone(), error: root_cause(cause) },
        None => ClientError::Refused(Box::new(status)),
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

fn as_json(presigned: &pb::PresignedRequest) -> String {
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
