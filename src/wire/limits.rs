//! Bounds of everything that a server could let grow without end.

use crate::net::http1;

/// How much of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its head, and the interim ones before it. The trailers of a chunked body have the same limits.
    pub head: http1::Limits,
    /// Bytes of the body on the wire, without the framing of chunks.
    pub body: u64,
    /// Bytes of all extensions of chunks together.
    pub extensions: usize,
    /// Bytes of the decoded body.
    pub decoded: u64,
    /// The decoded body may have so many times the bytes that it has on the wire, and each coding below it too.
    pub ratio: u64,
    /// Bytes of a decoded body from which that counts.
    pub ratio_from: u64,
    /// Content codings applied one over the other.
    pub codings: usize,
}

impl Default for Limits {
    /// For an answer that is held in memory: one GiB of body and of decoded body; 16 KiB of chunk extensions; five codings,
    /// and from 32 MiB on what one layer of deflate can do, which is 1,032 times. A head begins with its status line, as h11
    /// wants it: what comes before that may be the end of another answer.
    fn default() -> Self {
        Self {
            head: http1::Limits { empty_lines: false, ..http1::Limits::default() },
            body: 1 << 30,
            extensions: 16 << 10,
            decoded: 1 << 30,
            ratio: 1_100,
            ratio_from: 32 << 20,
            codings: 5,
        }
    }
}

impl Limits {
    /// For an answer that is handed on as it comes: the body has no limit, everything else has.
    #[must_use]
    pub fn streamed() -> Self {
        Self { body: u64::MAX, decoded: u64::MAX, ..Self::default() }
    }
}
