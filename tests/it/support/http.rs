//! The holder of a presigned URL: sends it byte for byte, and always to this machine.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use presignd::pb::PresignedRequest;
use tokio::{net::TcpStream, time::timeout};

use super::sidecar::PATIENCE;

/// An HTTP request. Tests can change it before they send it.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The value of the Host header: the host of the URL.
    pub host: String,
    /// Path and query, exactly as in the URL.
    pub target: String,
    /// The other headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The request that presignd signed, without a body.
    ///
    /// # Panics
    /// If the URL has no scheme or no path.
    pub fn of(presigned: &PresignedRequest) -> Self {
        let (scheme, rest) = presigned.url.split_once("://").expect("a URL has a scheme");
        let (authority, _) = rest.split_once('/').expect("a presigned URL has a path");
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        Self {
            method: presigned.method.clone(),
            host: authority.strip_suffix(own_port).unwrap_or(authority).to_owned(),
            target: rest.strip_prefix(authority).unwrap_or_default().to_owned(),
            headers: presigned.headers.clone(),
            body: Vec::new(),
        }
    }

    /// A form as a browser sends it: the fields, then the file.
    ///
    /// # Panics
    /// If the URL has no scheme or no path.
    pub fn form<'f>(
        url: &str,
        fields: impl IntoIterator<Item = (&'f String, &'f String)>,
        file_name: &str,
        file: &[u8],
    ) -> Self {
        let boundary = "----of-the-tests-of-presignd";
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend([head.as_bytes(), file, format!("\r\n--{boundary}--\r\n").as_bytes()].concat());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let to = PresignedRequest {
            url: url.to_owned(),
            method: "POST".to_owned(),
            headers: BTreeMap::from([("content-type".to_owned(), content_type)]),
            ..PresignedRequest::default()
        };
        Self::of(&to).with_body(body)
    }

    /// The same request with a body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends the request to a port of this machine.
    ///
    /// # Panics
    /// If there is no response in time, or if the request cannot be sent unchanged.
    pub async fn send(&self, port: u16) -> Answer {
        timeout(PATIENCE, Box::pin(self.exchange(port))).await.expect("the S3 server answers in time")
    }

    async fn exchange(&self, port: u16) -> Answer {
        let uri: http::Uri = self.target.parse().expect("path and query can be sent");
        assert_eq!(uri, *self.target, "path and query would be changed");
        let mut request = http::Request::builder().method(&*self.method).uri(uri).header("host", &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request =
            request.body(Full::new(Bytes::from(self.body.clone()))).expect("the headers can be sent");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the S3 server listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1 begins");
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.expect("the S3 server answers").into_parts();
        let body = body.collect().await.expect("the whole body arrives").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// The response of an S3 server.
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header; empty if there is no such header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII here"))
    }

    /// The texts of all XML elements with this name, in document order.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }

    /// The text of the first XML element with this name; empty if there is no such element.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }

    /// Status and S3 error code (`403 SignatureDoesNotMatch`), or only the status if there is no error document.
    pub fn verdict(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.element("Code")).trim_end().to_owned()
    }
}
