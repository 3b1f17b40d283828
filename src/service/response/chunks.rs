//! The encoded results of a batch, in chunks of equal capacity. The allocator reuses such chunks, while it would return
//! buffers of megabytes to the kernel each time. No result is split between two chunks.

use prost::bytes::BytesMut;

use super::encode;

/// No further result is added to a chunk of this length.
const FULL_CHUNK_BYTES: usize = 48 * 1024;

/// The capacity of a chunk. A usual result still fits into a chunk that is nearly full.
const CHUNK_BYTES: usize = 64 * 1024;

/// Encoded results, in order.
#[derive(Default)]
pub(in crate::service) struct ResultChunks {
    chunks: Vec<BytesMut>,
    len: usize,
}

impl ResultChunks {
    /// Starts with a result that did not fit into the previous chunks, if there is one.
    pub(in crate::service) fn starting_with(carried_over: Option<BytesMut>) -> Self {
        let len = carried_over.as_ref().map_or(0, BytesMut::len);
        Self { chunks: carried_over.into_iter().collect(), len }
    }

    /// The length of all chunks in bytes.
    pub(in crate::service) fn len(&self) -> usize {
        self.len
    }

    /// The chunk for the next result. About `expected` further bytes are expected.
    pub(in crate::service) fn open_chunk(&mut self, expected: usize) -> &mut BytesMut {
        let chunk = match self.chunks.pop() {
            Some(chunk) if chunk.len() < FULL_CHUNK_BYTES => chunk,
            full => {
                self.chunks.extend(full);
                BytesMut::with_capacity(expected.min(CHUNK_BYTES))
            }
        };
        self.chunks.push_mut(chunk)
    }

    /// Accepts the result that was appended after the first `before` bytes of the chunk, or removes and returns it if all
    /// results together would exceed `limit` bytes. The first result is always accepted.
    pub(in crate::service) fn accept_result(&mut self, before: usize, limit: usize) -> Option<BytesMut> {
        let chunk = self.chunks.last_mut()?;
        let written = chunk.len() - before;
        if self.len > 0 && self.len + written > limit {
            return Some(chunk.split_off(before));
        }
        self.len += written;
        None
    }

    /// How many of the first results have at most `limit` bytes together.
    pub(in crate::service) fn count_within(&self, limit: usize) -> usize {
        let mut remaining = limit;
        let mut count = 0;
        for chunk in &self.chunks {
            count += encode::count_results_within(chunk, remaining);
            match remaining.checked_sub(chunk.len()) {
                Some(rest) => remaining = rest,
                None => break,
            }
        }
        count
    }

    /// The chunks, in order.
    pub(in crate::service) fn into_chunks(self) -> Vec<BytesMut> {
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends a result of about this many bytes.
    fn append(results: &mut ResultChunks, bytes: usize, limit: usize) -> Option<BytesMut> {
        let out = results.open_chunk(usize::MAX);
        let before = out.len();
        let message = tonic_types::Status { code: 3, message: "x".repeat(bytes - 13), details: Vec::new() };
        encode::write_error(&message, out);
        let written = out.len() - before;
        assert!(written.abs_diff(bytes) < 8, "{written}");
        results.accept_result(before, limit)
    }

    #[test]
    fn results_are_counted_over_all_chunks() {
        let mut results = ResultChunks::default();
        (0..1_000).for_each(|_| assert!(append(&mut results, 1_000, usize::MAX).is_none()));
        let each = results.len() / 1_000;
        let rows = [(0, 0), (each, 1), (100 * each, 100), (100 * each - 1, 99), (results.len(), 1_000)];
        for (limit, count) in rows {
            assert_eq!(results.count_within(limit), count, "{limit}");
        }
        let whole = results.len();
        let chunks = results.into_chunks();
        assert_eq!(chunks.iter().map(BytesMut::len).sum::<usize>(), whole);
        assert!(chunks.len() > 15 && chunks.iter().all(|chunk| chunk.capacity() == CHUNK_BYTES));
    }

    #[test]
    fn a_result_over_the_limit_is_carried_over() {
        let mut results = ResultChunks::default();
        assert!(append(&mut results, 3_000, 5_000).is_none());
        let carried_over = append(&mut results, 3_000, 5_000).unwrap();
        assert_eq!((results.len(), results.count_within(usize::MAX)), (carried_over.len(), 1));
        let next = ResultChunks::starting_with(Some(carried_over));
        assert_eq!((next.len(), next.count_within(usize::MAX)), (results.len(), 1));
        // The first result is accepted whatever its length is.
        let mut first = ResultChunks::default();
        assert!(append(&mut first, 3_000, 100).is_none());
        assert_eq!(first.count_within(100), 0);
    }
}
