//! The percent-encoder for paths and queries.
//!
//! Source: `UriEncode` in
//! [Create a signed request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html):
//! every byte except the unreserved characters of RFC 3986 becomes `%XY` with capital letters; paths keep `/`.

/// `%00` to `%FF`, concatenated.
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

/// Which bytes are not encoded in a query. A path does not encode the slash, either.
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

/// Appends an encoded key to a path. Slashes stay, and the path is not normalized: `a//b` and `../c` stay as they are.
pub fn path(text: &str, out: &mut String) {
    encode::<true>(text, out);
}

/// Appends an encoded name or value to a query.
pub fn query(text: &str, out: &mut String) {
    encode::<false>(text, out);
}

fn encode<const KEEP_SLASH: bool>(text: &str, out: &mut String) {
    let mut plain_start = 0;
    for (index, byte) in text.bytes().enumerate() {
        if UNRESERVED[usize::from(byte)] || (KEEP_SLASH && byte == b'/') {
            continue;
        }
        // Safe to slice: unencoded bytes are ASCII, and all bytes of any other character are encoded.
        if plain_start < index {
            out.push_str(&text[plain_start..index]);
        }
        let escape = 3 * usize::from(byte);
        out.push_str(&ESCAPES[escape..escape + 3]);
        plain_start = index + 1;
    }
    if plain_start < text.len() {
        out.push_str(&text[plain_start..]);
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
    fn only_unreserved_characters_and_path_slashes_stay() {
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
