//! `deflate`: data in the format of zlib (RFC 1950), or bare (RFC 1951), as some servers send it.

use flate2::Decompress;

use super::{Step, Stepped, inflate};

#[derive(Default)]
pub(super) enum Deflate {
    /// Before the first byte.
    #[default]
    Fresh,
    /// Behind the first of the two bytes that tell the formats apart.
    First(u8),
    Inflating(Decompress),
    Over,
}

impl Deflate {
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Stepped {
        match (&mut *self, input) {
            (Self::Inflating(inflater), _) => {
                let (step, is_end) = inflate(inflater, input, out)?;
                if is_end {
                    *self = Self::Over;
                }
                Ok(step)
            }
            (Self::Over, _) => Ok(Step { used: input.len(), made: 0 }),
            (_, []) => Ok(Step { used: 0, made: 0 }),
            (Self::Fresh, [first, ..]) => {
                *self = Self::First(*first);
                Ok(Step { used: 1, made: 0 })
            }
            (Self::First(first), [second, ..]) => {
                let first = *first;
                let mut inflater = Decompress::new(is_zlib(first, *second));
                // No output comes of one byte in either format.
                inflate(&mut inflater, &[first], out)?;
                *self = Self::Inflating(inflater);
                self.step(input, out)
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Fresh | Self::Over)
    }
}

/// Whether a header of zlib begins so. Bare data does not: its first byte would begin a stored block, and those begin with
/// zeros up to the next byte's edge.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
