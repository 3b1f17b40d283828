//! Keys that other tools break: what was put comes back, under the name that was asked for.

use std::collections::BTreeSet;

use presignd::pb::{GetObject, ListObjectsV2, PutObject, presign_request::Operation};

use super::Caller;
use crate::support::s3::{LISTED_BUCKETS, Server};

/// The access point whose bucket is the first of `LISTED_BUCKETS`.
const LISTED_ARN: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/listed";

/// What a server makes of a key.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    AsIs,
    /// Under another name, which is known; reading goes by the key as it was put.
    As(&'static str),
    /// Under another name and without its body.
    Emptied(&'static str),
    /// As an object with the name of the bucket, which cannot be read.
    Misplaced,
    /// Not at all, with this status and code.
    Refused(&'static str),
}

use Kept::{As, AsIs, Emptied, Misplaced, Refused};

/// `SeaweedFS` keeps objects as files: segments of a key are names in folders.
const FOLDERS: &str = "400 InvalidRequest";

/// Bytes in a key at most.
const LONGEST: usize = 1024;

/// Each key, and what `SeaweedFS` makes of it (`tests/python/s3_server.py`); ministack keeps all as they are, as S3 does.
const KEYS: &[(&str, Kept)] = &[
    ("plain.txt", AsIs),
    ("a space", AsIs),
    ("two  spaces", AsIs),
    (" spaces at the ends ", AsIs),
    ("plus+sign", AsIs),
    ("plus+and space", AsIs),
    ("percent%", AsIs),
    ("percent%41letter", AsIs),
    ("percent%zznothing", AsIs),
    ("percent%252Ftwice", AsIs),
    ("escaped%2Fslash", AsIs),
    ("escaped%2fslash", AsIs),
    ("question?mark", AsIs),
    ("question?a=b&X-Amz-Expires=1", AsIs),
    ("hash#sign", AsIs),
    ("and&sign", AsIs),
    ("equals=sign", AsIs),
    ("?#&=+% all", AsIs),
    ("https://other.example/path", As("https:/other.example/path")),
    ("@other.example", AsIs),
    (":80", AsIs),
    (r#"quotes'and"others*()!~:@,;[]{}<>|^`$"#, AsIs),
    ("back\\slash", As("back/slash")),
    ("tab\tand\nnewline", AsIs),
    ("emoji/😀👩‍👩‍👧‍👦", AsIs),
    ("\u{e9} and e\u{301}", AsIs),
    ("日本語/ключ/مفتاح", AsIs),
    ("...", AsIs),
    (".hidden/..name", AsIs),
    ("double//slash", As("double/slash")),
    ("triple///slash", As("triple/slash")),
    ("/leading", As("leading")),
    ("//leading-twice", As("leading-twice")),
    ("trailing/", Emptied("trailing/")),
    ("trailing-twice//", Emptied("trailing-twice/")),
    ("./dot", Refused(FOLDERS)),
    ("inside/./dot", Refused(FOLDERS)),
    ("../dots", Refused(FOLDERS)),
    ("inside/../dots", Refused(FOLDERS)),
    ("inside/..", Refused(FOLDERS)),
    ("../../../../etc/passwd", Refused(FOLDERS)),
    (".", Refused(FOLDERS)),
    ("..", Refused(FOLDERS)),
    ("/", Misplaced),
];

/// A key of 1,024 bytes, the most that S3 takes, in segments of this many letters.
fn longest(letter: &str, letters: usize) -> String {
    let segment = letter.repeat(letters) + "/";
    let whole = segment.repeat(LONGEST / segment.len());
    let key = format!("{whole}{}", letter.repeat(LONGEST % segment.len() / letter.len()));
    assert_eq!(key.len(), LONGEST, "{letter:?}");
    key
}

fn keys() -> Vec<(String, Kept)> {
    let longest = [
        (longest("k", 254), AsIs),
        (longest("😀", 63), AsIs),
        (longest("%", 100), AsIs),
        ("k".repeat(LONGEST), Refused("400 KeyTooLongError")),
    ];
    let listed = KEYS.iter().map(|(key, kept)| ((*key).to_owned(), *kept));
    listed.chain(longest).collect()
}

#[tokio::test]
async fn every_key_comes_back_as_it_was_put_on_a_server_that_keeps_all_keys() {
    let server = Server::ministack();
    for address in addresses(server).await {
        address.keeps(keys().into_iter().map(|(key, _)| (key, AsIs)).collect()).await;
    }
}

#[tokio::test]
async fn every_key_that_a_server_with_folders_can_keep_comes_back_as_it_was_put() {
    let server = Server::seaweedfs();
    for address in addresses(server).await {
        address.keeps(keys()).await;
    }
}

/// One way to write the address of a bucket.
struct Address {
    caller: Caller,
    bucket: &'static str,
    /// What the server calls the bucket.
    name: &'static str,
}

/// Every way that there is; the buckets are empty.
async fn addresses(server: &'static Server) -> [Address; 3] {
    let [outposts, by_host, by_path] = LISTED_BUCKETS;
    [
        Address { caller: Caller::of(server).await, bucket: LISTED_ARN, name: outposts },
        Address { caller: Caller::of(server).await, bucket: by_host, name: by_host },
        Address { caller: Caller::by_path(server).await, bucket: by_path, name: by_path },
    ]
}

impl Address {
    async fn keeps(&self, keys: Vec<(String, Kept)>) {
        let mut stored = BTreeSet::new();
        for (key, kept) in keys {
            let body = format!("the body of {key}");
            let (name, read) = match kept {
                AsIs => (&*key, &*body),
                As(name) => (name, &*body),
                Emptied(name) => (name, ""),
                Misplaced => {
                    self.caller.put(self.bucket, &key, &*body).await;
                    self.refuses(&key, get(), "404 NoSuchKey").await;
                    stored.insert(self.name.to_owned());
                    continue;
                }
                Refused(verdict) => {
                    self.refuses(&key, Operation::PutObject(PutObject::default()), verdict).await;
                    continue;
                }
            };
            self.caller.put(self.bucket, &key, &*body).await;
            assert_eq!(self.caller.get(self.bucket, &key).await.text(), read, "{} {key:?}", self.bucket);
            assert!(stored.insert(name.to_owned()), "{name:?} is stored twice");
        }
        let listed = self.list().await;
        let (lost, new) = (&stored - &listed, &listed - &stored);
        assert!(lost.is_empty() && new.is_empty(), "{}: {lost:?} stored as {new:?}", self.bucket);
    }

    async fn refuses(&self, key: &str, operation: Operation, verdict: &str) {
        let answer = self.caller.send(self.bucket, key, operation, "").await;
        assert_eq!(answer.verdict(), verdict, "{} {key:?}", self.bucket);
    }

    /// The keys under which the server has its objects.
    async fn list(&self) -> BTreeSet<String> {
        let list = ListObjectsV2 { encoding_type: "url".to_owned(), ..ListObjectsV2::default() };
        let answer = self.caller.done(self.bucket, "", Operation::ListObjectsV2(list), "").await;
        answer.elements("Key").iter().map(|key| decoded(key)).collect()
    }
}

fn get() -> Operation {
    Operation::GetObject(GetObject::default())
}

/// What S3 calls URL encoding: a space may be a plus.
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
