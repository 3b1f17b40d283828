//! Headers and query parameters that cannot be signed, or that would change the operation.

use presignd::pb::{self, presign_request::Operation};

use super::{CANARY, Row, but, check, invalid};
use crate::support::grpc::request;

/// A request with this header, whose value is the canary.
fn header(name: &str) -> pb::PresignRequest {
    but(|request| drop(request.headers.insert(name.to_owned(), CANARY.to_owned())))
}

/// A request with this query parameter.
fn query(name: &str) -> pb::PresignRequest {
    but(|request| drop(request.query.insert(name.to_owned(), CANARY.to_owned())))
}

#[tokio::test]
async fn a_header_value_with_control_characters_is_refused() {
    let message = "the value of header x-amz-meta-name contains a control character or a non-ASCII character: \
         encode it first (RFC 8187 for file names, otherwise Base64 or percent-encoding)";
    let values = ["\n", "\r\nx-amz-acl: public-read", "\u{0}", "\ta", "\u{1b}[0m", "\u{7f}", "ü", "\u{2028}"];
    let value = |text: &str| format!("{CANARY}{text}{CANARY}");
    let further = values.iter().map(|text| {
        let request = but(|request| drop(request.headers.insert("X-Amz-Meta-Name".into(), value(text))));
        invalid(request, "HEADER_INVALID", "headers", message)
    });
    let put = pb::PutObject { content_type: value("\n"), ..Default::default() };
    let own = invalid(
        request("key", Operation::PutObject(put)),
        "HEADER_INVALID",
        "operation",
        &message.replace("x-amz-meta-name", "content-type"),
    );
    check(further.chain([own]).collect()).await;
}

#[tokio::test]
async fn an_invalid_header_name_is_refused() {
    let row = |name: &str| {
        let message = format!("{name:?} is not a header name: use only letters, digits and !#$%&'*+-.^_`|~");
        invalid(header(name), "HEADER_INVALID", "headers", &message)
    };
    check(["x amz", "", "x:y", "x\r\ny", "x-ü", "x(y)"].map(row).into()).await;
}

#[tokio::test]
async fn a_reserved_header_is_refused_in_any_case() {
    let url = "presignd adds it to the query of the URL";
    let way = "it may change on the way to S3, which would break the signature";
    let row = |(name, why): (&str, &str)| {
        let message = format!("header {} cannot be set: {why}", name.to_lowercase());
        invalid(header(name), "HEADER_INVALID", "headers", &message)
    };
    let rows = [
        ("host", "it is always signed, with the host of the URL"),
        ("Host", "it is always signed, with the host of the URL"),
        ("authorization", "the query of the URL carries the authentication"),
        ("x-amz-date", url),
        ("X-Amz-Date", url),
        ("x-amz-security-token", url),
        ("X-Amz-S3session-Token", url),
        ("x-amz-content-sha256", "presigned URLs are signed with UNSIGNED-PAYLOAD"),
        ("connection", way),
        ("keep-alive", way),
        ("proxy-authenticate", way),
        ("proxy-authorization", way),
        ("proxy-connection", way),
        ("te", way),
        ("trailer", way),
        ("Transfer-Encoding", way),
        ("upgrade", way),
        ("x_amz_security_token", url),
        ("Transfer_Encoding", way),
    ];
    check(rows.map(row).into()).await;
}

#[tokio::test]
async fn a_duplicate_header_or_query_parameter_is_refused() {
    let mut own = request(
        "key",
        Operation::PutObject(pb::PutObject { content_type: "text/plain".into(), ..Default::default() }),
    );
    own.headers.insert("Content-Type".to_owned(), "text/plain".to_owned());
    let cases = but(|request| {
        request.headers.insert("X-Amz-Meta-A".to_owned(), "1".to_owned());
        request.headers.insert("x-amz-meta-a".to_owned(), "1".to_owned());
    });
    let mut version =
        request("key", Operation::GetObject(pb::GetObject { version_id: "v1".into(), ..Default::default() }));
    version.query.insert("versionId".to_owned(), "v1".to_owned());
    let metadata = [("Name", "1"), ("name", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let metadata = Operation::PutObject(pb::PutObject { metadata: metadata.into(), ..Default::default() });
    let twice =
        |name: &str| format!("header {name} is given twice: set it once, in the operation or in headers");
    check(vec![
        invalid(own, "HEADER_INVALID", "headers", &twice("content-type")),
        invalid(cases, "HEADER_INVALID", "headers", &twice("x-amz-meta-a")),
        invalid(request("key", metadata), "HEADER_INVALID", "operation", &twice("x-amz-meta-name")),
        invalid(
            version,
            "QUERY_INVALID",
            "query",
            "query parameter versionId is given twice: set it once, in the operation or in query",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_authentication_parameter_is_refused_in_any_case() {
    let names = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "x-amz-expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-AMZ-SIGNATURE",
        "X-Amz-Security-Token",
        "X-Amz-S3session-Token",
        "X-Amz-Region-Set",
        "X-Amz-Content-Sha256",
        "AWSAccessKeyId",
        "Signature",
        "Expires",
    ];
    let row = |name: &str| {
        let message = format!(
            "query parameter {name} cannot be set: it is reserved for authentication, which presignd adds"
        );
        invalid(query(name), "QUERY_INVALID", "query", &message)
    };
    let nameless =
        invalid(query(""), "QUERY_INVALID", "query", "a query parameter has an empty name: give it a name");
    check(names.map(row).into_iter().chain([nameless]).collect()).await;
}

#[tokio::test]
async fn a_sub_resource_that_changes_the_operation_is_refused() {
    let chooses = |name: &str| {
        format!("{name} would change the operation: use the operation that has this parameter, or http")
    };
    let smuggled =
        |request, field: &str, name: &str| invalid(request, "PARAMETER_INVALID", field, &chooses(name));
    let in_query = |name: &str| smuggled(query(name), "query", name);
    let put = |name: &str| {
        let mut put = request("key", Operation::PutObject(pb::PutObject::default()));
        put.headers.insert(name.to_owned(), "/other-bucket/secret".to_owned());
        put
    };
    let mut rows: Vec<Row> =
        ["acl", "tagging", "uploadId", "torrent", "retention", "list-type", "attributes"]
            .map(in_query)
            .into();
    rows.push(smuggled(put("x-amz-copy-source"), "headers", "x-amz-copy-source"));
    rows.push(smuggled(put("X-Amz-Copy-Source"), "headers", "x-amz-copy-source"));
    rows.push(smuggled(put("x-amz-rename-source"), "headers", "x-amz-rename-source"));
    rows.push(smuggled(put("x_amz_copy_source"), "headers", "x_amz_copy_source"));
    rows.push(smuggled(put("X_Amz-Copy_Source"), "headers", "x_amz-copy_source"));
    check(rows).await;
}
