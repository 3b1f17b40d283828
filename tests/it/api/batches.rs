//! `BatchPresign`: an answer for each item, within what every client can receive.

use std::collections::{BTreeMap, BTreeSet};

use presignd::pb::{self, presign_request::Operation};
use prost::Message;
use tonic::Code;

use crate::support::{
    grpc::{
        Bare, Told, batch, error_of, get, metadata, parameter, presigned, put, refused, request, results,
        seconds, url_of,
    },
    scrape::Scrape,
    sidecar::Sidecar,
};

/// The default receive limit of gRPC clients.
const FOUR_MIB: usize = 4 * 1024 * 1024;

fn keys(count: usize) -> Vec<pb::PresignRequest> {
    (0..count).map(|number| get(&format!("key-{number}"))).collect()
}

/// Requests whose answers have 5 KB of headers each, although the request says so only once.
pub fn bulky(count: usize) -> pb::BatchPresignRequest {
    let metadata = BTreeMap::from([("bulk".to_owned(), "x".repeat(5_000))]);
    let defaults = request("", Operation::PutObject(pb::PutObject { metadata, ..Default::default() }));
    let requests =
        (0..count).map(|number| pb::PresignRequest { key: format!("key-{number}"), ..Default::default() });
    pb::BatchPresignRequest { requests: requests.collect(), defaults: Some(defaults), all_or_nothing: false }
}

#[tokio::test]
async fn a_batch_has_one_to_a_thousand_items() {
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
    let invalid = |reason, message| Told::new(Code::InvalidArgument, reason, Some("requests"), message);
    assert_eq!(Told::of(&status), invalid("BATCH_EMPTY", "requests is empty: send 1 to 1000 requests"));
    let status = refused(client.batch_presign(batch(keys(1_001))).await);
    let message = "requests has 1001 requests, but at most 1000 are allowed (limits.batch_items): \
                   split the batch or use StreamPresign";
    assert_eq!(Told::of(&status), invalid("BATCH_TOO_LARGE", message));
    let expected =
        [("items", "1001"), ("limit", "1000")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(metadata(&status), expected.into());
}

#[tokio::test]
async fn a_smaller_limit_of_the_server_is_named() {
    let sidecar = Sidecar::start(&["--limits-batch-items", "2"]).await;
    let mut client = sidecar.client().await;
    assert_eq!(results(client.batch_presign(batch(keys(2))).await).len(), 2);
    let status = refused(client.batch_presign(batch(keys(3))).await);
    assert!(status.message().contains("at most 2 are allowed"), "{status}");
}

#[tokio::test]
async fn an_item_that_fails_fails_alone_and_as_a_call_of_its_own_would() {
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
        assert_eq!(Told::of(&item), Told::of(&alone));
        assert_eq!(metadata(&item), metadata(&alone));
    }
}

#[tokio::test]
async fn what_an_item_sets_wins_over_the_defaults_and_maps_are_united() {
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
    // The default's operation is replaced as a whole: its content type is gone.
    assert_eq!(
        own.headers,
        map(&[("x-amz-meta-a", "own"), ("x-amz-meta-b", "default"), ("x-amz-meta-c", "own")])
    );
    assert_eq!((parameter(&plain.url, "x-id"), parameter(&own.url, "x-id")), ("default", "own"));
}

#[tokio::test]
async fn an_items_header_wins_over_the_defaults_in_whatever_case_it_is_written() {
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
async fn all_or_nothing_fails_with_the_first_item_and_names_it() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let together = |requests| pb::BatchPresignRequest { all_or_nothing: true, ..batch(requests) };
    let unknown = pb::PresignRequest { signer: "partner".to_owned(), ..get("d") };
    let status =
        refused(client.batch_presign(together(vec![get("a"), get("b"), get(""), unknown.clone()])).await);
    let message = "requests[2] failed, and all_or_nothing fails the whole batch: \
        key is empty: GetObject works on an object, so give its key";
    assert_eq!(
        Told::of(&status),
        Told::new(Code::InvalidArgument, "KEY_INVALID", Some("requests[2].key"), message)
    );
    assert_eq!(metadata(&status), [("index".to_owned(), "2".to_owned())].into());
    let status = refused(client.batch_presign(together(vec![get("a"), unknown])).await);
    assert_eq!((status.code(), metadata(&status)["index"].as_str()), (Code::NotFound, "1"));
    assert_eq!(results(client.batch_presign(together(keys(3))).await).len(), 3);
}

#[tokio::test]
async fn an_answer_over_four_mib_is_refused_and_says_how_many_fit() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let status = refused(client.batch_presign(bulky(1_000)).await);
    let told = metadata(&status);
    let fits: usize = told["fits"].parse().unwrap();
    let message = format!(
        "the response would exceed 4194304 bytes, the default receive limit of gRPC clients: \
         only the first {fits} of the 1000 requests fit; send fewer at once or use StreamPresign"
    );
    assert_eq!(Told::of(&status), Told::new(Code::ResourceExhausted, "ANSWER_TOO_LARGE", None, &message));
    assert_eq!((told["items"].as_str(), told["limit_bytes"].as_str(), told.len()), ("1000", "4194304", 3));

    let answer =
        client.batch_presign(bulky(fits)).await.unwrap_or_else(|status| panic!("{status}")).into_inner();
    assert_eq!(answer.results.len(), fits);
    assert!(answer.encoded_len() <= FOUR_MIB);
    let status = refused(client.batch_presign(bulky(fits + 1)).await);
    assert_eq!(metadata(&status)["fits"], fits.to_string(), "one more does not fit");
}

/// A request whose URL alone is longer than a client can receive: values that a URL writes three times as long.
fn too_long() -> pb::PresignRequest {
    let query = (0..100).map(|number| (format!("{number:/>8000}"), "/".repeat(8_000)));
    pb::PresignRequest { query: query.collect(), ..get("too-long") }
}

#[tokio::test]
async fn an_answer_that_no_client_could_receive_is_refused_and_fails_alone() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let message = "the response to this request alone would exceed 4194304 bytes, the default receive limit of gRPC \
                   clients: sign fewer or shorter headers and query parameters";
    let told = Told::new(Code::ResourceExhausted, "RESULT_TOO_LARGE", None, message);
    assert_eq!(Told::of(&refused(client.presign(too_long()).await)), told);
    let results = results(client.batch_presign(batch(vec![get("a"), too_long(), get("b")])).await);
    assert_eq!(Told::of(&error_of(&results[1])), told);
    assert!(url_of(&results[0]).url.contains("/a?") && url_of(&results[2]).url.contains("/b?"));
}

#[tokio::test]
async fn callers_who_do_not_read_their_batches_keep_nobody_from_signing() {
    let sidecar = Sidecar::start(&[]).await;
    // Each has an answer of 4 MB that it never takes: all the room there is, and as much again.
    let unread = Bare::connect(&sidecar.tcp).await;
    for _ in 0..12 {
        unread.send_without_reading("/presign.v1.PresignService/BatchPresign", &bulky(750)).await;
    }
    Scrape::until(&sidecar, "presignd_batch_size_count", &[], 12.0).await;
    let mut client = sidecar.client().await;
    for _ in 0..3 {
        assert_eq!(results(client.batch_presign(bulky(750)).await).len(), 750);
        assert_eq!(results(client.batch_presign(batch(keys(40))).await).len(), 40);
        assert!(client.presign(get("one")).await.is_ok());
    }
}

#[tokio::test]
async fn one_clock_reading_serves_a_whole_batch() {
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
async fn a_request_message_over_the_limit_is_refused_by_name_and_counted() {
    let sidecar = Sidecar::start(&["--limits-message-bytes", "4096"]).await;
    let mut client = sidecar.client().await;
    let status = refused(client.batch_presign(batch(keys(500))).await);
    let message =
        "the request message exceeds 4096 bytes (limits.message_bytes): send fewer requests at once";
    assert_eq!(Told::of(&status), Told::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None, message));
    assert_eq!(metadata(&status), [("limit_bytes".to_owned(), "4096".to_owned())].into());
    presigned(client.presign(get("key")).await);
    let rejected = Scrape::of(&sidecar).await.all("presignd_rejected_total", &["reason"]);
    assert_eq!(rejected, [(vec!["message_too_large".to_owned()], 1.0)].into());
}

#[tokio::test]
async fn a_call_by_its_method_is_a_default_like_any_other_operation() {
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
    for (place, method, path, query) in [
        (0, "PUT", "/a?", "&retention=&"),
        (1, "PUT", "/b?", "&retention=&versionId=v&"),
        (2, "GET", "/c?", "X-Amz-SignedHeaders=host&X-Amz-Signature="),
        (3, "PUT", "/?", "&retention=&"),
    ] {
        let presigned = url_of(&answered[place]);
        assert_eq!(presigned.method, method, "item {place}");
        assert!(presigned.url.contains(path) && presigned.url.contains(query), "item {place}");
    }
    // Its method is wrong for whoever uses it, and for nobody else.
    let call = pb::BatchPresignRequest { defaults: Some(http("put")), ..batch(items) };
    let answered = results(client.batch_presign(call).await);
    for wrong in [0, 1, 3] {
        let told = Told::of(&error_of(&answered[wrong]));
        assert_eq!((told.reason.as_str(), told.field.as_deref()), ("METHOD_INVALID", Some("http.method")));
    }
    assert_eq!(url_of(&answered[2]).method, "GET");
}
