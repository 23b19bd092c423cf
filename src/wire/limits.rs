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
    /// Content codings applied one over the other.
    pub codings: usize,
}

impl Default for Limits {
    /// One GiB of body and of decoded body, for an answer that is held in memory; 16 KiB of chunk extensions; five codings.
    fn default() -> Self {
        Self { head: http1::Limits::default(), body: 1 << 30, extensions: 16 << 10, decoded: 1 << 30, codings: 5 }
    }
}

impl Limits {
    /// For an answer that is handed on as it comes: the body has no limit, everything else has.
    #[must_use]
    pub fn streamed() -> Self {
        Self { body: u64::MAX, decoded: u64::MAX, ..Self::default() }
    }
}
