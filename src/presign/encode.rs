//! The one percent-encoder, for paths and for queries.
//!
//! Source: `UriEncode` in
//! [Create a signed request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html):
//! every byte but the unreserved characters of RFC 3986 becomes `%XY`, in capitals; `/` stays in paths alone.

/// `%00` to `%FF`, one behind the other.
const ESCAPES: &str = {
    const TEXT: [u8; 3 * 256] = {
        let mut text = [b'%'; 3 * 256];
        let mut byte = 0;
        while byte < 256 {
            text[3 * byte + 1] = b"0123456789ABCDEF"[byte >> 4];
            text[3 * byte + 2] = b"0123456789ABCDEF"[byte & 15];
            byte += 1;
        }
        text
    };
    match str::from_utf8(&TEXT) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};

/// Which bytes stand for themselves in a query; a path adds the slash.
const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// Appends a key to a path: slashes stay, and nothing is folded, so that `a//b` and `../c` survive.
pub fn path(text: &str, out: &mut String) {
    encode::<true>(text, out);
}

/// Appends a name or a value to a query.
pub fn query(text: &str, out: &mut String) {
    encode::<false>(text, out);
}

fn encode<const KEEP_SLASH: bool>(text: &str, out: &mut String) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if UNRESERVED[usize::from(byte)] || (KEEP_SLASH && byte == b'/') {
            continue;
        }
        // What lies between two escapes is ASCII; between the bytes of one character lies nothing.
        if plain_from < at {
            out.push_str(&text[plain_from..at]);
        }
        let escape = 3 * usize::from(byte);
        out.push_str(&ESCAPES[escape..escape + 3]);
        plain_from = at + 1;
    }
    if plain_from < text.len() {
        out.push_str(&text[plain_from..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> (String, String) {
        let (mut in_path, mut in_query) = (String::new(), String::new());
        path(text, &mut in_path);
        query(text, &mut in_query);
        (in_path, in_query)
    }

    #[test]
    fn only_unreserved_characters_stand_for_themselves_and_slashes_in_paths() {
        let rows = [
            ("", "", ""),
            ("azAZ09-._~", "azAZ09-._~", "azAZ09-._~"),
            ("a b+c", "a%20b%2Bc", "a%20b%2Bc"),
            ("100%", "100%25", "100%25"),
            ("%2F", "%252F", "%252F"),
            ("a//b/../c/", "a//b/../c/", "a%2F%2Fb%2F..%2Fc%2F"),
            ("?#&=", "%3F%23%26%3D", "%3F%23%26%3D"),
            ("é😀", "%C3%A9%F0%9F%98%80", "%C3%A9%F0%9F%98%80"),
            ("\u{0}\u{7f}", "%00%7F", "%00%7F"),
        ];
        for (text, in_path, in_query) in rows {
            assert_eq!(both(text), (in_path.to_owned(), in_query.to_owned()), "{text:?}");
        }
    }
}
