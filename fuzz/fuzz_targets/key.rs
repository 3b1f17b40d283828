//! The encoder of keys and query values: an independent decoder returns the same bytes, an independent encoder writes the
//! same text, and a path has exactly the segments of the key.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::utf8_percent_encode;
use presignd::presign::encode;
use presignd_fuzz::{PATH, QUERY, decode};

/// Text that is already in the buffer must not change.
const BEFORE: &str = "https://h/%zz?";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(key) = str::from_utf8(data) else { return Corpus::Reject };
    let (path, query) = (encoded(encode::path, key), encoded(encode::query, key));
    assert_eq!(decode(&path), key.as_bytes());
    assert_eq!(decode(&query), key.as_bytes());
    assert_eq!(path, utf8_percent_encode(key, PATH).to_string());
    assert_eq!(query, utf8_percent_encode(key, QUERY).to_string());

    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    assert!(query.bytes().all(plain), "{query}");
    let segments: Vec<_> = path.split('/').collect();
    assert!(segments.iter().all(|segment| segment.bytes().all(plain)), "{path}");
    assert!(
        segments.iter().map(|segment| decode(segment)).eq(key.split('/').map(|it| it.as_bytes().to_vec()))
    );

    // Encoding in two pieces gives the same text: the encoding of a character does not depend on its neighbours.
    if let Some((middle, _)) = key.char_indices().nth(key.chars().count() / 2) {
        let (left, right) = key.split_at(middle);
        assert_eq!(encoded(encode::path, left) + &encoded(encode::path, right), path);
    }
    Corpus::Keep
});

fn encoded(encode: fn(&str, &mut String), text: &str) -> String {
    let mut out = BEFORE.to_owned();
    encode(text, &mut out);
    out.strip_prefix(BEFORE).expect("it is appended").to_owned()
}
