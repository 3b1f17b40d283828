//! Forms: the server stores what the policy allows, and rejects everything else.

use std::{collections::BTreeMap, time::Duration};

use presignd::pb::{
    ContentLengthRange, HeadObject, PresignPostRequest, PresignPostResponse, presign_request::Operation,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::RoundTrip;
use crate::support::{
    grpc::seconds,
    http::{Answer, Request},
    s3::{LISTED_BUCKETS, PLAIN_BUCKET, Server},
    sidecar::PATIENCE,
};

impl RoundTrip {
    pub(super) async fn form(&self, form: PresignPostRequest) -> PresignPostResponse {
        let form = PresignPostRequest { bucket: PLAIN_BUCKET.to_owned(), ..form };
        let mut client = self.client.clone();
        let answer = Box::pin(client.presign_post(form)).await;
        answer.unwrap_or_else(|status| panic!("{}", status.message())).into_inner()
    }

    /// Sends the form with a file named `cat.jpg`.
    pub(super) async fn upload(&self, url: &str, fields: &BTreeMap<String, String>, file: &[u8]) -> Answer {
        Request::form(url, fields, "cat.jpg", file).send(self.server.port).await
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn ministack_accepts_only_what_a_form_allows() {
    for caller in [
        RoundTrip::start(Server::ministack()).await,
        RoundTrip::start_with_path_style(Server::ministack()).await,
    ] {
        check(&caller).await;
    }
}

#[tokio::test]
async fn seaweedfs_accepts_only_what_a_form_allows() {
    for caller in [
        RoundTrip::start(Server::seaweedfs()).await,
        RoundTrip::start_with_path_style(Server::seaweedfs()).await,
    ] {
        check(&caller).await;
    }
}

async fn check(caller: &RoundTrip) {
    check_complete_forms(caller).await;
    check_size_limits(caller).await;
    check_changes(caller).await;
    check_expiry(caller).await;
}

/// A form with all kinds of conditions, whose key ends with the file name; and forms with special characters in the
/// key.
async fn check_complete_forms(caller: &RoundTrip) {
    let form = caller
        .form(PresignPostRequest {
            key: "post/user/${filename}".to_owned(),
            fields: map(&[
                ("Content-Type", "image/jpeg"),
                ("x-amz-meta-owner", "me & \"you\""),
                ("success_action_status", "201"),
            ]),
            starts_with: map(&[("Cache-Control", "max-age="), ("x-amz-meta-free", "")]),
            content_length_range: Some(ContentLengthRange { min: 1, max: 10 }),
            ..Default::default()
        })
        .await;
    let mut fields = form.fields;
    fields.extend(map(&[("Cache-Control", "max-age=60"), ("x-amz-meta-free", "any")]));
    let stored = caller.upload(&form.url, &fields, b"a cat").await;
    assert_eq!(stored.verdict(), "201", "{}: {}", caller.server.name, stored.text());
    let key = "post/user/cat.jpg";
    assert_eq!(stored.element("Key"), key);
    assert_eq!(caller.get(PLAIN_BUCKET, key).await.text(), "a cat");
    let head = caller.send(PLAIN_BUCKET, key, Operation::HeadObject(HeadObject::default()), "").await;
    let stored_headers = ["content-type", "cache-control", "x-amz-meta-owner", "x-amz-meta-free"];
    assert_eq!(
        stored_headers.map(|name| head.header(name)),
        ["image/jpeg", "max-age=60", "me & \"you\"", "any"]
    );

    for key in ["plain", "a space/ü 😀 'q' \"d\" $ + %41 &=?#;"] {
        let key = format!("post/{key}");
        let form = caller.form(PresignPostRequest { key: key.clone(), ..Default::default() }).await;
        let stored = caller.upload(&form.url, &form.fields, key.as_bytes()).await;
        assert_eq!(stored.verdict(), "204", "{} {key}: {}", caller.server.name, stored.text());
        assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), key);
    }
}

async fn check_size_limits(caller: &RoundTrip) {
    let form = caller
        .form(PresignPostRequest {
            key: "post/limits".to_owned(),
            content_length_range: Some(ContentLengthRange { min: 2, max: 4 }),
            ..Default::default()
        })
        .await;
    for (bytes, verdict) in [
        (1, "400 EntityTooSmall"),
        (2, "204"),
        (4, "204"),
        (5, "400 EntityTooLarge"),
        (0, "400 EntityTooSmall"),
    ] {
        let answer = caller.upload(&form.url, &form.fields, &vec![b'x'; bytes]).await;
        assert_eq!(answer.verdict(), verdict, "{} {bytes}", caller.server.name);
    }
    assert_eq!(caller.get(PLAIN_BUCKET, "post/limits").await.text(), "xxxx");
}

type FormChange = fn(&mut BTreeMap<String, String>);

const SIGNED_KEY: &str = "post/changes/in/";

/// A description, a change to a form, and the errors of ministack and `SeaweedFS`.
const CHANGES: &[(&str, FormChange, [&str; 2])] = &[
    ("another key", |fields| set(fields, "key", "post/changes/out"), [DENIED; 2]),
    ("another value of a field", |fields| set(fields, "Content-Type", "text/html"), [DENIED; 2]),
    ("a missing field", |fields| drop(fields.remove("Content-Type")), [DENIED; 2]),
    ("a value with another prefix", |fields| set(fields, "x-amz-meta-tag", "bird"), [DENIED; 2]),
    ("an additional field", |fields| set(fields, "x-amz-meta-more", "x"), [DENIED; 2]),
    ("a longer lifetime", longer_lifetime, [MISMATCH; 2]),
    ("another signature", |fields| set(fields, "x-amz-signature", &"0".repeat(64)), [MISMATCH; 2]),
    ("another day", |fields| set(fields, "x-amz-date", "20130524T000000Z"), [INVALID, DENIED]),
    ("another access key", another_access_key, ["403 InvalidAccessKeyId"; 2]),
    ("no policy", |fields| drop(fields.remove("policy")), [INVALID, MISMATCH]),
];

const DENIED: &str = "403 AccessDenied";
const MISMATCH: &str = "403 SignatureDoesNotMatch";
const INVALID: &str = "400 InvalidArgument";

fn set(fields: &mut BTreeMap<String, String>, name: &str, value: &str) {
    fields.insert(name.to_owned(), value.to_owned());
}

fn another_access_key(fields: &mut BTreeMap<String, String>) {
    let credential = fields["x-amz-credential"].replacen("AKIA", "AKIB", 1);
    set(fields, "x-amz-credential", &credential);
}

/// The same policy with a later expiration.
fn longer_lifetime(fields: &mut BTreeMap<String, String>) {
    // `{"expiration": "20` has 18 characters, so the last two digits of the year are in one Base64 group of four.
    let policy = fields["policy"].clone();
    let (head, rest) = policy.split_at(24);
    let (digits, tail) = rest.split_at(4);
    assert_ne!(digits, "OTkt");
    set(fields, "policy", &format!("{head}OTkt{tail}"));
}

async fn check_changes(caller: &RoundTrip) {
    let form = caller
        .form(PresignPostRequest {
            key: format!("{SIGNED_KEY}${{filename}}"),
            fields: map(&[("Content-Type", "image/jpeg")]),
            starts_with: map(&[("x-amz-meta-tag", "cat")]),
            ..Default::default()
        })
        .await;
    let mut valid = form.fields;
    set(&mut valid, "x-amz-meta-tag", "cats");
    assert_eq!(caller.upload(&form.url, &valid, b"valid").await.verdict(), "204");
    let server = caller.server.name;
    let index = usize::from(server == "seaweedfs");
    for (what, change, verdicts) in CHANGES {
        let mut fields = valid.clone();
        change(&mut fields);
        assert_ne!(fields, valid, "{what} changes nothing");
        let answer = caller.upload(&form.url, &fields, b"invalid").await;
        assert_eq!(answer.verdict(), verdicts[index], "{server}: {what}");
    }
    let url = form.url.replace(PLAIN_BUCKET, LISTED_BUCKETS[1]);
    assert_eq!(caller.upload(&url, &valid, b"invalid").await.verdict(), DENIED, "{server}: another bucket");
    assert_eq!(caller.get(PLAIN_BUCKET, &format!("{SIGNED_KEY}cat.jpg")).await.text(), "valid");
}

/// A form with a lifetime of one second works until the server rejects it as expired, and never again.
async fn check_expiry(caller: &RoundTrip) {
    let form = PresignPostRequest {
        key: "post/brief".to_owned(),
        expires_in: Some(seconds(1)),
        ..Default::default()
    };
    let form = caller.form(form).await;
    let until_expired = async {
        // Only the response of the server shows that the form has expired. The interval limits the load.
        let mut pace = interval(Duration::from_millis(100));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            match caller.upload(&form.url, &form.fields, b"brief").await.verdict() {
                verdict if verdict == "204" => {}
                verdict => break verdict,
            }
        }
    };
    let verdict = timeout(PATIENCE, until_expired).await.expect("the form is rejected in time");
    assert_eq!(verdict, DENIED, "{}", caller.server.name);
    assert_eq!(caller.upload(&form.url, &form.fields, b"brief").await.verdict(), DENIED);
}
