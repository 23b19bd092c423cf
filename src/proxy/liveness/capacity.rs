//! How much a proxy may carry at once, by the strictest of the pools that hold it.

use crate::proxy::Proxy;
use crate::proxy::health::reason;

/// Something that a proxy may have only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Requests in flight.
    InFlight,
    /// Connections in use.
    Connections,
}

impl Bound {
    /// The reason against a proxy that has as much as it may.
    pub(crate) const fn reason(self) -> u32 {
        match self {
            Self::InFlight => reason::AT_CAPACITY,
            Self::Connections => reason::NO_CONNECTION,
        }
    }
}

/// Marks a proxy that carries as much as it may, as long as `is_full` says so.
#[cold]
pub(crate) fn mark_full(proxy: &Proxy, bound: Bound, is_full: impl Fn() -> bool) {
    proxy.set_reason(bound.reason(), true);
    // Written even where it was there already: the thread that takes it away after this sees the start that was counted before.
    while !proxy.newest_state().has(bound.reason()) && is_full() {
        proxy.set_reason(bound.reason(), true);
    }
    // A request may have ended before it could see the reason.
    if !is_full() {
        recheck(proxy, bound);
    }
}

/// Looks again whether a proxy carries as much as it may.
#[cold]
pub(crate) fn recheck(proxy: &Proxy, bound: Bound) {
    let observers = proxy.observers();
    let is_full = || observers.iter().any(|observer| observer.is_full(proxy, bound));
    loop {
        if is_full() {
            return;
        }
        proxy.set_reason(bound.reason(), false);
        // A request may have begun that saw the reason still there and left it at that.
        if !is_full() {
            return;
        }
        proxy.set_reason(bound.reason(), true);
    }
}
