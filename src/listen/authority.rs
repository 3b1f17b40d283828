//! Lets stock gRPC clients in Python, C++, Ruby and PHP, and some in Java, use an absolute socket path.
//!
//! They send the path as `:authority`, percent-encoded (`%2Frun%2Fpresignd.sock`). h2 takes that for a malformed
//! authority and answers `PROTOCOL_ERROR`. presignd does not use the value, so each `%` in it is replaced by `-`. In HPACK's
//! Huffman code both have six bits, so that no length and no table changes, and no HPACK state is needed.
//!
//! Source of the format: [RFC 9113](https://www.rfc-editor.org/rfc/rfc9113) for frames,
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

/// The default of `SETTINGS_MAX_FRAME_SIZE`, which we do not raise: a longer frame is an error anyway.
const MAX_BUFFERED_FRAME: usize = 16_384;

/// The bytes from a client, with an `:authority` that h2 accepts.
#[derive(Debug)]
pub struct ReadableAuthority<S> {
    stream: S,
    walker: FrameWalker,
    /// The beginning of a frame that has to be complete.
    buffered: Vec<u8>,
    /// Bytes that were buffered and can be returned.
    ready: Vec<u8>,
}

impl<S> ReadableAuthority<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, walker: FrameWalker::Preface(0), buffered: Vec::new(), ready: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadableAuthority<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let fits = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready[..fits]);
                this.ready.drain(..fits);
                return Poll::Ready(Ok(()));
            }
            let done = if this.buffered.is_empty() { this.read_through(cx, buf) } else { this.read_more(cx) };
            if ready!(done)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> ReadableAuthority<S> {
    /// Reads into the caller's buffer, and keeps the beginning of a frame that has to be complete. True if there is
    /// something to return, or the stream ended.
    fn read_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.walker.pass(new);
        self.buffered.extend_from_slice(&new[passed..]);
        buf.set_filled(before + passed);
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads more of a frame that has to be complete. At the end of the stream it is returned as it is.
    fn read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut chunk = [0; 4_096];
        let mut more = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut more))?;
        self.buffered.extend_from_slice(more.filled());
        let passed =
            if more.filled().is_empty() { self.buffered.len() } else { self.walker.pass(&mut self.buffered) };
        self.ready.extend(self.buffered.drain(..passed));
        Poll::Ready(Ok(false))
    }
}

/// The position in the client's bytes.
#[derive(Clone, Copy, Debug)]
enum FrameWalker {
    /// In the preface, this many bytes into it.
    Preface(usize),
    /// Between two frames.
    Boundary,
    /// In a frame that is not changed, with this many bytes to go.
    Inside(usize),
    /// Not HTTP/2: h2 refuses it.
    NotHttp2,
}

impl FrameWalker {
    /// Walks over new bytes and rewrites authorities. Returns how many are done; the others are needed again, with more.
    fn pass(&mut self, bytes: &mut [u8]) -> usize {
        let mut passed = 0;
        while let Some(step) = self.step(&mut bytes[passed..]) {
            passed += step;
        }
        passed
    }

    /// Passes one part of the stream; nothing if it is not complete yet.
    fn step(&mut self, rest: &mut [u8]) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        match *self {
            Self::NotHttp2 => Some(rest.len()),
            Self::Preface(seen) => {
                let now = (PREFACE.len() - seen).min(rest.len());
                *self = match rest[..now] == PREFACE[seen..seen + now] {
                    false => Self::NotHttp2,
                    true if seen + now == PREFACE.len() => Self::Boundary,
                    true => Self::Preface(seen + now),
                };
                Some(now)
            }
            Self::Inside(left) => {
                let now = left.min(rest.len());
                *self = if now == left { Self::Boundary } else { Self::Inside(left - now) };
                Some(now)
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

/// Rewrites the header block of a HEADERS frame, without its padding and priority.
fn rewrite_headers(payload: &mut [u8], flags: u8) -> Option<()> {
    let (padding, start) = if flags & PADDED != 0 { (usize::from(*payload.first()?), 1) } else { (0, 0) };
    let start = if flags & PRIORITY != 0 { start + 5 } else { start };
    let end = payload.len().checked_sub(padding)?;
    rewrite_block(payload.get_mut(start..end)?)
}

/// The index of `:authority` in the static table, [RFC 7541, appendix A](https://www.rfc-editor.org/rfc/rfc7541#appendix-A).
const STATIC_AUTHORITY: usize = 1;

/// `:authority` spelled out, as gRPC's C core does, and in Huffman code.
const AUTHORITY: [&[u8]; 2] = [b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]];

/// Walks the representations of a header block, [RFC 7541, section 6](https://www.rfc-editor.org/rfc/rfc7541#section-6).
fn rewrite_block(block: &mut [u8]) -> Option<()> {
    let mut at = 0;
    while at < block.len() {
        let first = block[at];
        let prefix_bits = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let (index, after) = integer(block, at, prefix_bits)?;
        at = after;
        if first >= 0x80 || (0x20..0x40).contains(&first) {
            continue;
        }
        let mut is_authority = index == STATIC_AUTHORITY;
        if index == 0 {
            let name = string(block, at)?;
            is_authority = AUTHORITY.contains(&block.get(name.start..name.end)?);
            at = name.end;
        }
        let value = string(block, at)?;
        at = value.end;
        if is_authority {
            rewrite_value(block.get_mut(value.start..value.end)?, value.huffman);
        }
    }
    Some(())
}

struct StringLiteral {
    start: usize,
    end: usize,
    huffman: bool,
}

/// A string literal, [RFC 7541, section 5.2](https://www.rfc-editor.org/rfc/rfc7541#section-5.2).
fn string(block: &[u8], at: usize) -> Option<StringLiteral> {
    let huffman = block.get(at)? & 0x80 != 0;
    let (length, start) = integer(block, at, 7)?;
    let end = start.checked_add(length).filter(|end| *end <= block.len())?;
    Some(StringLiteral { start, end, huffman })
}

/// An integer and the index of the next byte, [RFC 7541, section 5.1](https://www.rfc-editor.org/rfc/rfc7541#section-5.1).
fn integer(block: &[u8], at: usize, prefix_bits: u32) -> Option<(usize, usize)> {
    let most = (1_usize << prefix_bits) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    if value < most {
        return Some((value, at + 1));
    }
    // Three further bytes reach 2 million, far past any frame.
    for (index, shift) in (at + 1..).zip([0, 7, 14]) {
        let byte = *block.get(index)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn rewrite_value(value: &mut [u8], huffman: bool) {
    if !huffman {
        value.iter_mut().filter(|byte| **byte == b'%').for_each(|byte| *byte = b'-');
        return;
    }
    let mut bit = 0;
    while let Some(length) = code_length(value, bit) {
        if length == 6 && bits(value, bit, 6) == Some(PERCENT) {
            // 010101 becomes 010110: the last two bits change places.
            flip(value, bit + 4);
            flip(value, bit + 5);
        }
        bit += length;
    }
}

/// The Huffman code of `%`, [RFC 7541, appendix B](https://www.rfc-editor.org/rfc/rfc7541#appendix-B).
const PERCENT: u8 = 0b01_0101;

/// The length of the code at this bit. The code is canonical, so the last code of each length is enough to know it.
/// No character of a socket's path has a code of more than eight bits: such a code ends the walk, as the padding does.
fn code_length(value: &[u8], bit: usize) -> Option<usize> {
    const LAST_OF_LENGTH: [(usize, u8); 4] =
        [(5, 0b0_1001), (6, 0b10_1101), (7, 0b111_1011), (8, 0b1111_1101)];
    let fits = |(length, last): &(usize, u8)| bits(value, bit, *length).is_some_and(|code| code <= *last);
    LAST_OF_LENGTH.into_iter().find(fits).map(|(length, _)| length)
}

fn bits(value: &[u8], from: usize, count: usize) -> Option<u8> {
    let bit = |at: usize| Some(value.get(at / 8)? >> (7 - at % 8) & 1);
    (from..from + count).try_fold(0, |code, at| Some(code << 1 | bit(at)?))
}

fn flip(value: &mut [u8], at: usize) {
    value[at / 8] ^= 1 << (7 - at % 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// The ways to name the header: by its index, spelled out, and in Huffman code; with and without indexing.
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

    async fn through(bytes: &[u8], cut: usize) -> Vec<u8> {
        use tokio::io::AsyncReadExt;
        let (first, second) = bytes.split_at(cut);
        let mut rewritten = Vec::new();
        ReadableAuthority::new(first.chain(second)).read_to_end(&mut rewritten).await.unwrap();
        rewritten
    }

    #[tokio::test]
    async fn only_percent_signs_of_the_authority_change_wherever_the_bytes_are_cut() {
        let values = [
            (plain("%2Frun%2Fp.sock"), plain("-2Frun-2Fp.sock")),
            (HUFFMAN_BEFORE.to_vec(), HUFFMAN_AFTER.to_vec()),
        ];
        for (name, (before, after)) in
            NAMES.iter().flat_map(|name| values.iter().map(move |value| (name, value)))
        {
            let (sent, expected) = (stream(name, before), stream(name, after));
            for cut in 0..=sent.len() {
                assert_eq!(through(&sent, cut).await, expected, "cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn unexpected_bytes_pass_unchanged() {
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
                assert_eq!(through(&bytes, cut.min(bytes.len())).await, bytes);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_or_change_the_length(mut bytes: Vec<u8>, flags: u8) {
            let _malformed = rewrite_headers(&mut bytes, flags);
            let mut sent = PREFACE.to_vec();
            sent.extend(&bytes);
            let length = sent.len();
            assert!(FrameWalker::Preface(0).pass(&mut sent) <= length);
        }
    }
}
