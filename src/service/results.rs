//! The results of a batch, in pieces of memory of one size: an allocator has them at hand again, where buffers of
//! megabytes come and go with the kernel's help. No result is cut in two.

use prost::bytes::BytesMut;

use super::answer;

/// A piece that has so many bytes is full.
const FULL: usize = 48 * 1024;

/// Memory of a piece: a usual result fits behind one that is nearly full.
const PIECE: usize = 64 * 1024;

/// Results that lie one behind the other.
#[derive(Default)]
pub(super) struct Results {
    pieces: Vec<BytesMut>,
    len: usize,
}

impl Results {
    /// Begins with a result that found no room elsewhere, if there is one.
    pub(super) fn beginning_with(held_back: Option<BytesMut>) -> Self {
        let len = held_back.as_ref().map_or(0, BytesMut::len);
        Self { pieces: held_back.into_iter().collect(), len }
    }

    /// How many bytes they have.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where the next result is written: behind what is there already. `expected` bytes are still to come.
    pub(super) fn open(&mut self, expected: usize) -> &mut BytesMut {
        let piece = match self.pieces.pop() {
            Some(piece) if piece.len() < FULL => piece,
            full => {
                self.pieces.extend(full);
                BytesMut::with_capacity(expected.min(PIECE))
            }
        };
        self.pieces.push_mut(piece)
    }

    /// Counts the result that was written behind `before` bytes, or takes it out again when it passes `room`, unless it
    /// is the first.
    pub(super) fn close(&mut self, before: usize, room: usize) -> Option<BytesMut> {
        let piece = self.pieces.last_mut()?;
        let written = piece.len() - before;
        if self.len > 0 && self.len + written > room {
            return Some(piece.split_off(before));
        }
        self.len += written;
        None
    }

    /// How many of them, from the first one on, take no more than `room` bytes.
    pub(super) fn within(&self, room: usize) -> usize {
        let mut left = room;
        let mut count = 0;
        for piece in &self.pieces {
            count += answer::results_within(piece, left);
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        count
    }

    /// The pieces, in order.
    pub(super) fn into_pieces(self) -> Vec<BytesMut> {
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result of so many bytes in the list.
    fn write(results: &mut Results, bytes: usize, room: usize) -> Option<BytesMut> {
        let out = results.open(usize::MAX);
        let before = out.len();
        let message = tonic_types::Status { code: 3, message: "x".repeat(bytes - 13), details: Vec::new() };
        answer::write_error(&message, out);
        let written = out.len() - before;
        assert!(written.abs_diff(bytes) < 8, "{written}");
        results.close(before, room)
    }

    #[test]
    fn results_lie_whole_in_pieces_of_one_size_and_are_counted_over_all_of_them() {
        let mut results = Results::default();
        (0..1_000).for_each(|_| assert!(write(&mut results, 1_000, usize::MAX).is_none()));
        let each = results.len() / 1_000;
        let rows = [(0, 0), (each, 1), (100 * each, 100), (100 * each - 1, 99), (results.len(), 1_000)];
        for (room, count) in rows {
            assert_eq!(results.within(room), count, "{room}");
        }
        let whole = results.len();
        let pieces = results.into_pieces();
        assert_eq!(pieces.iter().map(BytesMut::len).sum::<usize>(), whole);
        assert!(pieces.len() > 15 && pieces.iter().all(|piece| piece.capacity() == PIECE));
    }

    #[test]
    fn the_result_that_passes_the_room_is_held_back_and_begins_the_next_ones() {
        let mut results = Results::default();
        assert!(write(&mut results, 3_000, 5_000).is_none());
        let held_back = write(&mut results, 3_000, 5_000).unwrap();
        assert_eq!((results.len(), results.within(usize::MAX)), (held_back.len(), 1));
        let next = Results::beginning_with(Some(held_back));
        assert_eq!((next.len(), next.within(usize::MAX)), (results.len(), 1));
        // The first one stays, however long.
        let mut first = Results::default();
        assert!(write(&mut first, 3_000, 100).is_none());
        assert_eq!(first.within(100), 0);
    }
}
