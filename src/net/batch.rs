//! Cutting a batch into TLS records where frames allow it: a small frame lies within one record, small frames share
//! records, and the last octets of a body go with their end-line (IOP-21).

use std::io::IoSlice;

use crate::relay::{Span, Transmit};

/// Plaintext octets of a full record (RFC 8446 section 5.1).
pub const RECORD: usize = 16 << 10;
/// A frame larger than a record never leaves less than this to its last one, so that an end-line is not alone there.
const LAST: usize = 1 << 10;

/// Lengths of the records of a batch, in order; their sum is `transmit.octets`.
pub fn records(transmit: &Transmit, out: &mut Vec<usize>) {
    out.clear();
    let (mut record, mut frame) = (0, 0);
    let close = |record: &mut usize, frame: usize, out: &mut Vec<usize>| {
        if *record > 0 && *record + frame > RECORD {
            out.push(std::mem::take(record));
        }
        let mut left = frame;
        while left > RECORD {
            let piece = if left < RECORD + LAST { left / 2 } else { RECORD };
            out.push(piece);
            left -= piece;
        }
        *record += left;
    };
    for span in &transmit.spans {
        match span {
            Span::Head(range) => frame += range.len(),
            Span::Body(octets) => frame += octets.len(),
            Span::Cut => {
                close(&mut record, frame, out);
                frame = 0;
            }
        }
    }
    if frame > 0 {
        close(&mut record, frame, out);
    }
    if record > 0 {
        out.push(record);
    }
}

/// Walks over the spans of a batch and hands out slices of exactly so many octets.
pub struct Cursor<'a> {
    transmit: &'a Transmit,
    span: usize,
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of the batch.
    pub fn new(transmit: &'a Transmit) -> Cursor<'a> {
        Cursor { transmit, span: 0, offset: 0 }
    }

    fn octets(&self, span: usize) -> Option<&'a [u8]> {
        match self.transmit.spans.get(span)? {
            Span::Head(range) => self.transmit.heads.get(range.clone()),
            Span::Body(octets) => Some(octets),
            Span::Cut => Some(&[]),
        }
    }

    /// Appends slices of the next `octets` octets to `out`.
    pub fn take(&mut self, mut octets: usize, out: &mut Vec<IoSlice<'a>>) {
        while octets > 0 {
            let Some(slice) = self.octets(self.span) else { return };
            let rest = slice.get(self.offset..).unwrap_or_default();
            let n = rest.len().min(octets);
            if n > 0 {
                out.push(IoSlice::new(&rest[..n]));
            }
            octets -= n;
            self.offset += n;
            if self.offset >= slice.len() {
                self.span += 1;
                self.offset = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn batch(frames: &[&[usize]]) -> Transmit {
        let mut t = Transmit::default();
        for frame in frames {
            for len in *frame {
                t.spans.push(Span::Body(Bytes::from(vec![b'x'; *len])));
                t.octets += len;
            }
            t.spans.push(Span::Cut);
        }
        t
    }

    fn lengths(frames: &[&[usize]]) -> Vec<usize> {
        let mut out = vec![1];
        let t = batch(frames);
        records(&t, &mut out);
        assert_eq!(out.iter().sum::<usize>(), t.octets);
        out
    }

    #[test]
    fn small_frames_share_a_record_and_are_never_split() {
        assert_eq!(lengths(&[&[300, 200], &[300, 200]]), [1000]);
        assert_eq!(lengths(&[&[300, 10_000, 20], &[300, 10_000, 20]]), [10_320, 10_320]);
        assert_eq!(lengths(&[&[RECORD]]), [RECORD]);
        assert_eq!(lengths(&[]), [0usize; 0]);
    }

    #[test]
    fn iop_21_an_end_line_is_never_alone_in_its_record() {
        let r = lengths(&[&[300, RECORD - 300, 20]]);
        assert!(r.iter().all(|n| *n >= LAST && *n <= RECORD), "{r:?}");
        let r = lengths(&[&[300, 65_536, 20], &[100]]);
        assert!(r[..r.len() - 1].iter().all(|n| *n >= LAST && *n <= RECORD), "{r:?}");
    }

    #[test]
    fn the_cursor_hands_out_every_octet_once() {
        let t = batch(&[&[3, 5], &[7]]);
        let mut c = Cursor::new(&t);
        for n in [4, 4, 7] {
            let mut out = Vec::new();
            c.take(n, &mut out);
            assert_eq!(out.iter().map(|s| s.len()).sum::<usize>(), n);
        }
    }
}
