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
use self::{terms::Terms, uri::S3Uri};
use crate::{
    config::{
        SocketName,
        arguments::{HealthcheckArguments, PresignArguments},
        layers::Layers,
    },
    pb::{self, presign_request::Operation, presign_service_client::PresignServiceClient},
};

/// How long a command waits for the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a command failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `--server` cannot be read.
    #[error("{0:?} is not an address: write unix:PATH, unix:@NAME or HOST:PORT")]
    Address(String),
    /// Neither the arguments nor the settings name a place.
    #[error("listen.tcp is off and listen.unix is not set here: say where the server is with --server")]
    NoPlace,
    /// No presignd answers.
    #[error(
        "no presignd answers at {place}: {error}. Start it with `presignd serve`, or name another place with --server"
    )]
    Unreachable {
        /// Where.
        place: String,
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

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Unix(SocketName),
}

/// `presignd presign`: what to print on stdout, and on stderr.
///
/// # Errors
/// See [`ClientError`].
pub async fn presign(arguments: PresignArguments) -> Result<(String, String), ClientError> {
    let request = request(&arguments)?;
    let (place, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let answer = PresignServiceClient::new(channel).presign(request).await;
    let presigned =
        answer.map_err(|status| failed(&place, status))?.into_inner().presigned.ok_or(ClientError::Empty)?;
    let mut details = String::new();
    if arguments.verbose {
        details = Terms::of_url(&presigned).to_string();
        if !arguments.curl {
            details.extend(["try      ", &curl::of_url(&presigned), "\n"]);
        }
    }
    let shown = match () {
        () if arguments.json => as_json(&presigned),
        () if arguments.curl => curl::of_url(&presigned),
        () => presigned.url,
    };
    Ok((shown, details))
}

/// `presignd healthcheck`: what to print when the server can sign.
///
/// # Errors
/// See [`ClientError`].
pub async fn healthcheck(arguments: HealthcheckArguments) -> Result<String, ClientError> {
    let (place, channel) = connect(arguments.server.as_deref(), &arguments.layers).await?;
    let request = HealthCheckRequest { service: arguments.service.clone() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
        tonic::Code::NotFound => {
            ClientError::NotServing(format!("{:?} is not known there", arguments.service))
        }
        _ => failed(&place, status),
    })?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok("serving".to_owned()),
        _ => Err(ClientError::NotServing("no usable credentials yet, or stopping".to_owned())),
    }
}

fn request(arguments: &PresignArguments) -> Result<pb::PresignRequest, ClientError> {
    let (S3Uri { bucket, key }, operation) = target(arguments).map_err(ClientError::Argument)?;
    Ok(pb::PresignRequest {
        bucket,
        key,
        expires_in: duration("--expires-in", arguments.expires_in.as_deref())?,
        min_expires_in: duration("--min-expires-in", arguments.min_expires_in.as_deref())?,
        signer: arguments.signer.clone(),
        headers: pairs("--header", &arguments.headers, ':')?,
        query: pairs("--query", &arguments.query, '=')?,
        reuse_window: None,
        operation: Some(operation),
    })
}

/// What the URL is for, and what its holder may do with it.
fn target(arguments: &PresignArguments) -> Result<(S3Uri, Operation), String> {
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

fn duration(flag: &str, text: Option<&str>) -> Result<Option<prost_types::Duration>, ClientError> {
    let Some(text) = text else { return Ok(None) };
    let wrong =
        || ClientError::Argument(format!("{flag} {text:?} is not a duration: write it as 90s, 10m or 12h"));
    let parsed = humantime::parse_duration(text).map_err(|_| wrong())?;
    Ok(Some(parsed.try_into().map_err(|_| wrong())?))
}

fn pairs(
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
        // Space around the colon of a header is no part of it.
        let (name, value) = if separator == ':' { (name.trim(), value.trim_start()) } else { (name, value) };
        if all.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(ClientError::Argument(format!("{flag} {name:?} is given twice: give it once")));
        }
    }
    Ok(all)
}

async fn connect(server: Option<&str>, layers: &Layers) -> Result<(Place, Channel), ClientError> {
    let place = place(server, layers)?;
    let to = place.clone();
    // The authority is only a name here: the connector decides where to go.
    let endpoint = Endpoint::from_static("http://localhost").connect_timeout(PATIENCE).timeout(PATIENCE);
    let channel = endpoint.connect_with_connector(service_fn(move |_| dial(to.clone()))).await;
    let channel = channel
        .map_err(|error| ClientError::Unreachable { place: place.to_string(), error: deepest(&error) })?;
    Ok((place, channel))
}

async fn dial(place: Place) -> io::Result<TokioIo<Either<TcpStream, UnixStream>>> {
    use std::os::{linux::net::SocketAddrExt, unix::net};
    let stream = match place {
        Place::Tcp(address) => Either::Left(TcpStream::connect(address).await?),
        Place::Unix(SocketName::Path(path)) => Either::Right(UnixStream::connect(path).await?),
        Place::Unix(SocketName::Abstract(name)) => {
            let address = net::SocketAddr::from_abstract_name(name)?;
            let stream = net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            Either::Right(UnixStream::from_std(stream)?)
        }
    };
    Ok(TokioIo::new(stream))
}

fn place(server: Option<&str>, layers: &Layers) -> Result<Place, ClientError> {
    let unix = |text: &str| text.parse().map(Place::Unix).map_err(|_| ClientError::Address(text.to_owned()));
    if let Some(text) = server {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path.strip_prefix("//").unwrap_or(path));
        }
        let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        return if has_port {
            Ok(Place::Tcp(address.to_owned()))
        } else {
            Err(ClientError::Address(text.to_owned()))
        };
    }
    match (layers.get("listen.unix"), layers.get("listen.tcp")) {
        (Some(path), _) => unix(&path.text),
        (None, Some(address)) if address.text != "off" => Ok(Place::Tcp(address.text.clone())),
        _ => Err(ClientError::NoPlace),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(name) => write!(f, "unix:{name}"),
        }
    }
}

fn failed(place: &Place, status: tonic::Status) -> ClientError {
    match std::error::Error::source(&status) {
        Some(cause) => ClientError::Unreachable { place: place.to_string(), error: deepest(cause) },
        None => ClientError::Refused(Box::new(status)),
    }
}

/// The cause at the bottom says most: `connection refused` rather than `transport error`.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn as_json(presigned: &pb::PresignedRequest) -> String {
    let terms = Terms::of_url(presigned);
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
