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
    s3::{PLAIN_BUCKET, Server},
    sidecar::PATIENCE,
};

impl Caller {
    async fn form(&self, form: PresignPostRequest) -> PresignPostResponse {
        let form = PresignPostRequest { bucket: PLAIN_BUCKET.to_owned(), ..form };
        let mut client = self.client.clone();
        let answer = Box::pin(client.presign_post(form)).await;
        answer.unwrap_or_else(|status| panic!("{}", status.message())).into_inner()
    }

    /// Sends the form with a file named `cat.jpg`.
    async fn upload(&self, url: &str, fields: &BTreeMap<String, String>, file: &[u8]) -> Answer {
        Request::form(url, fields, "cat.jpg", file).send(self.server.port).await
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn ministack_stores_what_a_form_allows_and_refuses_the_rest() {
    for caller in [Caller::of(Server::ministack()).await, Caller::by_path(Server::ministack()).await] {
        check(&caller, "post").await;
    }
}

#[tokio::test]
async fn seaweedfs_stores_what_a_form_allows_and_refuses_the_rest() {
    for caller in [Caller::of(Server::seaweedfs()).await, Caller::by_path(Server::seaweedfs()).await] {
        check(&caller, "post").await;
    }
}

async fn check(caller: &Caller, folder: &str) {
    whole_forms(caller, folder).await;
    bounds(caller, folder).await;
    changes(caller, folder).await;
    expires(caller, folder).await;
}

/// A form with everything in it, and one with odd characters; the name of the file ends the key.
async fn whole_forms(caller: &Caller, folder: &str) {
    let form = caller
        .form(PresignPostRequest {
            key: format!("{folder}/user/${{filename}}"),
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
    let key = format!("{folder}/user/cat.jpg");
    assert_eq!(stored.element("Key"), key);
    assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), "a cat");
    let head = caller.send(PLAIN_BUCKET, &key, Operation::HeadObject(HeadObject::default()), "").await;
    let kept = ["content-type", "cache-control", "x-amz-meta-owner", "x-amz-meta-free"];
    assert_eq!(kept.map(|name| head.header(name)), ["image/jpeg", "max-age=60", "me & \"you\"", "any"]);

    for key in ["plain", "a space/ü 😀 'q' \"d\" $ + %41 &=?#;"] {
        let key = format!("{folder}/{key}");
        let form = caller.form(PresignPostRequest { key: key.clone(), ..Default::default() }).await;
        let stored = caller.upload(&form.url, &form.fields, key.as_bytes()).await;
        assert_eq!(stored.verdict(), "204", "{} {key}: {}", caller.server.name, stored.text());
        assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), key);
    }
}

async fn bounds(caller: &Caller, folder: &str) {
    let form = caller
        .form(PresignPostRequest {
            key: format!("{folder}/bounds"),
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
    assert_eq!(caller.get(PLAIN_BUCKET, &format!("{folder}/bounds")).await.text(), "xxxx");
}

type Change = fn(&mut BTreeMap<String, String>);

const SIGNED_KEY: &str = "changes/in/";

/// What is changed in a form, and how.
const CHANGES: &[(&str, Change)] = &[
    ("another key", |fields| set(fields, "key", "changes/out")),
    ("a field's other value", |fields| set(fields, "Content-Type", "text/html")),
    ("a field left out", |fields| drop(fields.remove("Content-Type"))),
    ("a value that starts otherwise", |fields| set(fields, "x-amz-meta-tag", "bird")),
    ("metadata more", |fields| set(fields, "x-amz-meta-more", "x")),
    ("a longer life", longer_life),
    ("another signature", |fields| set(fields, "x-amz-signature", &"0".repeat(64))),
    ("another day", |fields| set(fields, "x-amz-date", "20130524T000000Z")),
    ("another access key", |fields| {
        let credential = fields["x-amz-credential"].replacen("AKIA", "AKIB", 1);
        set(fields, "x-amz-credential", &credential);
    }),
    ("no policy", |fields| drop(fields.remove("policy"))),
];

fn set(fields: &mut BTreeMap<String, String>, name: &str, value: &str) {
    fields.insert(name.to_owned(), value.to_owned());
}

/// The same policy with a later end.
fn longer_life(fields: &mut BTreeMap<String, String>) {
    // `{"expiration": "20` is 19 characters: the year's last two digits lie in one group of four.
    let policy = fields["policy"].clone();
    let (head, rest) = policy.split_at(24);
    let (digits, tail) = rest.split_at(4);
    assert_ne!(digits, "OTkt");
    set(fields, "policy", &format!("{head}OTkt{tail}"));
}

async fn changes(caller: &Caller, folder: &str) {
    let form = caller
        .form(PresignPostRequest {
            key: format!("{folder}/{SIGNED_KEY}${{filename}}"),
            fields: map(&[("Content-Type", "image/jpeg")]),
            starts_with: map(&[("x-amz-meta-tag", "cat")]),
            ..Default::default()
        })
        .await;
    let mut good = form.fields;
    set(&mut good, "x-amz-meta-tag", "cats");
    assert_eq!(caller.upload(&form.url, &good, b"good").await.verdict(), "204");
    for (what, change) in CHANGES {
        let mut fields = good.clone();
        change(&mut fields);
        assert_ne!(fields, good, "{what} changes nothing");
        let answer = caller.upload(&form.url, &fields, b"bad").await;
        assert!(!answer.status.is_success(), "{} takes {what}: {}", caller.server.name, answer.verdict());
        eprintln!("{} {what}: {}", caller.server.name, answer.verdict());
    }
    let url = form.url.replace(PLAIN_BUCKET, "listed-by-host");
    let answer = caller.upload(&url, &good, b"bad").await;
    assert!(!answer.status.is_success(), "{} takes another bucket: {}", caller.server.name, answer.verdict());
    assert_eq!(caller.get(PLAIN_BUCKET, &format!("{folder}/{SIGNED_KEY}cat.jpg")).await.text(), "good");
}

/// A form for one second works until the server says that it is over, and never again.
async fn expires(caller: &Caller, folder: &str) {
    let form = PresignPostRequest {
        key: format!("{folder}/brief"),
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
    assert_ne!(verdict, "204");
    eprintln!("{} expired: {verdict}", caller.server.name);
    assert_eq!(caller.upload(&form.url, &form.fields, b"brief").await.verdict(), verdict);
}
