//! Lets stock gRPC clients in Python, C++, Ruby and PHP, and some in Java, use an absolute socket path.
//!
//! They send the path as `:authority`, percent-encoded (`%2Frun%2Fpresignd.sock`). h2 takes that for a malformed
//! authority and answers `PROTOCOL_ERROR`. Nobody needs the value, so `%` becomes `-` in it, on its way in. In HPACK's
//! Huffman code both have six bits, so that no length and no table changes, and no HPACK state is needed.
//!
//! Source of the format: [RFC 9113](https://www.rfc-editor.org/rfc/rfc9113) for frames,
//! [RFC 7541](https://www.rfc-editor.org/rfc/rfc7541) for header blocks. Whatever is not as expected passes through
//! untouched.

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
const LONGEST_HELD: usize = 16_384;

/// What a client sends, whose `:authority` can be read by h2.
#[derive(Debug)]
pub struct ReadableAuthority<S> {
    stream: S,
    walker: Walker,
    /// The beginning of a frame that has to be seen whole.
    held: Vec<u8>,
    /// What was held and may go on.
    released: Vec<u8>,
}

impl<S> ReadableAuthority<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, walker: Walker::Preface(0), held: Vec::new(), released: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadableAuthority<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.released.is_empty() {
                let fits = this.released.len().min(buf.remaining());
                buf.put_slice(&this.released[..fits]);
                this.released.drain(..fits);
                return Poll::Ready(Ok(()));
            }
            let done = if this.held.is_empty() { this.read_through(cx, buf) } else { this.read_held(cx) };
            if ready!(done)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> ReadableAuthority<S> {
    /// Reads into the caller's buffer, and holds back what has to be seen whole. True when there is something to
    /// return, be it the end.
    fn read_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.walker.pass(new);
        self.held.extend_from_slice(&new[passed..]);
        buf.set_filled(before + passed);
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads more of what is held. At the end of the stream it goes on as it is.
    fn read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut room = [0; 4_096];
        let mut more = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut more))?;
        self.held.extend_from_slice(more.filled());
        let passed =
            if more.filled().is_empty() { self.held.len() } else { self.walker.pass(&mut self.held) };
        self.released.extend(self.held.drain(..passed));
        Poll::Ready(Ok(false))
    }
}

/// Where in the client's bytes we are.
#[derive(Clone, Copy, Debug)]
enum Walker {
    /// In the preface, this many bytes into it.
    Preface(usize),
    /// Between two frames.
    Boundary,
    /// In a frame that is left alone, with this many bytes to go.
    Inside(usize),
    /// This is not HTTP/2: h2 will say so.
    Lost,
}

impl Walker {
    /// Walks over new bytes and mends authorities. Gives how many may go on; the rest is wanted again, with more.
    fn pass(&mut self, bytes: &mut [u8]) -> usize {
        let mut passed = 0;
        while let Some(step) = self.step(&mut bytes[passed..]) {
            passed += step;
        }
        passed
    }

    /// Passes as much as belongs together; nothing when that is not there yet.
    fn step(&mut self, rest: &mut [u8]) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        match *self {
            Self::Lost => Some(rest.len()),
            Self::Preface(seen) => {
                let now = (PREFACE.len() - seen).min(rest.len());
                *self = match rest[..now] == PREFACE[seen..seen + now] {
                    false => Self::Lost,
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
                if kind != HEADERS || length > LONGEST_HELD {
                    *self = Self::Inside(length);
                    return Some(FRAME_HEAD);
                }
                let whole = FRAME_HEAD + length;
                let payload = rest.get_mut(FRAME_HEAD..whole)?;
                let _nothing_found = mend_headers(payload, flags);
                Some(whole)
            }
        }
    }
}

/// Mends the header block of a HEADERS frame, past its padding and priority.
fn mend_headers(payload: &mut [u8], flags: u8) -> Option<()> {
    let (padding, start) = if flags & PADDED != 0 { (usize::from(*payload.first()?), 1) } else { (0, 0) };
    let start = if flags & PRIORITY != 0 { start + 5 } else { start };
    let end = payload.len().checked_sub(padding)?;
    mend_block(payload.get_mut(start..end)?)
}

/// The place of `:authority` in the static table, [RFC 7541, appendix A](https://www.rfc-editor.org/rfc/rfc7541#appendix-A).
const STATIC_AUTHORITY: usize = 1;

/// `:authority` spelled out, as gRPC's C core does, and in Huffman code.
const AUTHORITY: [&[u8]; 2] = [b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]];

/// Walks the representations of a header block, [RFC 7541, section 6](https://www.rfc-editor.org/rfc/rfc7541#section-6).
fn mend_block(block: &mut [u8]) -> Option<()> {
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
            mend_value(block.get_mut(value.start..value.end)?, value.huffman);
        }
    }
    Some(())
}

struct Text {
    start: usize,
    end: usize,
    huffman: bool,
}

/// A string literal, [RFC 7541, section 5.2](https://www.rfc-editor.org/rfc/rfc7541#section-5.2).
fn string(block: &[u8], at: usize) -> Option<Text> {
    let huffman = block.get(at)? & 0x80 != 0;
    let (length, start) = integer(block, at, 7)?;
    let end = start.checked_add(length).filter(|end| *end <= block.len())?;
    Some(Text { start, end, huffman })
}

/// An integer and the place behind it, [RFC 7541, section 5.1](https://www.rfc-editor.org/rfc/rfc7541#section-5.1).
fn integer(block: &[u8], at: usize, prefix_bits: u32) -> Option<(usize, usize)> {
    let most = (1_usize << prefix_bits) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    if value < most {
        return Some((value, at + 1));
    }
    // Three further bytes reach 2 million, far past any frame.
    for (place, shift) in (at + 1..).zip([0, 7, 14]) {
        let byte = *block.get(place)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

fn mend_value(value: &mut [u8], huffman: bool) {
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

/// The length of the code at this bit. The code is canonical, so that the first code of each length tells; longer
/// codes than eight bits stand for nothing that a socket's path is made of, and end the walk, as the padding does.
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
        let mut mended = Vec::new();
        ReadableAuthority::new(first.chain(second)).read_to_end(&mut mended).await.unwrap();
        mended
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
    async fn what_is_not_as_expected_passes_untouched() {
        let huge = frame(HEADERS, 4, &vec![0x41; LONGEST_HELD + 1]);
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
            let _found = mend_headers(&mut bytes, flags);
            let mut sent = PREFACE.to_vec();
            sent.extend(&bytes);
            let length = sent.len();
            assert!(Walker::Preface(0).pass(&mut sent) <= length);
        }
    }
}
