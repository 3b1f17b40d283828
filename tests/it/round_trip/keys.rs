//! Object keys that other tools break: an object is read back with the key under which it was stored.

use std::collections::BTreeSet;

use presignd::pb::{GetObject, ListObjectsV2, PutObject, presign_request::Operation};

use super::RoundTrip;
use crate::support::s3::{LISTED_BUCKETS, Server};

/// The access point whose bucket is the first of `LISTED_BUCKETS`.
const LISTED_ARN: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/listed";

/// How a server stores an object with a certain key.
#[derive(Clone, Copy, PartialEq)]
enum StoredAs {
    /// Under this key.
    SameKey,
    /// Under another key, but it can be read with the original key.
    OtherKey(&'static str),
    /// Under another key and without its body.
    EmptyObject(&'static str),
    /// As an object with the name of the bucket, which cannot be read.
    BucketName,
    /// Not at all: the server answers with this status and code.
    Rejected(&'static str),
}

use StoredAs::{BucketName, EmptyObject, OtherKey, Rejected, SameKey};

/// The error of `SeaweedFS` for `.` and `..`: it stores objects as files, and the segments of a key are names of
/// folders.
const INVALID_SEGMENT: &str = "400 InvalidRequest";

/// The longest key of S3, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Each key, and how `SeaweedFS` stores it (`tests/python/s3_server.py`). ministack stores all under the same key, like
/// S3.
const KEYS: &[(&str, StoredAs)] = &[
    ("plain.txt", SameKey),
    ("a space", SameKey),
    ("two  spaces", SameKey),
    (" spaces at the ends ", SameKey),
    ("plus+sign", SameKey),
    ("plus+and space", SameKey),
    ("percent%", SameKey),
    ("percent%41letter", SameKey),
    ("percent%zznothing", SameKey),
    ("percent%252Ftwice", SameKey),
    ("escaped%2Fslash", SameKey),
    ("escaped%2fslash", SameKey),
    ("question?mark", SameKey),
    ("question?a=b&X-Amz-Expires=1", SameKey),
    ("hash#sign", SameKey),
    ("and&sign", SameKey),
    ("equals=sign", SameKey),
    ("?#&=+% all", SameKey),
    ("https://other.example/path", OtherKey("https:/other.example/path")),
    ("@other.example", SameKey),
    (":80", SameKey),
    (r#"quotes'and"others*()!~:@,;[]{}<>|^`$"#, SameKey),
    ("back\\slash", OtherKey("back/slash")),
    ("tab\tand\nnewline", SameKey),
    ("emoji/😀👩‍👩‍👧‍👦", SameKey),
    ("\u{e9} and e\u{301}", SameKey),
    ("日本語/ключ/مفتاح", SameKey),
    ("...", SameKey),
    (".hidden/..name", SameKey),
    ("double//slash", OtherKey("double/slash")),
    ("triple///slash", OtherKey("triple/slash")),
    ("/leading", OtherKey("leading")),
    ("//leading-twice", OtherKey("leading-twice")),
    ("trailing/", EmptyObject("trailing/")),
    ("trailing-twice//", EmptyObject("trailing-twice/")),
    ("./dot", Rejected(INVALID_SEGMENT)),
    ("inside/./dot", Rejected(INVALID_SEGMENT)),
    ("../dots", Rejected(INVALID_SEGMENT)),
    ("inside/../dots", Rejected(INVALID_SEGMENT)),
    ("inside/..", Rejected(INVALID_SEGMENT)),
    ("../../../../etc/passwd", Rejected(INVALID_SEGMENT)),
    (".", Rejected(INVALID_SEGMENT)),
    ("..", Rejected(INVALID_SEGMENT)),
    ("/", BucketName),
];

/// A key of the maximum length, in segments of this many letters.
fn longest_key(letter: &str, letters: usize) -> String {
    let segment = letter.repeat(letters) + "/";
    let whole = segment.repeat(MAX_KEY_BYTES / segment.len());
    let key = format!("{whole}{}", letter.repeat(MAX_KEY_BYTES % segment.len() / letter.len()));
    assert_eq!(key.len(), MAX_KEY_BYTES, "{letter:?}");
    key
}

fn keys() -> Vec<(String, StoredAs)> {
    let max_length = [
        (longest_key("k", 254), SameKey),
        (longest_key("😀", 63), SameKey),
        (longest_key("%", 100), SameKey),
        ("k".repeat(MAX_KEY_BYTES), Rejected("400 KeyTooLongError")),
    ];
    let listed = KEYS.iter().map(|(key, stored_as)| ((*key).to_owned(), *stored_as));
    listed.chain(max_length).collect()
}

#[tokio::test]
async fn ministack_returns_every_key_unchanged() {
    let server = Server::ministack();
    for address in addresses(server).await {
        address.check_keys(keys().into_iter().map(|(key, _)| (key, SameKey)).collect()).await;
    }
}

#[tokio::test]
async fn seaweedfs_returns_every_supported_key() {
    let server = Server::seaweedfs();
    for address in addresses(server).await {
        address.check_keys(keys()).await;
    }
}

/// One way to address a bucket.
struct BucketAddress {
    caller: RoundTrip,
    bucket: &'static str,
    /// The name of the bucket on the server.
    name: &'static str,
}

/// All ways to address a bucket, each with an empty bucket.
async fn addresses(server: &'static Server) -> [BucketAddress; 3] {
    let [outposts, by_host, by_path] = LISTED_BUCKETS;
    [
        BucketAddress { caller: RoundTrip::start(server).await, bucket: LISTED_ARN, name: outposts },
        BucketAddress { caller: RoundTrip::start(server).await, bucket: by_host, name: by_host },
        BucketAddress {
            caller: RoundTrip::start_with_path_style(server).await,
            bucket: by_path,
            name: by_path,
        },
    ]
}

impl BucketAddress {
    async fn check_keys(&self, keys: Vec<(String, StoredAs)>) {
        let mut stored = BTreeSet::new();
        for (key, stored_as) in keys {
            let body = format!("the body of {key}");
            let (name, read) = match stored_as {
                SameKey => (&*key, &*body),
                OtherKey(name) => (name, &*body),
                EmptyObject(name) => (name, ""),
                BucketName => {
                    self.caller.put(self.bucket, &key, &*body).await;
                    self.assert_rejected(&key, get(), "404 NoSuchKey").await;
                    stored.insert(self.name.to_owned());
                    continue;
                }
                Rejected(verdict) => {
                    self.assert_rejected(&key, Operation::PutObject(PutObject::default()), verdict).await;
                    continue;
                }
            };
            self.caller.put(self.bucket, &key, &*body).await;
            assert_eq!(self.caller.get(self.bucket, &key).await.text(), read, "{} {key:?}", self.bucket);
            assert!(stored.insert(name.to_owned()), "{name:?} is stored twice");
        }
        let listed = self.list().await;
        let (missing, unexpected) = (&stored - &listed, &listed - &stored);
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "{}: {missing:?} stored as {unexpected:?}",
            self.bucket
        );
    }

    async fn assert_rejected(&self, key: &str, operation: Operation, verdict: &str) {
        let answer = self.caller.send(self.bucket, key, operation, "").await;
        assert_eq!(answer.verdict(), verdict, "{} {key:?}", self.bucket);
    }

    /// The keys of all objects in the bucket.
    async fn list(&self) -> BTreeSet<String> {
        let list = ListObjectsV2 { encoding_type: "url".to_owned(), ..ListObjectsV2::default() };
        let answer = self.caller.send_ok(self.bucket, "", Operation::ListObjectsV2(list), "").await;
        answer.elements("Key").iter().map(|key| decoded(key)).collect()
    }
}

fn get() -> Operation {
    Operation::GetObject(GetObject::default())
}

/// Decodes the URL encoding of S3, in which a space can be a plus sign.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at(2);
                let digits = std::str::from_utf8(digits).expect("digits are ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits follow a percent sign"));
                rest = after;
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).expect("keys are UTF-8")
}
