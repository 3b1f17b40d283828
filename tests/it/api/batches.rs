//! `BatchPresign`: a result for each item, in a response that every client can receive.

use std::collections::{BTreeMap, BTreeSet};

use presignd::pb::{self, presign_request::Operation};
use prost::Message;
use tonic::Code;

use crate::support::{
    grpc::{
        GrpcError, RawConnection, batch, error_of, get, metadata, parameter, presigned, put, refused,
        request, results, seconds, url_of,
    },
    scrape::Scrape,
    sidecar::Sidecar,
};

/// The default receive limit of gRPC clients.
const FOUR_MIB: usize = 4 * 1024 * 1024;

fn keys(count: usize) -> Vec<pb::PresignRequest> {
    (0..count).map(|number| get(&format!("key-{number}"))).collect()
}

/// A short batch whose results have 5 KB of headers each, which the defaults contain once.
pub fn large_results(count: usize) -> pb::BatchPresignRequest {
    let metadata = BTreeMap::from([("bulk".to_owned(), "x".repeat(5_000))]);
    let defaults = request("", Operation::PutObject(pb::PutObject { metadata, ..Default::default() }));
    let requests =
        (0..count).map(|number| pb::PresignRequest { key: format!("key-{number}"), ..Default::default() });
    pb::BatchPresignRequest { requests: requests.collect(), defaults: Some(defaults), all_or_nothing: false }
}

#[tokio::test]
async fn a_batch_can_have_1_to_1000_items() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    for count in [1, 1_000] {
        let results = results(client.batch_presign(batch(keys(count))).await);
        assert_eq!(results.len(), count);
        for (number, result) in results.iter().enumerate() {
            assert!(url_of(result).url.contains(&format!("/key-{number}?")), "{number}");
        }
    }
    let status = refused(client.batch_presign(batch(Vec::new())).await);
    let invalid = |reason, message| GrpcError::new(Code::InvalidArgument, reason, Some("requests"), message);
    assert_eq!(GrpcError::of(&status), invalid("BATCH_EMPTY", "requests is empty: send 1 to 1000 requests"));
    let status = refused(client.batch_presign(batch(keys(1_001))).await);
    let message = "requests has 1001 requests, but at most 1000 are allowed (limits.batch_items): \
                   split the batch or use StreamPresign";
    assert_eq!(GrpcError::of(&status), invalid("BATCH_TOO_LARGE", message));
    let expected =
        [("items", "1001"), ("limit", "1000")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(metadata(&status), expected.into());
}

#[tokio::test]
async fn a_batch_over_the_configured_limit_names_it() {
    let sidecar = Sidecar::start(&["--limits-batch-items", "2"]).await;
    let mut client = sidecar.client().await;
    assert_eq!(results(client.batch_presign(batch(keys(2))).await).len(), 2);
    let status = refused(client.batch_presign(batch(keys(3))).await);
    assert!(status.message().contains("at most 2 are allowed"), "{status}");
}

#[tokio::test]
async fn a_failed_item_has_the_error_of_a_single_call() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let unknown = pb::PresignRequest { signer: "partner".to_owned(), ..get("b") };
    let items = vec![get("a"), get(""), put("c"), unknown, get("e")];
    let results = results(client.batch_presign(batch(items.clone())).await);
    assert_eq!(results.len(), 5);
    for good in [0, 2, 4] {
        let path = format!("/{}?", items[good].key);
        assert!(url_of(&results[good]).url.contains(&path), "the results are in order");
    }
    for bad in [1, 3] {
        let alone = refused(client.presign(items[bad].clone()).await);
        let item = error_of(&results[bad]);
        assert_eq!(GrpcError::of(&item), GrpcError::of(&alone));
        assert_eq!(metadata(&item), metadata(&alone));
    }
}

#[tokio::test]
async fn items_override_defaults_and_maps_are_merged() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let typed = pb::PutObject { content_type: "text/plain".to_owned(), ..Default::default() };
    let defaults = pb::PresignRequest {
        expires_in: Some(seconds(60)),
        headers: map(&[("x-amz-meta-a", "default"), ("x-amz-meta-b", "default")]),
        query: map(&[("x-id", "default")]),
        ..request("default-key", Operation::PutObject(typed))
    };
    let own = pb::PresignRequest {
        bucket: "other-bucket".to_owned(),
        expires_in: Some(seconds(30)),
        headers: map(&[("x-amz-meta-a", "own"), ("x-amz-meta-c", "own")]),
        query: map(&[("x-id", "own")]),
        ..get("own-key")
    };
    let request = pb::BatchPresignRequest {
        requests: vec![pb::PresignRequest::default(), own],
        defaults: Some(defaults),
        all_or_nothing: false,
    };
    let results = results(client.batch_presign(request).await);
    let (plain, own) = (url_of(&results[0]), url_of(&results[1]));
    assert!(plain.url.starts_with("https://plain-bucket.s3.us-east-1.amazonaws.com/default-key?"));
    assert!(own.url.starts_with("https://other-bucket.s3.us-east-1.amazonaws.com/own-key?"));
    assert_eq!((plain.method.as_str(), own.method.as_str()), ("PUT", "GET"));
    assert_eq!((plain.granted.unwrap().seconds, own.granted.unwrap().seconds), (60, 30));
    let common = [("x-amz-meta-a", "default"), ("x-amz-meta-b", "default")];
    assert_eq!(plain.headers, map(&[&common[..], &[("content-type", "text/plain")]].concat()));
    // The operation of the defaults is replaced as a whole, with its content type.
    assert_eq!(
        own.headers,
        map(&[("x-amz-meta-a", "own"), ("x-amz-meta-b", "default"), ("x-amz-meta-c", "own")])
    );
    assert_eq!((parameter(&plain.url, "x-id"), parameter(&own.url, "x-id")), ("default", "own"));
}

#[tokio::test]
async fn header_names_are_merged_without_regard_to_case() {
    let sidecar = Sidecar::start(&[]).await;
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let request = pb::BatchPresignRequest {
        requests: vec![pb::PresignRequest { headers: header("x-amz-meta-a", "own"), ..get("key") }],
        defaults: Some(pb::PresignRequest {
            headers: header("X-Amz-Meta-A", "default"),
            ..Default::default()
        }),
        all_or_nothing: false,
    };
    let results = results(sidecar.client().await.batch_presign(request).await);
    assert_eq!(url_of(&results[0]).headers, header("x-amz-meta-a", "own"));
}

#[tokio::test]
async fn all_or_nothing_fails_with_the_first_failed_item() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let together = |requests| pb::BatchPresignRequest { all_or_nothing: true, ..batch(requests) };
    let unknown = pb::PresignRequest { signer: "partner".to_owned(), ..get("d") };
    let status =
        refused(client.batch_presign(together(vec![get("a"), get("b"), get(""), unknown.clone()])).await);
    let message = "requests[2] failed, and all_or_nothing fails the whole batch: \
        key is empty: GetObject needs an object key";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::InvalidArgument, "KEY_INVALID", Some("requests[2].key"), message)
    );
    assert_eq!(metadata(&status), [("index".to_owned(), "2".to_owned())].into());
    let status = refused(client.batch_presign(together(vec![get("a"), unknown])).await);
    assert_eq!((status.code(), metadata(&status)["index"].as_str()), (Code::NotFound, "1"));
    assert_eq!(results(client.batch_presign(together(keys(3))).await).len(), 3);
}

#[tokio::test]
async fn a_response_over_4_mib_names_how_many_fit() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let status = refused(client.batch_presign(large_results(1_000)).await);
    let details = metadata(&status);
    let fits: usize = details["fits"].parse().unwrap();
    let message = format!(
        "the response would exceed 4194304 bytes, the default receive limit of gRPC clients: \
         only the first {fits} of the 1000 requests fit; send fewer at once or use StreamPresign"
    );
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::ResourceExhausted, "ANSWER_TOO_LARGE", None, &message)
    );
    assert_eq!(
        (details["items"].as_str(), details["limit_bytes"].as_str(), details.len()),
        ("1000", "4194304", 3)
    );

    let answer = client
        .batch_presign(large_results(fits))
        .await
        .unwrap_or_else(|status| panic!("{status}"))
        .into_inner();
    assert_eq!(answer.results.len(), fits);
    assert!(answer.encoded_len() <= FOUR_MIB);
    let status = refused(client.batch_presign(large_results(fits + 1)).await);
    assert_eq!(metadata(&status)["fits"], fits.to_string(), "one more does not fit");
}

/// A request whose URL alone exceeds 4 MiB, because percent-encoding triples its parameters.
fn too_long() -> pb::PresignRequest {
    let query = (0..100).map(|number| (format!("{number:/>8000}"), "/".repeat(8_000)));
    pb::PresignRequest { query: query.collect(), ..get("too-long") }
}

#[tokio::test]
async fn a_result_over_4_mib_fails_alone() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let message = "the response to this request alone would exceed 4194304 bytes, the default receive limit of gRPC \
                   clients: sign fewer or shorter headers and query parameters";
    let expected = GrpcError::new(Code::ResourceExhausted, "RESULT_TOO_LARGE", None, message);
    assert_eq!(GrpcError::of(&refused(client.presign(too_long()).await)), expected);
    let results = results(client.batch_presign(batch(vec![get("a"), too_long(), get("b")])).await);
    assert_eq!(GrpcError::of(&error_of(&results[1])), expected);
    assert!(url_of(&results[0]).url.contains("/a?") && url_of(&results[2]).url.contains("/b?"));
}

#[tokio::test]
async fn callers_that_do_not_read_do_not_block_others() {
    let sidecar = Sidecar::start(&[]).await;
    // Each response has 4 MB and is never read. Together they exceed the response budget.
    let unread = RawConnection::connect(&sidecar.tcp).await;
    for _ in 0..12 {
        unread.send_without_reading("/presign.v1.PresignService/BatchPresign", &large_results(750)).await;
    }
    Scrape::wait_for(&sidecar, "presignd_batch_size_count", &[], 12.0).await;
    let mut client = sidecar.client().await;
    for _ in 0..3 {
        assert_eq!(results(client.batch_presign(large_results(750)).await).len(), 750);
        assert_eq!(results(client.batch_presign(batch(keys(40))).await).len(), 40);
        assert!(client.presign(get("one")).await.is_ok());
    }
}

#[tokio::test]
async fn all_items_of_a_batch_have_the_same_times() {
    let sidecar = Sidecar::start(&[]).await;
    let results = results(sidecar.client().await.batch_presign(batch(keys(1_000))).await);
    let of = |result| {
        let presigned = url_of(result);
        let (signed_at, expires_at) = (presigned.signed_at.unwrap(), presigned.expires_at.unwrap());
        (signed_at.seconds, expires_at.seconds, parameter(&presigned.url, "X-Amz-Date").to_owned())
    };
    assert_eq!(results.iter().map(of).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_counted() {
    let sidecar = Sidecar::start(&["--limits-message-bytes", "4096"]).await;
    let mut client = sidecar.client().await;
    let status = refused(client.batch_presign(batch(keys(500))).await);
    let message =
        "the request message exceeds 4096 bytes (limits.message_bytes): send fewer requests at once";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None, message)
    );
    assert_eq!(metadata(&status), [("limit_bytes".to_owned(), "4096".to_owned())].into());
    presigned(client.presign(get("key")).await);
    let rejected = Scrape::of(&sidecar).await.all("presignd_rejected_total", &["reason"]);
    assert_eq!(rejected, [(vec!["message_too_large".to_owned()], 1.0)].into());
}

#[tokio::test]
async fn http_can_be_the_default_operation() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let http = |method: &str| {
        let query = BTreeMap::from([("retention".to_owned(), String::new())]);
        request("", Operation::Http(pb::Http { method: method.to_owned(), query, ..Default::default() }))
    };
    let plain = |key: &str| pb::PresignRequest { key: key.to_owned(), ..Default::default() };
    let mut further = plain("b");
    further.query.insert("versionId".to_owned(), "v".to_owned());
    let items = vec![plain("a"), further, get("c"), plain("")];
    let call = pb::BatchPresignRequest { defaults: Some(http("PUT")), ..batch(items.clone()) };
    let answered = results(client.batch_presign(call).await);
    for (index, method, path, query) in [
        (0, "PUT", "/a?", "&retention=&"),
        (1, "PUT", "/b?", "&retention=&versionId=v&"),
        (2, "GET", "/c?", "X-Amz-SignedHeaders=host&X-Amz-Signature="),
        (3, "PUT", "/?", "&retention=&"),
    ] {
        let presigned = url_of(&answered[index]);
        assert_eq!(presigned.method, method, "item {index}");
        assert!(presigned.url.contains(path) && presigned.url.contains(query), "item {index}");
    }
    // An invalid default method fails only the items that use it.
    let call = pb::BatchPresignRequest { defaults: Some(http("put")), ..batch(items) };
    let answered = results(client.batch_presign(call).await);
    for wrong in [0, 1, 3] {
        let error = GrpcError::of(&error_of(&answered[wrong]));
        assert_eq!((error.reason.as_str(), error.field.as_deref()), ("METHOD_INVALID", Some("http.method")));
    }
    assert_eq!(url_of(&answered[2]).method, "GET");
}
