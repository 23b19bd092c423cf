//! What came back.

use std::time::Duration;

use crate::net::http1::ResponseHead;

/// An answer whose body was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: ResponseHead,
    /// Its body.
    pub body: WholeBody,
    /// What it took.
    pub cost: Cost,
}

/// A body that was read whole.
#[derive(Debug, Default)]
pub struct WholeBody {
    /// As it was on the wire, without the framing of chunks.
    pub raw: Vec<u8>,
    /// Without its content codings; `None` where it has none.
    pub decoded: Option<Vec<u8>>,
}

impl WholeBody {
    /// The body without its content codings.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(&self.raw)
    }
}

/// What a request took, whether it was answered or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// How long opening a connection took, TLS and the way through the proxy included; `None` where an idle one was used.
    pub dialled: Option<Duration>,
    /// Bytes sent, TLS and what was said to the proxy included.
    pub sent: u64,
    /// Bytes received, likewise.
    pub received: u64,
}
