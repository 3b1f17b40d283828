//! Forms: what the policy allows is stored, and nothing else is.

use std::{collections::BTreeMap, time::Duration};

use presignd::pb::{
    ContentLengthRange, HeadObject, PresignPostRequest, PresignPostResponse, presign_request::Operation,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Caller;
use crate::support::{
    grpc::seconds,
    http::{Answer, Request},
    s3::{LISTED_BUCKETS, PLAIN_BUCKET, Server},
    sidecar::PATIENCE,
};

impl Caller {
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
async fn ministack_stores_what_a_form_allows_and_refuses_the_rest() {
    for caller in [Caller::of(Server::ministack()).await, Caller::by_path(Server::ministack()).await] {
        check(&caller).await;
    }
}

#[tokio::test]
async fn seaweedfs_stores_what_a_form_allows_and_refuses_the_rest() {
    for caller in [Caller::of(Server::seaweedfs()).await, Caller::by_path(Server::seaweedfs()).await] {
        check(&caller).await;
    }
}

async fn check(caller: &Caller) {
    whole_forms(caller).await;
    bounds(caller).await;
    changes(caller).await;
    expires(caller).await;
}

/// A form with everything in it, and one with odd characters; the name of the file ends the key.
async fn whole_forms(caller: &Caller) {
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
    let kept = ["content-type", "cache-control", "x-amz-meta-owner", "x-amz-meta-free"];
    assert_eq!(kept.map(|name| head.header(name)), ["image/jpeg", "max-age=60", "me & \"you\"", "any"]);

    for key in ["plain", "a space/ü 😀 'q' \"d\" $ + %41 &=?#;"] {
        let key = format!("post/{key}");
        let form = caller.form(PresignPostRequest { key: key.clone(), ..Default::default() }).await;
        let stored = caller.upload(&form.url, &form.fields, key.as_bytes()).await;
        assert_eq!(stored.verdict(), "204", "{} {key}: {}", caller.server.name, stored.text());
        assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), key);
    }
}

async fn bounds(caller: &Caller) {
    let form = caller
        .form(PresignPostRequest {
            key: "post/bounds".to_owned(),
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
    assert_eq!(caller.get(PLAIN_BUCKET, "post/bounds").await.text(), "xxxx");
}

type Change = fn(&mut BTreeMap<String, String>);

const SIGNED_KEY: &str = "post/changes/in/";

/// What is changed in a form, how, and what ministack and `SeaweedFS` say.
const CHANGES: &[(&str, Change, [&str; 2])] = &[
    ("another key", |fields| set(fields, "key", "post/changes/out"), [DENIED; 2]),
    ("a field's other value", |fields| set(fields, "Content-Type", "text/html"), [DENIED; 2]),
    ("a field left out", |fields| drop(fields.remove("Content-Type")), [DENIED; 2]),
    ("a value that starts otherwise", |fields| set(fields, "x-amz-meta-tag", "bird"), [DENIED; 2]),
    ("a field more", |fields| set(fields, "x-amz-meta-more", "x"), [DENIED; 2]),
    ("a longer life", longer_life, [MISMATCH; 2]),
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

/// The same policy with a later end.
fn longer_life(fields: &mut BTreeMap<String, String>) {
    // `{"expiration": "20` is 18 characters: the year's last two digits lie in one group of four.
    let policy = fields["policy"].clone();
    let (head, rest) = policy.split_at(24);
    let (digits, tail) = rest.split_at(4);
    assert_ne!(digits, "OTkt");
    set(fields, "policy", &format!("{head}OTkt{tail}"));
}

async fn changes(caller: &Caller) {
    let form = caller
        .form(PresignPostRequest {
            key: format!("{SIGNED_KEY}${{filename}}"),
            fields: map(&[("Content-Type", "image/jpeg")]),
            starts_with: map(&[("x-amz-meta-tag", "cat")]),
            ..Default::default()
        })
        .await;
    let mut good = form.fields;
    set(&mut good, "x-amz-meta-tag", "cats");
    assert_eq!(caller.upload(&form.url, &good, b"good").await.verdict(), "204");
    let server = caller.server.name;
    let of_server = usize::from(server == "seaweedfs");
    for (what, change, verdicts) in CHANGES {
        let mut fields = good.clone();
        change(&mut fields);
        assert_ne!(fields, good, "{what} changes nothing");
        let answer = caller.upload(&form.url, &fields, b"bad").await;
        assert_eq!(answer.verdict(), verdicts[of_server], "{server}: {what}");
    }
    let url = form.url.replace(PLAIN_BUCKET, LISTED_BUCKETS[1]);
    assert_eq!(caller.upload(&url, &good, b"bad").await.verdict(), DENIED, "{server}: another bucket");
    assert_eq!(caller.get(PLAIN_BUCKET, &format!("{SIGNED_KEY}cat.jpg")).await.text(), "good");
}

/// A form for one second works until the server says that it is over, and never again.
async fn expires(caller: &Caller) {
    let form = PresignPostRequest {
        key: "post/brief".to_owned(),
        expires_in: Some(seconds(1)),
        ..Default::default()
    };
    let form = caller.form(form).await;
    let over = async {
        // Only the server's answer tells that the time is over; the pace spares it.
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
    let verdict = timeout(PATIENCE, over).await.expect("a form for one second is refused in time");
    assert_eq!(verdict, DENIED, "{}", caller.server.name);
    assert_eq!(caller.upload(&form.url, &form.fields, b"brief").await.verdict(), DENIED);
}
