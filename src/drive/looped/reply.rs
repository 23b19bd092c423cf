//! Requests of a reactor, and what comes of the calls about them.

use crate::drive::answer::Cost;
use crate::net::http1::ResponseHead;
use crate::wire::collect::Body;
use crate::wire::error::Error;

/// One request of a reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) number: usize,
    /// Numbers are used again.
    pub(super) serial: u64,
}

impl Key {
    /// As one number, never zero.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        (self.number as u64) << SERIAL | (self.serial & ((1 << SERIAL) - 1))
    }

    /// The key of that number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { number: (bits >> SERIAL) as usize, serial: bits & ((1 << SERIAL) - 1) }
    }
}

/// Bits of a key that tell apart the requests that had its number: at a million requests a second they last for 12 days, and
/// then a request would have to be as old to be confused.
pub(super) const SERIAL: u32 = 40;

/// What came of a call.
#[derive(Debug)]
pub enum Reply {
    /// The TCP connection is open, see [`Reactor::open`](super::Reactor::open).
    Opened,
    /// The answer, as far as it was to be read.
    Answer(Box<Answer>),
    /// The next piece of the request's body is wanted, see [`Reactor::give`](super::Reactor::give).
    WantsBody,
    /// A piece of the answer's body, as it is on the wire; not empty.
    Piece(Vec<u8>),
    /// The answer's body has ended.
    End,
    /// The request has failed.
    Failed(Error),
}

/// Bytes that a request has moved since the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sent, TLS and what was said to the proxy included.
    pub sent: u64,
    /// Received, likewise.
    pub received: u64,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: ResponseHead,
    /// The body; `None` if it is read by [`Reactor::pull`](super::Reactor::pull).
    pub body: Option<Body>,
    /// What it took so far.
    pub cost: Cost,
}
