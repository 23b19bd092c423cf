//! What came back.

use std::time::Duration;

use crate::net::http1::ResponseHead;
use crate::wire::collect::Body;

/// An answer whose body was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: ResponseHead,
    /// Its body.
    pub body: Body,
    /// What it took.
    pub cost: Cost,
}

/// What a request took, whether it was answered or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// How long opening a connection took, TLS and the way through the proxy included; `None` where an idle one was used.
    pub dialled: Option<Duration>,
    /// How long it took until the head of the answer was there, a second try over a new connection included.
    pub head: Option<Duration>,
    /// Bytes sent, TLS and what was said to the proxy included.
    pub sent: u64,
    /// Bytes received, likewise.
    pub received: u64,
}
