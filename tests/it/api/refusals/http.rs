//! Invalid methods, headers and query parameters of the `http` operation.

use presignd::pb::{Http, PresignRequest, presign_request::Operation};

use super::{check, invalid};
use crate::support::grpc::request;

fn http(method: &str, query: &[(&str, &str)], headers: &[(&str, &str)]) -> PresignRequest {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let http = Http { method: method.to_owned(), query: map(query), headers: map(headers) };
    request("key", Operation::Http(http))
}

#[tokio::test]
async fn an_invalid_method_is_refused() {
    let row = |method: &str| {
        let message = format!(
            "{method:?} is not an HTTP method: use capital letters, such as GET, HEAD, PUT, POST or DELETE"
        );
        invalid(http(method, &[("retention", "")], &[]), "METHOD_INVALID", "http.method", &message)
    };
    let empty = invalid(
        http("", &[], &[]),
        "METHOD_INVALID",
        "http.method",
        "\"\" is not an HTTP method: use capital letters, such as GET, HEAD, PUT, POST or DELETE",
    );
    check(vec![empty, row(""), row("get"), row("GET /x HTTP/1.1\r\nx:"), row("GÉT"), row("GET ")]).await;
}

#[tokio::test]
async fn host_and_authentication_are_refused() {
    let header = |name: &str, why: &str| {
        let message = format!("header {} cannot be set: {why}", name.to_lowercase());
        invalid(http("GET", &[], &[(name, "x")]), "HEADER_INVALID", "http.headers", &message)
    };
    let query = |name: &str| {
        let message = format!(
            "query parameter {name} cannot be set: it is reserved for authentication, which presignd adds"
        );
        invalid(http("GET", &[(name, "x")], &[]), "QUERY_INVALID", "http.query", &message)
    };
    check(vec![
        header("Host", "it is always signed, with the host of the URL"),
        header("Authorization", "the query of the URL carries the authentication"),
        header("x-amz-security-token", "presignd adds it to the query of the URL"),
        header("transfer-encoding", "it may change on the way to S3, which would break the signature"),
        query("X-Amz-Expires"),
        query("x-amz-signature"),
        query("X-Amz-Security-Token"),
        query("AWSAccessKeyId"),
    ])
    .await;
}

#[tokio::test]
async fn duplicates_and_operation_parameters_outside_http_are_refused() {
    let mut twice = http("GET", &[("versionId", "a")], &[("range", "bytes=0-1")]);
    twice.query.insert("versionId".to_owned(), "a".to_owned());
    let mut header_twice = http("GET", &[], &[("range", "bytes=0-1")]);
    header_twice.headers.insert("Range".to_owned(), "bytes=0-1".to_owned());
    let mut outside = http("GET", &[], &[]);
    outside.query.insert("acl".to_owned(), String::new());
    let mut copies = http("PUT", &[], &[]);
    copies.headers.insert("X-Amz-Copy-Source".to_owned(), "other/secret".to_owned());
    check(vec![
        invalid(
            twice,
            "QUERY_INVALID",
            "query",
            "query parameter versionId is given twice: set it once, in the operation or in query",
        ),
        invalid(
            header_twice,
            "HEADER_INVALID",
            "headers",
            "header range is given twice: set it once, in the operation or in headers",
        ),
        invalid(
            outside,
            "PARAMETER_INVALID",
            "query",
            "acl would change the operation: set it in http.query instead",
        ),
        invalid(
            copies,
            "PARAMETER_INVALID",
            "headers",
            "x-amz-copy-source would change the operation: set it in http.headers instead",
        ),
    ])
    .await;
}
