//! Reads and answers requests to the endpoints.

use std::{collections::BTreeMap, fmt, sync::Arc};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Fault, INSTANCE_REGION, INSTANCE_ROLE, RecordedRequest, RequestKind, Script, Shared, documents};
use crate::support::in_process::percent_decoded;

/// The header with the lifetime of a session token; IMDS grants the requested lifetime.
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The error that closes a connection without a response.
#[derive(Debug)]
struct ClosedWithoutResponse;

impl fmt::Display for ClosedWithoutResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without a response")
    }
}

impl std::error::Error for ClosedWithoutResponse {}

type Answer = Response<Full<Bytes>>;

/// Serves all endpoints.
pub(super) async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("the listener is valid");
    loop {
        let (stream, _) = listener.accept().await.expect("connections can be accepted");
        if shared.script.borrow().fault == Some(Fault::Unreachable) {
            shared.record(unreachable_request());
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            // It fails if it is closed without a response, or presignd disconnects.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    fn record(&self, asked: RecordedRequest) {
        self.asked.send_modify(|all| all.push(asked));
    }

    fn script(&self) -> Script {
        self.script.borrow().clone()
    }
}

fn unreachable_request() -> RecordedRequest {
    RecordedRequest {
        kind: RequestKind::Unreachable,
        form: BTreeMap::new(),
        authorization: String::new(),
        session: String::new(),
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Answer, ClosedWithoutResponse> {
    let asked = read(request).await?;
    // Read before the request is recorded: a change that the test makes then affects only later requests, or ends a
    // fault.
    let mut script = shared.script();
    if script.fault == Some(Fault::Unreachable) {
        shared.record(unreachable_request());
        return Err(ClosedWithoutResponse);
    }
    shared.record(asked.clone());
    match script.fault {
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(status).expect("a status");
            return Ok(text(status, "<html>a proxy that quotes the request: canary</html>".to_owned()));
        }
        Some(Fault::Slow(time)) if asked.kind.is_for_credentials() => {
            tokio::time::sleep(time).await;
            script = shared.script();
        }
        Some(Fault::Hanging) if asked.kind.is_for_credentials() => {
            let mut changes = shared.script.subscribe();
            let released = changes.wait_for(|script| script.fault != Some(Fault::Hanging)).await;
            script = released.map_err(|_| ClosedWithoutResponse)?.clone();
        }
        _ => {}
    }
    Ok(reply(&asked, &script))
}

/// The response without a fault.
fn reply(asked: &RecordedRequest, script: &Script) -> Answer {
    let by_imds = matches!(asked.kind, RequestKind::RoleName | RequestKind::Region | RequestKind::Imds);
    if by_imds && asked.session != script.session() {
        return text(StatusCode::UNAUTHORIZED, String::new());
    }
    match asked.kind {
        RequestKind::Session => {
            let mut answer = text(StatusCode::OK, script.session());
            answer.headers_mut().insert(TTL, asked.session.parse().expect("it was a header"));
            answer
        }
        RequestKind::RoleName => text(StatusCode::OK, INSTANCE_ROLE.to_owned()),
        RequestKind::Region => text(StatusCode::OK, INSTANCE_REGION.to_owned()),
        RequestKind::Container
            if script.authorization.as_ref().is_some_and(|it| *it != asked.authorization) =>
        {
            text(StatusCode::UNAUTHORIZED, "canary".to_owned())
        }
        RequestKind::Imds
        | RequestKind::Container
        | RequestKind::AssumeRole
        | RequestKind::WebIdentity
        | RequestKind::CreateSession => credentials(asked, script),
        RequestKind::Unreachable | RequestKind::Unknown => text(StatusCode::NOT_FOUND, String::new()),
    }
}

fn credentials(asked: &RecordedRequest, script: &Script) -> Answer {
    let role = asked.parameter("RoleArn");
    let Some(keys) = script.roles.get(role).or(script.keys.as_ref()) else {
        let document = match asked.kind {
            RequestKind::CreateSession => documents::session_denied(),
            _ => documents::role_denied(role),
        };
        return text(StatusCode::FORBIDDEN, document);
    };
    let document = documents::credentials(asked, keys);
    let body = match script.fault {
        Some(Fault::Truncated) => document.split("Expiration").next().unwrap_or_default().to_owned(),
        Some(Fault::InvalidExpiration) => document.replace(&keys.expiration(), "canary"),
        Some(Fault::Empty) => String::new(),
        _ => document,
    };
    text(StatusCode::OK, body)
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
}

async fn read(request: Request<Incoming>) -> Result<RecordedRequest, ClosedWithoutResponse> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| ClosedWithoutResponse)?.to_bytes();
    let form: BTreeMap<String, String> = String::from_utf8_lossy(&body)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let header = |name: &str| {
        head.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII here")).to_owned()
    };
    let action = form.get("Action").map(String::as_str);
    let kind = match (&head.method, head.uri.path(), action) {
        (&Method::PUT, "/latest/api/token", _) if !header(TTL).is_empty() => RequestKind::Session,
        (&Method::GET, ROLES, _) => RequestKind::RoleName,
        (&Method::GET, "/latest/meta-data/placement/region", _) => RequestKind::Region,
        (&Method::GET, path, _) if path.strip_prefix(ROLES) == Some(INSTANCE_ROLE) => RequestKind::Imds,
        (&Method::GET, "/v2/credentials", _) => RequestKind::Container,
        (&Method::GET, path, _) if path.contains("--x-s3") && is_for_session(head.uri.query()) => {
            RequestKind::CreateSession
        }
        (&Method::POST, "/", Some("AssumeRole")) => RequestKind::AssumeRole,
        (&Method::POST, "/", Some("AssumeRoleWithWebIdentity")) => RequestKind::WebIdentity,
        _ => RequestKind::Unknown,
    };
    let session = header(if kind == RequestKind::Session { TTL } else { "x-aws-ec2-metadata-token" });
    Ok(RecordedRequest { kind, form, authorization: header("authorization"), session })
}

fn is_for_session(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("session"))
}

fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}
