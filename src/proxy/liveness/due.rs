//! What becomes of a proxy by itself when its time has come. Its observers keep the moments; here is what they mean.

use crate::clock::Clock;
use crate::proxy::Proxy;
use crate::proxy::health::reason;
use crate::proxy::liveness::Liveness;
use crate::sync::Arc;

/// What becomes of a proxy when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Its rest is over.
    Rest,
    /// Its breaker was open long enough.
    Breaker,
    /// The one request of its trial has not been reported.
    Probe,
    /// Its bucket holds a token again.
    Token,
}

impl Due {
    /// Brings it about, if the moment has come: a later one may have been written meanwhile.
    pub(crate) fn run(self, proxy: &Arc<Proxy>, now: u64, clock: &dyn Clock) {
        match self {
            Self::Rest => end_rest(proxy, now),
            Self::Breaker => {
                if let Some(breaker) = proxy.liveness().and_then(|liveness| liveness.breaker().clone()) {
                    breaker.reflect(clock);
                }
            }
            Self::Probe => give_up_probe(proxy, now, clock),
            Self::Token => refill(proxy, now),
        }
    }
}

/// Has every pool that holds the proxy keep the moment, so that it happens whichever of them is asked first.
pub(crate) fn schedule(proxy: &Arc<Proxy>, at: u64, what: Due) {
    for observer in proxy.observers() {
        observer.schedule(proxy, at, what);
    }
}

/// Whether a proxy still waits for that moment: each new moment is scheduled as well.
pub(crate) fn is_wanted(at: u64, what: Due, proxy: &Proxy) -> bool {
    let Some(liveness) = proxy.liveness() else { return false };
    let (bit, moment) = match what {
        Due::Rest => (reason::RESTING, Some(liveness.rest_until())),
        Due::Probe => (reason::PROBE_OUT, Some(liveness.probe_until())),
        Due::Token => (reason::NO_TOKENS, Some(liveness.tokens_at())),
        Due::Breaker => (reason::BREAKER, liveness.breaker().as_ref().and_then(|breaker| breaker.open_until())),
    };
    proxy.state().has(bit) && moment == Some(at)
}

/// What a proxy waits for already, for a pool that it comes into.
pub(crate) fn pending(proxy: &Proxy, mut add: impl FnMut(u64, Due)) {
    let Some(liveness) = proxy.liveness() else { return };
    let state = proxy.state();
    if state.has(reason::RESTING) {
        add(liveness.rest_until(), Due::Rest);
    }
    if state.has(reason::PROBE_OUT) {
        add(liveness.probe_until(), Due::Probe);
    }
    if state.has(reason::NO_TOKENS) {
        add(liveness.tokens_at(), Due::Token);
    }
    if state.has(reason::BREAKER)
        && let Some(until) = liveness.breaker().as_ref().and_then(|breaker| breaker.open_until())
    {
        add(until, Due::Breaker);
    }
}

/// The rest is over: one request at a time.
fn end_rest(proxy: &Arc<Proxy>, now: u64) {
    let Some(liveness) = proxy.liveness() else { return };
    let until = liveness.rest_until();
    if until > now {
        // Of two threads that set it to rest at once, the later one wrote the time.
        if proxy.state().has(reason::RESTING) {
            schedule(proxy, until, Due::Rest);
        }
        return;
    }
    proxy.change(|state| if state.has(reason::RESTING) { state.on_trial() } else { state });
}

/// The request on trial was never reported: the next one may try.
fn give_up_probe(proxy: &Arc<Proxy>, now: u64, clock: &dyn Clock) {
    let Some(liveness) = proxy.liveness() else { return };
    if liveness.probe_until() > now {
        // The entry was an earlier one's.
        if proxy.state().has(reason::PROBE_OUT) {
            schedule(proxy, liveness.probe_until(), Due::Probe);
        }
        return;
    }
    if let Some(breaker) = &*liveness.breaker() {
        breaker.give_up_probe(clock);
    }
    proxy.change(|state| state.with(reason::PROBE_OUT, false));
}

/// The bucket is empty until then.
pub(crate) fn run_dry(proxy: &Arc<Proxy>, liveness: &Liveness, next: u64) {
    liveness.set_tokens_at(next);
    proxy.change(|state| state.with(reason::NO_TOKENS, true));
    schedule(proxy, next, Due::Token);
}

/// There is a token again.
fn refill(proxy: &Arc<Proxy>, now: u64) {
    let Some(liveness) = proxy.liveness() else { return };
    let at = liveness.tokens_at();
    if at > now {
        if proxy.state().has(reason::NO_TOKENS) {
            schedule(proxy, at, Due::Token);
        }
        return;
    }
    proxy.change(|state| state.with(reason::NO_TOKENS, false));
}
