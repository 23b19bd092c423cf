//! Before a request: what was chosen is admitted, within the limits on what a proxy may carry.

use std::num::NonZeroU64;

use super::{Admitted, Denied, OutlierDetector, limit};
use crate::clock::{Clock, nanoseconds};
use crate::proxy::health::{mark, reason};
use crate::proxy::liveness::bucket::Token;
use crate::proxy::liveness::capacity::{self, Bound};
use crate::proxy::liveness::due::{self, Due, schedule};
use crate::proxy::{Proxy, watch};
use crate::sync::{Arc, Ordering};

impl OutlierDetector {
    /// Admits a request whose start has been counted on `proxy`; `connects`: it holds a connection until its end. On refusal
    /// the start has not been taken back.
    ///
    /// # Errors
    /// [`Denied`] if another request has taken the last that there was of something; the proxy is not eligible then.
    #[inline]
    pub fn admit(&self, proxy: &Arc<Proxy>, connects: bool, clock: &dyn Clock) -> Result<Admitted, Denied> {
        // Relaxed: limits are set before the requests they are for.
        let limits = self.limits.load(Ordering::Relaxed);
        let limits = if connects { limits } else { limits & !limit::CONNECTIONS };
        if limits == 0 && !proxy.state().has(mark::TRIAL) {
            return Ok(Admitted::default());
        }
        if limits & limit::CONNECTIONS == 0 {
            return self.admit_by_limits(limits, proxy, clock);
        }
        self.connect(proxy)?;
        match self.admit_by_limits(limits, proxy, clock) {
            Ok(admitted) => Ok(Admitted { connection: true, ..admitted }),
            Err(denied) => {
                self.disconnect(proxy);
                Err(denied)
            }
        }
    }

    fn admit_by_limits(&self, limits: u8, proxy: &Arc<Proxy>, clock: &dyn Clock) -> Result<Admitted, Denied> {
        if limits & limit::CAPACITY != 0 {
            self.fit(proxy)?;
        }
        let probe = if proxy.state().has(mark::TRIAL) { self.claim_probe(proxy, clock)? } else { None };
        let mut admitted = Admitted { probe, ..Admitted::default() };
        if limits & limit::RATE != 0 {
            let rate = &self.rate.get();
            let now = clock.steady_coarse();
            let record = self.record_of(proxy);
            match record.tokens.take(rate, now) {
                Token::Taken(None) => admitted.token = true,
                Token::Taken(Some(next)) => {
                    admitted.token = true;
                    due::run_dry(proxy, record, next);
                }
                Token::None(next) => {
                    due::run_dry(proxy, record, next);
                    self.end_probe(proxy, &admitted, clock);
                    return Err(Denied);
                }
            }
        }
        Ok(admitted)
    }

    /// Requests that a proxy may have in flight.
    fn capacity(&self, proxy: &Proxy) -> Option<u32> {
        let limits = self.limits.load(Ordering::Relaxed);
        if limits & limit::CAPACITY == 0 {
            return None;
        }
        let fixed = Some(self.max_in_flight.load(Ordering::Relaxed)).filter(|fixed| *fixed > 0);
        let earned = if limits & limit::SLOW_START == 0 { None } else { self.record_of(proxy).earned() };
        match (fixed, earned) {
            (Some(fixed), Some(earned)) => Some(fixed.min(earned)),
            (fixed, earned) => fixed.or(earned),
        }
    }

    /// Whether the request fits in, its start included. The last one that does shuts the door.
    fn fit(&self, proxy: &Proxy) -> Result<(), Denied> {
        let Some(capacity) = self.capacity(proxy) else { return Ok(()) };
        if !proxy.is_watched(watch::CAPACITY) {
            // From now on every end of a request checks whether a request waits for it.
            proxy.add_watch(watch::CAPACITY);
        }
        let active = proxy.usage().2;
        if active >= capacity {
            capacity::mark_full(proxy, Bound::InFlight, || self.is_full(proxy, Bound::InFlight));
        }
        if active > capacity { Err(Denied) } else { Ok(()) }
    }

    /// Takes the one request that a proxy on trial may have.
    fn claim_probe(&self, proxy: &Arc<Proxy>, clock: &dyn Clock) -> Result<Option<NonZeroU64>, Denied> {
        let (before, after) =
            proxy.change(|state| if state.has(mark::TRIAL) { state.with(reason::PROBE_OUT, true) } else { state });
        if before.has(reason::PROBE_OUT) {
            return Err(Denied);
        }
        if !after.has(reason::PROBE_OUT) {
            // The trial is over: a success came in between.
            return Ok(None);
        }
        let record = self.record_of(proxy);
        let patience = nanoseconds(self.settings.load().breaker.timeout_duration);
        let probe = record.expect_probe(clock.steady().saturating_add(patience));
        schedule(proxy, probe, Due::Probe);
        if after.has(mark::BREAKER_TRIAL)
            && let Some(breaker) = &*record.breaker()
            && !breaker.attempt(clock)
        {
            proxy.change(|state| state.with(reason::PROBE_OUT, false));
            return Err(Denied);
        }
        Ok(NonZeroU64::new(record.probe_until()))
    }

    /// The request was never made, and what it took for that is given back.
    #[cold]
    pub(crate) fn undo(&self, proxy: &Arc<Proxy>, admitted: &Admitted, clock: &dyn Clock) {
        if admitted.token
            && let Some(rate) = &self.settings.load().proxy_rate
        {
            self.record_of(proxy).tokens.give_back(rate);
            proxy.change(|state| state.with(reason::NO_TOKENS, false));
        }
        self.end_probe(proxy, admitted, clock);
        if admitted.connection {
            self.disconnect(proxy);
        }
    }

    /// Whether a proxy has as much of something as it may.
    pub(crate) fn is_full(&self, proxy: &Proxy, bound: Bound) -> bool {
        match bound {
            Bound::InFlight => self.capacity(proxy).is_some_and(|capacity| proxy.usage().2 >= capacity),
            Bound::Connections => self.has_no_connection(proxy),
        }
    }

    /// The next may be tried, if this one has not been given up already.
    pub(super) fn end_probe(&self, proxy: &Arc<Proxy>, admitted: &Admitted, clock: &dyn Clock) {
        let Some(record) = proxy.liveness() else { return };
        if admitted.probe.is_some_and(|probe| probe.get() == record.probe_until()) {
            if let Some(breaker) = &*record.breaker() {
                breaker.give_up_probe(clock);
            }
            proxy.change(|state| state.with(reason::PROBE_OUT, false));
        }
    }

    /// The request on trial is not in this process: the next one may try.
    pub(crate) fn forget_probe(&self, proxy: &Arc<Proxy>, clock: &dyn Clock) {
        if let Some(record) = proxy.liveness()
            && proxy.state().has(reason::PROBE_OUT)
        {
            if let Some(breaker) = &*record.breaker() {
                breaker.give_up_probe(clock);
            }
            proxy.change(|state| state.with(reason::PROBE_OUT, false));
        }
    }
}
