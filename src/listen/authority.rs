//! Makes absolute socket paths work for stock gRPC clients in Python, C++, Ruby and PHP, and for some in Java.
//!
//! These clients send the path as `:authority`, percent-encoded (`%2Frun%2Fpresignd.sock`). h2 rejects that as a malformed
//! authority with `PROTOCOL_ERROR`. presignd does not use the value, so this reader replaces each `%` in it by `-`. In
//! HPACK's Huffman code both characters have six bits, so no length and no table changes, and no HPACK state is needed.
//!
//! Sources: [RFC 9113](https://www.rfc-editor.org/rfc/rfc9113) for frames,
//! [RFC 7541](https://www.rfc-editor.org/rfc/rfc7541) for header blocks. Unexpected bytes pass through
//! unchanged.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The default of `SETTINGS_MAX_FRAME_SIZE`. presignd does not raise it, so a longer frame is a protocol error anyway.
const MAX_BUFFERED_FRAME: usize = 16_384;

/// Reads the bytes of a client, and replaces each `%` in `:authority` by `-`.
#[derive(Debug)]
pub struct AuthorityRewriter<S> {
    stream: S,
    walker: FrameWalker,
    /// The bytes of a HEADERS frame that is not complete yet.
    buffered: Vec<u8>,
    /// Rewritten bytes to return next.
    ready: Vec<u8>,
}

impl<S> AuthorityRewriter<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, walker: FrameWalker::Preface(0), buffered: Vec::new(), ready: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AuthorityRewriter<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready[..count]);
                this.ready.drain(..count);
                return Poll::Ready(Ok(()));
            }
            let done =
                if this.buffered.is_empty() { this.read_direct(cx, buf) } else { this.read_buffered(cx) };
            if ready!(done)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AuthorityRewriter<S> {
    /// Reads into the caller's buffer, and moves the bytes of an incomplete HEADERS frame to `buffered`. Returns true if
    /// bytes remain in the caller's buffer, or the stream ended.
    fn read_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.walker.walk(new);
        self.buffered.extend_from_slice(&new[passed..]);
        buf.set_filled(before + passed);
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads further bytes of an incomplete HEADERS frame. If the stream ends first, the frame is returned unchanged.
    fn read_buffered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut chunk = [0; 4_096];
        let mut more = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut more))?;
        self.buffered.extend_from_slice(more.filled());
        let passed =
            if more.filled().is_empty() { self.buffered.len() } else { self.walker.walk(&mut self.buffered) };
        self.ready.extend(self.buffered.drain(..passed));
        Poll::Ready(Ok(false))
    }
}

/// The position in the client's bytes, relative to HTTP/2 frames.
#[derive(Clone, Copy, Debug)]
enum FrameWalker {
    /// In the preface, after this many of its bytes.
    Preface(usize),
    /// Between two frames.
    Boundary,
    /// In a frame that is passed through, before its last bytes, this many.
    Inside(usize),
    /// Not HTTP/2: all bytes are passed through, and h2 rejects them.
    NotHttp2,
}

impl FrameWalker {
    /// Walks over bytes and rewrites authorities. Returns how many bytes are finished; the caller must pass the others again,
    /// with more bytes after them.
    fn walk(&mut self, bytes: &mut [u8]) -> usize {
        let mut passed = 0;
        while let Some(step) = self.walk_part(&mut bytes[passed..]) {
            passed += step;
        }
        passed
    }

    /// Walks over one part of the stream and returns its length; none if the part is not complete.
    fn walk_part(&mut self, rest: &mut [u8]) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        match *self {
            Self::NotHttp2 => Some(rest.len()),
            Self::Preface(seen) => {
                let count = (PREFACE.len() - seen).min(rest.len());
                *self = match rest[..count] == PREFACE[seen..seen + count] {
                    false => Self::NotHttp2,
                    true if seen + count == PREFACE.len() => Self::Boundary,
                    true => Self::Preface(seen + count),
                };
                Some(count)
            }
            Self::Inside(left) => {
                let count = left.min(rest.len());
                *self = if count == left { Self::Boundary } else { Self::Inside(left - count) };
                Some(count)
            }
            Self::Boundary => {
                let &[high, middle, low, kind, flags, ..] = rest.get(..FRAME_HEAD)? else { return None };
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                if kind != HEADERS || length > MAX_BUFFERED_FRAME {
                    *self = Self::Inside(length);
                    return Some(FRAME_HEAD);
                }
                let whole = FRAME_HEAD + length;
                let payload = rest.get_mut(FRAME_HEAD..whole)?;
                let _malformed = rewrite_headers(payload, flags);
                Some(whole)
            }
        }
    }
}

/// Rewrites the header block of a HEADERS frame, between priority and padding. None if the frame is malformed.
fn rewrite_headers(payload: &mut [u8], flags: u8) -> Option<()> {
    let (padding, start) = if flags & PADDED != 0 { (usize::from(*payload.first()?), 1) } else { (0, 0) };
    let start = if flags & PRIORITY != 0 { start + 5 } else { start };
    let end = payload.len().checked_sub(padding)?;
    rewrite_block(payload.get_mut(start..end)?)
}

/// The index of `:authority` in the static table, [RFC 7541, appendix A](https://www.rfc-editor.org/rfc/rfc7541#appendix-A).
const STATIC_AUTHORITY: usize = 1;

/// The name `:authority` as a string literal: plain, as gRPC's C core sends it, and in Huffman code.
const AUTHORITY_LITERALS: [&[u8]; 2] = [b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]];

/// Rewrites the values of `:authority` in a header block, [RFC 7541, section 6](https://www.rfc-editor.org/rfc/rfc7541#section-6).
fn rewrite_block(block: &mut [u8]) -> Option<()> {
    let mut offset = 0;
    while offset < block.len() {
        let first = block[offset];
        let prefix_bits = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let (index, after) = read_integer(block, offset, prefix_bits)?;
        offset = after;
        if first >= 0x80 || (0x20..0x40).contains(&first) {
            continue;
        }
        let mut is_authority = index == STATIC_AUTHORITY;
        if index == 0 {
            let name = read_string(block, offset)?;
            is_authority = AUTHORITY_LITERALS.contains(&block.get(name.start..name.end)?);
            offset = name.end;
        }
        let value = read_string(block, offset)?;
        offset = value.end;
        if is_authority {
            rewrite_value(block.get_mut(value.start..value.end)?, value.huffman);
        }
    }
    Some(())
}

/// The byte range of a string literal's text.
struct StringLiteral {
    start: usize,
    end: usize,
    huffman: bool,
}

/// Reads a string literal, [RFC 7541, section 5.2](https://www.rfc-editor.org/rfc/rfc7541#section-5.2).
fn read_string(block: &[u8], offset: usize) -> Option<StringLiteral> {
    let huffman = block.get(offset)? & 0x80 != 0;
    let (length, start) = read_integer(block, offset, 7)?;
    let end = start.checked_add(length).filter(|end| *end <= block.len())?;
    Some(StringLiteral { start, end, huffman })
}

/// Reads an integer, and returns it with the offset of the next byte, [RFC 7541, section 5.1](https://www.rfc-editor.org/rfc/rfc7541#section-5.1).
fn read_integer(block: &[u8], offset: usize, prefix_bits: u32) -> Option<(usize, usize)> {
    let prefix_max = (1_usize << prefix_bits) - 1;
    let mut value = usize::from(*block.get(offset)?) & prefix_max;
    if value < prefix_max {
        return Some((value, offset + 1));
    }
    // Three further bytes suffice for 2 million, far more than the length of a frame.
    for (index, shift) in (offset + 1..).zip([0, 7, 14]) {
        let byte = *block.get(index)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Replaces each `%` by `-` in a string literal.
fn rewrite_value(value: &mut [u8], huffman: bool) {
    if !huffman {
        value.iter_mut().filter(|byte| **byte == b'%').for_each(|byte| *byte = b'-');
        return;
    }
    let mut bit = 0;
    while let Some(length) = code_length(value, bit) {
        if length == 6 && read_bits(value, bit, 6) == Some(PERCENT) {
            // `%` is 010101 and `-` is 010110: flip the last two bits.
            flip_bit(value, bit + 4);
            flip_bit(value, bit + 5);
        }
        bit += length;
    }
}

/// The Huffman code of `%`, [RFC 7541, appendix B](https://www.rfc-editor.org/rfc/rfc7541#appendix-B).
const PERCENT: u8 = 0b01_0101;

/// The length of the Huffman code that begins at this bit; none at the padding. The code is canonical, so the last code of
/// each length determines the length. Codes of more than eight bits also give none and so end the rewriting: letters,
/// digits and `%-./_` have shorter codes.
fn code_length(value: &[u8], bit: usize) -> Option<usize> {
    const LAST_OF_LENGTH: [(usize, u8); 4] =
        [(5, 0b0_1001), (6, 0b10_1101), (7, 0b111_1011), (8, 0b1111_1101)];
    let has_length =
        |(length, last): &(usize, u8)| read_bits(value, bit, *length).is_some_and(|code| code <= *last);
    LAST_OF_LENGTH.into_iter().find(has_length).map(|(length, _)| length)
}

fn read_bits(value: &[u8], start: usize, count: usize) -> Option<u8> {
    let bit = |index: usize| Some(value.get(index / 8)? >> (7 - index % 8) & 1);
    (start..start + count).try_fold(0, |code, index| Some(code << 1 | bit(index)?))
}

fn flip_bit(value: &mut [u8], bit: usize) {
    value[bit / 8] ^= 1 << (7 - bit % 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// The encodings of the header's name: as an index, as a plain string and in Huffman code; with and without indexing.
    const NAMES: [&[u8]; 4] = [
        &[0x41],
        &[0x11],
        &[0x40, 10, b':', b'a', b'u', b't', b'h', b'o', b'r', b'i', b't', b'y'],
        &[0x00, 0x88, 0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f],
    ];

    /// `:method POST`, `:scheme http`, a table size, `:path /x`, a header `a: %`, the authority, and `b: %`.
    fn block(name: &[u8], authority: &[u8]) -> Vec<u8> {
        let before = [0x83, 0x86, 0x3f, 0xe1, 0x1f, 0x44, 2, b'/', b'x', 0x40, 1, b'a', 1, b'%'];
        [&before[..], name, authority, &[0x00, 1, b'b', 1, b'%']].concat()
    }

    fn plain(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    /// `%2Frun` and `-2Frun` in HPACK's Huffman code, by the table of RFC 7541: 010101 00010 1100011 101100 101101
    /// 101010 and four bits of padding.
    const HUFFMAN_BEFORE: [u8; 6] = [0x85, 0x54, 0x58, 0xed, 0x96, 0xd5];
    const HUFFMAN_AFTER: [u8; 6] = [0x85, 0x58, 0x58, 0xed, 0x96, 0xd5];

    fn stream(name: &[u8], authority: &[u8]) -> Vec<u8> {
        let block = block(name, authority);
        let padded = [&[2, 0, 0, 0, 0, 1][..], &block, b"%%"].concat();
        [
            PREFACE.to_vec(),
            frame(4, 0, &[0; 6]),
            frame(HEADERS, 4, &block),
            frame(0, 1, b"%41%"),
            frame(HEADERS, 4 | PADDED | PRIORITY, &padded),
        ]
        .concat()
    }

    async fn rewrite(bytes: &[u8], cut: usize) -> Vec<u8> {
        use tokio::io::AsyncReadExt;
        let (first, second) = bytes.split_at(cut);
        let mut rewritten = Vec::new();
        AuthorityRewriter::new(first.chain(second)).read_to_end(&mut rewritten).await.unwrap();
        rewritten
    }

    #[tokio::test]
    async fn only_percent_signs_of_the_authority_change() {
        let values = [
            (plain("%2Frun%2Fp.sock"), plain("-2Frun-2Fp.sock")),
            (HUFFMAN_BEFORE.to_vec(), HUFFMAN_AFTER.to_vec()),
        ];
        for (name, (before, after)) in
            NAMES.iter().flat_map(|name| values.iter().map(move |value| (name, value)))
        {
            let (sent, expected) = (stream(name, before), stream(name, after));
            for cut in 0..=sent.len() {
                assert_eq!(rewrite(&sent, cut).await, expected, "cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn unexpected_bytes_pass_through_unchanged() {
        let huge = frame(HEADERS, 4, &vec![0x41; MAX_BUFFERED_FRAME + 1]);
        let broken_length = frame(HEADERS, 4, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, b'%']);
        let padding_past_the_end = frame(HEADERS, 4 | PADDED, &[9, 0x41, 1, b'%']);
        let with_preface = |frame: Vec<u8>| [PREFACE, &frame[..]].concat();
        let cases = [
            b"GET /%2F HTTP/1.1\r\n\r\n".to_vec(),
            with_preface(huge),
            with_preface(broken_length),
            with_preface(padding_past_the_end),
            [PREFACE, &frame(HEADERS, 4, &block(&[0x41], &plain("%")))[..12]].concat(),
        ];
        for bytes in cases {
            for cut in [0, 5, 24, bytes.len() / 2] {
                assert_eq!(rewrite(&bytes, cut.min(bytes.len())).await, bytes);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_neither_panic_nor_change_length(mut bytes: Vec<u8>, flags: u8) {
            let _malformed = rewrite_headers(&mut bytes, flags);
            let mut sent = PREFACE.to_vec();
            sent.extend(&bytes);
            let length = sent.len();
            assert!(FrameWalker::Preface(0).walk(&mut sent) <= length);
        }
    }
}
