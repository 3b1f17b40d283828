//! The limits that no setting changes: what is listed is accepted, and one more is not.

use std::collections::BTreeMap;

use presignd::pb;
use tonic::Code;

use super::markdown::{plain, rows};
use crate::support::{grpc::get, sidecar::Sidecar};

/// A request with so much of what the row names.
fn request_with(limit: &str, amount: usize) -> pb::PresignRequest {
    let entries = |count: usize| -> BTreeMap<String, String> {
        (0..count).map(|number| (format!("name-{number}"), "value".to_owned())).collect()
    };
    let one = |length: usize| BTreeMap::from([("name".to_owned(), "v".repeat(length))]);
    let request = get("key");
    match limit {
        "headers in a request" => pb::PresignRequest { headers: entries(amount), ..request },
        "query parameters in a request" => pb::PresignRequest { query: entries(amount), ..request },
        "bytes of a header's value" => pb::PresignRequest { headers: one(amount), ..request },
        "bytes of a query parameter's value" => pb::PresignRequest { query: one(amount), ..request },
        "bytes of a key" => get(&"k".repeat(amount)),
        other => panic!("the tests know no limit {other:?}"),
    }
}

#[tokio::test]
async fn each_fixed_limit_is_the_one_that_is_listed() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let listed = rows("fixed limit");
    assert_eq!(listed.len(), 5);
    for row in listed {
        let limit = &row.cells["fixed limit"];
        let amount: usize = plain(&row.cells["most"]).replace(',', "").parse().unwrap();
        client
            .presign(request_with(limit, amount))
            .await
            .unwrap_or_else(|status| panic!("{}: {status}", row.at));
        let refused = client.presign(request_with(limit, amount + 1)).await.err();
        assert_eq!(refused.map(|status| status.code()), Some(Code::InvalidArgument), "{}", row.at);
    }
}
