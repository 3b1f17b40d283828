//! Explain: each cause of a failure is reproduced with a URL that presignd signed and the test damaged.

mod answers;
mod bodies;
mod causes;
mod command;
mod rotation;
mod secrets;
mod soundness;
mod times;

use std::collections::BTreeMap;

use presignd::pb::{self, PresignedRequest, presign_service_client::PresignServiceClient};
use tonic::transport::Channel;

use crate::support::http::Request;

/// A request with a presigned URL, as a client sends it.
#[derive(Clone)]
struct Used {
    url: String,
    method: String,
    headers: BTreeMap<String, String>,
}

impl Used {
    fn of(presigned: &PresignedRequest) -> Self {
        let PresignedRequest { url, method, headers, .. } = presigned.clone();
        Self { url, method, headers }
    }

    /// Replaces the first occurrence of a text that must be in the URL.
    fn replace(&mut self, from: &str, to: &str) {
        assert!(self.url.contains(from), "{from} is not in the URL");
        self.url = self.url.replacen(from, to, 1);
    }

    fn header(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }

    fn to_explain_request(&self, error_body: &str) -> pb::ExplainRequest {
        pb::ExplainRequest {
            url: self.url.clone(),
            method: self.method.clone(),
            headers: self.headers.clone(),
            s3_error_body: error_body.to_owned(),
        }
    }

    /// The HTTP request to send.
    fn to_http_request(&self) -> Request {
        let (method, url, headers) = (self.method.clone(), self.url.clone(), self.headers.clone());
        Request::of(&PresignedRequest { method, url, headers, ..Default::default() })
    }
}

async fn explain(
    client: &mut PresignServiceClient<Channel>,
    used: &Used,
    error_body: &str,
) -> pb::ExplainResponse {
    client.explain(used.to_explain_request(error_body)).await.expect("it can be explained").into_inner()
}

/// The name of the verdict.
fn verdict(answer: &pb::ExplainResponse) -> &'static str {
    answer.verdict().as_str_name().trim_start_matches("VERDICT_")
}
