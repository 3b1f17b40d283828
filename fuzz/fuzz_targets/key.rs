//! The encoder of keys and of query values: a decoder that is not ours gives the same bytes back, an encoder that is not
//! ours writes the same, and a path has the segments of the key and no others.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::utf8_percent_encode;
use presignd::presign::encode;
use presignd_fuzz::{PATH, QUERY, decoded};

/// What is in the buffer already stays as it is.
const BEFORE: &str = "https://h/%zz?";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(key) = str::from_utf8(data) else { return Corpus::Reject };
    let (path, query) = (encoded(encode::path, key), encoded(encode::query, key));
    assert_eq!(decoded(&path), key.as_bytes());
    assert_eq!(decoded(&query), key.as_bytes());
    assert_eq!(path, utf8_percent_encode(key, PATH).to_string());
    assert_eq!(query, utf8_percent_encode(key, QUERY).to_string());

    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    assert!(query.bytes().all(plain), "{query}");
    let segments: Vec<_> = path.split('/').collect();
    assert!(segments.iter().all(|segment| segment.bytes().all(plain)), "{path}");
    assert!(
        segments.iter().map(|segment| decoded(segment)).eq(key.split('/').map(|it| it.as_bytes().to_vec()))
    );

    // Piece by piece it is the same, so nothing depends on what stands beside a character.
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
