//! A pool's judge: admits what was chosen, and draws the consequences of what came of it.

use std::fmt;
use std::num::NonZeroU64;

use crate::clock::Clock;
use crate::pool::Pool;
use crate::proxy::health::{Health, mark, reason};
use crate::proxy::{Proxy, State, watch};
use crate::random::Random;
use crate::resilience::blame::{Blame, Conviction};
use crate::resilience::breaker::Breaker;
use crate::resilience::bucket::{SharedRate, Token};
use crate::resilience::connections::ConnectionLimits;
use crate::resilience::notice::{Notice, Notices};
use crate::resilience::panic::Panic;
use crate::resilience::record::Liveness;
use crate::resilience::rest;
use crate::resilience::settings::{Settings, nanoseconds};
use crate::resilience::timers::{Due, NEVER, Timers};
use crate::sync::{
    Arc, ArcSwap, ArcSwapOption, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence_after_change,
};

/// Limits in force, so that a pool without any reads one byte.
mod limit {
    pub(super) const IN_FLIGHT: u8 = 1;
    pub(super) const SLOW_START: u8 = 1 << 1;
    pub(super) const RATE: u8 = 1 << 2;
    /// Of concern only to requests that hold a connection.
    pub(super) const CONNECTIONS: u8 = 1 << 3;
    pub(super) const CAPACITY: u8 = IN_FLIGHT | SLOW_START;
}

/// How long a failure makes careful with proxies that have never succeeded, in nanoseconds.
const TROUBLE: u64 = 60_000_000_000;

/// Called when somebody who waits may try again.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Given what is to be told.
pub type Listener = Box<dyn Fn(Vec<Notice>) + Send + Sync>;

/// What was taken with a lease besides the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admitted {
    /// The number of the one request a proxy on trial may have.
    probe: Option<NonZeroU64>,
    token: bool,
    connection: bool,
}

impl Admitted {
    /// Whether this is the one request of a proxy on trial.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// The same for a child of a fork, which has forgotten the connections in use.
    pub(crate) fn without_connection(self) -> Self {
        Self { connection: false, ..self }
    }
}

/// Somebody else was faster; the proxy is not eligible any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

/// See the module. Thread-safe. No method calls out while it holds a lock, and none is called under a pool's.
pub struct OutlierDetector {
    settings: ArcSwap<Settings>,
    limits: AtomicU8,
    // Of the settings, what every lease asks for; zero for no cap.
    max_in_flight: AtomicU32,
    rate: SharedRate,
    connection_limits: ConnectionLimits,
    // Until when proxies that have never succeeded are spared, on the steady clock.
    trouble_until: AtomicU64,
    waiters: AtomicUsize,
    pub(crate) timers: Timers,
    pub(crate) panic: Panic,
    pub(crate) blame: Blame,
    pub(crate) notices: Notices,
    waker: ArcSwapOption<Waker>,
    listener: ArcSwapOption<Listener>,
}

impl fmt::Debug for OutlierDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutlierDetector").field("settings", &*self.settings.load()).finish_non_exhaustive()
    }
}

impl OutlierDetector {
    pub(crate) fn new() -> Self {
        Self {
            settings: ArcSwap::from_pointee(Settings::default()),
            limits: AtomicU8::new(0),
            max_in_flight: AtomicU32::new(0),
            rate: SharedRate::default(),
            connection_limits: ConnectionLimits::default(),
            trouble_until: AtomicU64::new(0),
            waiters: AtomicUsize::new(0),
            timers: Timers::new(),
            panic: Panic::new(),
            blame: Blame::default(),
            notices: Notices::default(),
            waker: ArcSwapOption::empty(),
            listener: ArcSwapOption::empty(),
        }
    }

    /// What it judges by.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    // ---- before a request -------------------------------------------------------------------------------------------

    /// Brings about what is due by now. One read where nothing is.
    #[inline]
    pub fn catch_up(&self, clock: &dyn Clock) {
        let next = self.timers.next();
        if next != NEVER && next <= clock.steady_coarse() {
            self.run(clock);
        }
    }

    #[cold]
    fn run(&self, clock: &dyn Clock) {
        let now = clock.steady_coarse();
        for (what, proxy) in self.timers.take(now) {
            match what {
                Due::Rest => end_rest(&proxy, now),
                Due::Breaker => {
                    if let Some(breaker) = proxy.liveness().and_then(|record| record.breaker().clone()) {
                        breaker.reflect(clock);
                    }
                }
                Due::Probe => give_up_probe(&proxy, now, clock),
                Due::Token => refill(&proxy, now),
            }
        }
    }

    /// How many things are noted for later, void ones included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.timers.len()
    }

    /// Nanoseconds until something is due by itself, if anything is.
    #[must_use]
    pub fn next_due(&self, clock: &dyn Clock) -> Option<u64> {
        let next = self.timers.next();
        (next != NEVER).then(|| next.saturating_sub(clock.steady_coarse()))
    }

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
                    run_dry(proxy, record, next);
                }
                Token::None(next) => {
                    run_dry(proxy, record, next);
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
            // From now on every end of a request looks whether somebody waits for it.
            proxy.add_watch(watch::CAPACITY);
        }
        let active = proxy.usage().2;
        if active >= capacity {
            mark_full(proxy, &CAPACITY, self);
        }
        if active > capacity { Err(Denied) } else { Ok(()) }
    }

    /// Takes a connection, if there is one left. The request that takes the last one makes the proxy ineligible.
    fn connect(&self, proxy: &Proxy) -> Result<(), Denied> {
        let record = self.record_of(proxy);
        let in_use = record.connect();
        let most = self.connection_limits.most();
        if in_use < most {
            return Ok(());
        }
        record.note_limit_reached();
        mark_full(proxy, &CONNECTIONS, self);
        if in_use > most {
            self.disconnect(proxy);
            return Err(Denied);
        }
        Ok(())
    }

    /// Gives a connection back.
    fn disconnect(&self, proxy: &Proxy) {
        let had_reached_limit = proxy.liveness().is_some_and(Liveness::disconnect);
        if had_reached_limit && proxy.newest_state().has(reason::NO_CONNECTION) {
            recheck(proxy, &CONNECTIONS);
        }
    }

    fn is_at_capacity(&self, proxy: &Proxy) -> bool {
        self.capacity(proxy).is_some_and(|capacity| proxy.usage().2 >= capacity)
    }

    fn has_no_connection(&self, proxy: &Proxy) -> bool {
        self.limits_connections()
            && proxy.liveness().is_some_and(|record| record.connections() >= self.connection_limits.most())
    }

    /// Whether connections in use are counted.
    #[inline]
    pub(crate) fn limits_connections(&self) -> bool {
        self.limits.load(Ordering::Relaxed) & limit::CONNECTIONS != 0
    }

    /// Limits the connections in use through each of `members`, besides the limits that there are: the lowest holds.
    pub(crate) fn add_connection_limit(&self, most: u32) {
        self.connection_limits.add(most);
        self.limits.fetch_or(limit::CONNECTIONS, Ordering::Relaxed);
    }

    /// Takes such a limit back.
    pub(crate) fn remove_connection_limit(&self, most: u32, members: &[Arc<Proxy>]) {
        // The bit stays: the requests under way hold what they took, and to count on is cheap.
        self.connection_limits.remove(most);
        for proxy in members {
            if proxy.state().has(reason::NO_CONNECTION) {
                recheck(proxy, &CONNECTIONS);
            }
        }
        self.freed();
    }

    /// A proxy has failed: for a while, a proxy that has never succeeded gets one request at a time where there are others.
    pub(crate) fn note_trouble(&self, now: u64) {
        // Relaxed: the moment orders nothing but itself.
        self.trouble_until.store(now.saturating_add(TROUBLE), Ordering::Relaxed);
    }

    /// Whether a proxy has failed lately.
    #[inline]
    pub(crate) fn is_in_trouble(&self, now: u64) -> bool {
        self.trouble_until.load(Ordering::Relaxed) > now
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

    // ---- after a request --------------------------------------------------------------------------------------------

    /// The proxy has carried a request; to be told after the result was recorded.
    #[inline]
    pub fn on_success(&self, proxy: &Arc<Proxy>, admitted: &Admitted, now: u64, clock: &dyn Clock) {
        self.panic.calm(now);
        let record = self.record_of(proxy);
        let state = proxy.state();
        // A breaker that is not closed has its mark in the word.
        if state.has(reason::BREAKER | mark::BREAKER_TRIAL) {
            self.breaker_of(proxy).record_success(clock);
        } else {
            record.count_success(now);
        }
        if record.earn() && state.has(reason::AT_CAPACITY) {
            recheck_capacity(proxy);
        }
        if admitted.probe.is_some() {
            self.end_probe(proxy, admitted, clock);
        }
        if admitted.connection {
            self.disconnect(proxy);
        }
        self.freed();
    }

    /// The proxy has failed; to be told before the result is recorded, so that its consequence is there first. `login`: for
    /// want of credentials.
    #[cold]
    pub fn on_failure(&self, pool: &Pool, proxy: &Arc<Proxy>, admitted: &Admitted, login: bool, clock: &dyn Clock) {
        self.note_trouble(clock.steady_coarse());
        let settings = self.settings.load_full();
        if self.panic.holds(pool, proxy, &settings, clock) {
            let (before, _) = proxy.change(State::panic_exempt);
            if before.has(mark::BREAKER_TRIAL) {
                self.breaker_of(proxy).give_up_probe(clock);
            }
            if self.panic.is_news() {
                self.notices.put(|| Notice::Panic { site: None });
            }
        } else {
            let state = proxy.state();
            // The last that may be chosen is not given up for a failure or two, proven or not.
            let unexplored = proxy.totals().1 == 0 && pool.table().all.dense.len() > 1;
            // This failure is not counted yet.
            let fallen = !Health::after_failures(proxy.consecutive_failures().saturating_add(1)).is_usable();
            if login || unexplored || fallen || state.has(mark::ON_TRIAL | mark::PARDONED) {
                self.rest(proxy, login, clock);
            }
            self.breaker_of(proxy).record_failure(clock);
        }
        self.end_probe(proxy, admitted, clock);
    }

    /// Evidence says that failures booked as a site's fault are the proxy's. To be called with no lock held.
    #[cold]
    pub(crate) fn convict(&self, pool: &Pool, conviction: &Conviction, clock: &dyn Clock) {
        let proxy = &conviction.proxy;
        // The sites of a row follow each other, whenever they are decided.
        let is_news = self.record_of(proxy).is_blamed_anew(conviction.began, clock.steady()) || conviction.by_row;
        if is_news {
            let others_eligible = pool.table().all.dense.len() > usize::from(proxy.reasons() == 0);
            if conviction.by_row && !others_eligible {
                // A row of sites is weak evidence, and to bench the last proxy for it gains nothing.
                proxy.change(State::panic_exempt);
            } else {
                self.on_failure(pool, proxy, &Admitted::default(), false, clock);
            }
        }
        proxy.rebook_as_failures(conviction.results, u32::from(is_news), clock);
    }

    /// The request has ended without saying anything of the proxy.
    #[inline]
    pub fn on_inconclusive(&self, proxy: &Arc<Proxy>, admitted: &Admitted, clock: &dyn Clock) {
        if admitted.probe.is_some() {
            self.end_probe(proxy, admitted, clock);
        }
        if admitted.connection {
            self.disconnect(proxy);
        }
        self.freed();
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

    /// The next may be tried, if this one has not been given up already.
    fn end_probe(&self, proxy: &Arc<Proxy>, admitted: &Admitted, clock: &dyn Clock) {
        let Some(record) = proxy.liveness() else { return };
        if admitted.probe.is_some_and(|probe| probe.get() == record.probe_until()) {
            if let Some(breaker) = &*record.breaker() {
                breaker.give_up_probe(clock);
            }
            proxy.change(|state| state.with(reason::PROBE_OUT, false));
        }
    }

    /// The connections in use are those of another process.
    pub(crate) fn forget_connections(&self, proxy: &Proxy) {
        if let Some(record) = proxy.liveness() {
            record.forget_connections();
            if proxy.state().has(reason::NO_CONNECTION) {
                recheck(proxy, &CONNECTIONS);
            }
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

    /// Leaves a proxy alone for a while. What ends meanwhile neither prolongs the rest nor raises the next one.
    pub(crate) fn rest(&self, proxy: &Arc<Proxy>, login: bool, clock: &dyn Clock) {
        if proxy.state().has(reason::RESTING) {
            return;
        }
        let settings = self.settings.load();
        let record = self.record_of(proxy);
        let level = record.level();
        let span = rest::rest(settings.rest_base, settings.rest_cap, level, Random::Thread.unit());
        let until = clock.steady().saturating_add(span);
        record.set_rest_until(until);
        let (before, _) = proxy.change(|state| if state.has(reason::RESTING) { state } else { state.resting(login) });
        // By whoever is second too: the moment it has written is the one that counts.
        schedule(proxy, until, Due::Rest);
        if !before.has(reason::RESTING) {
            record.rested_again();
            tell(proxy, || Notice::Rested { proxy: proxy.id(), seconds: span as f64 / 1e9, level });
        }
    }

    /// What is held against a proxy, made on first demand.
    #[inline]
    fn record_of<'p>(&self, proxy: &'p Proxy) -> &'p Liveness {
        match proxy.liveness() {
            Some(record) => record,
            None => proxy.judged_over(self.settings.load().breaker.window()),
        }
    }

    // ---- breakers ---------------------------------------------------------------------------------------------------

    /// The breaker of a proxy, made on first demand.
    pub fn breaker_of(&self, proxy: &Arc<Proxy>) -> Arc<Breaker> {
        self.record_of(proxy).breaker_or(proxy, &self.settings.load().breaker)
    }

    /// Gives a proxy another breaker. False if that belongs to another proxy.
    pub fn set_breaker(&self, proxy: &Arc<Proxy>, breaker: &Arc<Breaker>, clock: &dyn Clock) -> bool {
        if !breaker.belong_to(proxy) {
            return false;
        }
        self.record_of(proxy).set_breaker(breaker.clone());
        breaker.reflect(clock);
        true
    }

    // ---- settings, waiting, telling ---------------------------------------------------------------------------------

    /// Judges `members` by other settings from now on.
    pub(crate) fn configure(&self, settings: Settings, members: &[Arc<Proxy>]) {
        let before = self.settings.load_full();
        let breakers = settings.breaker;
        let mut limits = 0;
        for (on, bit) in [
            (settings.max_in_flight.is_some(), limit::IN_FLIGHT),
            (settings.slow_start, limit::SLOW_START),
            (settings.proxy_rate.is_some(), limit::RATE),
        ] {
            if on {
                limits |= bit;
            }
        }
        self.max_in_flight.store(settings.max_in_flight.unwrap_or(0), Ordering::Relaxed);
        if let Some(rate) = &settings.proxy_rate {
            self.rate.set(rate);
        }
        self.settings.store(Arc::new(settings));
        let with_connections = |before: u8| Some(limits | (before & limit::CONNECTIONS));
        let _ = self.limits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_connections);
        for proxy in members {
            if let Some(record) = proxy.liveness() {
                match &*record.breaker() {
                    // One that was given by hand keeps its own.
                    Some(breaker) if breaker.settings() != before.breaker => {}
                    Some(breaker) => {
                        breaker.apply(&breakers);
                        record.set_window(breakers.window());
                    }
                    None => record.set_window(breakers.window()),
                }
            }
            let state = proxy.state();
            if state.has(reason::NO_TOKENS) {
                proxy.change(|state| state.with(reason::NO_TOKENS, false));
            }
            if state.has(reason::AT_CAPACITY) {
                recheck_capacity(proxy);
            }
        }
        self.freed();
    }

    /// So many more wait for something to become free; negative: fewer.
    pub fn add_waiters(&self, more: isize) {
        if more < 0 {
            let fewer = |waiters: usize| Some(waiters.saturating_sub(more.unsigned_abs()));
            let _ = self.waiters.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        } else {
            self.waiters.fetch_add(more.unsigned_abs(), Ordering::AcqRel);
        }
    }

    /// Who is called when something has become free and somebody waits.
    pub fn set_waker(&self, waker: Option<Waker>) {
        self.waker.store(waker.map(Arc::new));
    }

    /// Something may have become free. To be called with no lock held.
    #[inline]
    pub fn freed(&self) {
        // A request that begins to wait looks once more after it is counted, behind a fence like this one.
        fence_after_change();
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if let Some(waker) = self.waker.load_full() {
            waker();
        }
    }

    /// Who is told what happens to proxies.
    pub fn set_listener(&self, listener: Option<Listener>) {
        self.notices.listen(listener.is_some());
        self.listener.store(listener.map(Arc::new));
    }

    /// Tells what there is to tell; one read where there is nothing. To be called with no lock held.
    #[inline]
    pub fn deliver(&self) {
        if self.notices.any() {
            self.tell_all();
        }
    }

    #[cold]
    fn tell_all(&self) {
        let notices = self.notices.take();
        if let Some(listener) = self.listener.load_full().filter(|_| !notices.is_empty()) {
            listener(notices);
        }
    }

    pub(crate) fn tell_of_revival(&self, proxy: &Proxy) {
        self.notices.put(|| Notice::Revived { proxy: proxy.id() });
    }
}

/// Notes something in every pool that holds the proxy, so that it happens whichever is asked first.
pub(crate) fn schedule(proxy: &Arc<Proxy>, at: u64, what: Due) {
    for home in proxy.observers() {
        home.guard().timers.add(at, what, proxy, is_wanted);
    }
}

/// Whether a proxy waits for that to come at that moment. Whoever writes another moment notes that one as well.
fn is_wanted(at: u64, what: Due, proxy: &Proxy) -> bool {
    let Some(record) = proxy.liveness() else { return false };
    let (bit, moment) = match what {
        Due::Rest => (reason::RESTING, Some(record.rest_until())),
        Due::Probe => (reason::PROBE_OUT, Some(record.probe_until())),
        Due::Token => (reason::NO_TOKENS, Some(record.tokens_at())),
        Due::Breaker => (reason::BREAKER, record.breaker().as_ref().and_then(|breaker| breaker.open_until())),
    };
    proxy.state().has(bit) && moment == Some(at)
}

/// Notes in a pool what a proxy that comes into it already waits for.
pub(crate) fn take_over(timers: &Timers, proxy: &Arc<Proxy>) {
    let Some(record) = proxy.liveness() else { return };
    let state = proxy.state();
    if state.has(reason::RESTING) {
        timers.add(record.rest_until(), Due::Rest, proxy, is_wanted);
    }
    if state.has(reason::PROBE_OUT) {
        timers.add(record.probe_until(), Due::Probe, proxy, is_wanted);
    }
    if state.has(reason::NO_TOKENS) {
        timers.add(record.tokens_at(), Due::Token, proxy, is_wanted);
    }
    if state.has(reason::BREAKER)
        && let Some(until) = record.breaker().as_ref().and_then(|breaker| breaker.open_until())
    {
        timers.add(until, Due::Breaker, proxy, is_wanted);
    }
}

/// Tells everybody who listens to a pool that holds the proxy.
pub(crate) fn tell(proxy: &Proxy, notice: impl Fn() -> Notice) {
    for home in proxy.observers() {
        home.guard().notices.put(&notice);
    }
}

/// The rest is over: one request at a time.
fn end_rest(proxy: &Arc<Proxy>, now: u64) {
    let Some(record) = proxy.liveness() else { return };
    let until = record.rest_until();
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
    let Some(record) = proxy.liveness() else { return };
    if record.probe_until() > now {
        // The entry was an earlier one's.
        if proxy.state().has(reason::PROBE_OUT) {
            schedule(proxy, record.probe_until(), Due::Probe);
        }
        return;
    }
    if let Some(breaker) = &*record.breaker() {
        breaker.give_up_probe(clock);
    }
    proxy.change(|state| state.with(reason::PROBE_OUT, false));
}

/// The bucket is empty until then.
fn run_dry(proxy: &Arc<Proxy>, record: &Liveness, next: u64) {
    record.set_tokens_at(next);
    proxy.change(|state| state.with(reason::NO_TOKENS, true));
    schedule(proxy, next, Due::Token);
}

/// There is a token again.
fn refill(proxy: &Arc<Proxy>, now: u64) {
    let Some(record) = proxy.liveness() else { return };
    let at = record.tokens_at();
    if at > now {
        if proxy.state().has(reason::NO_TOKENS) {
            schedule(proxy, at, Due::Token);
        }
        return;
    }
    proxy.change(|state| state.with(reason::NO_TOKENS, false));
}

/// Something that a proxy may have only so much of: the reason it leaves when there is no more, and whether there is none.
struct Bound {
    reason: u32,
    is_full: fn(&OutlierDetector, &Proxy) -> bool,
}

const CAPACITY: Bound = Bound { reason: reason::AT_CAPACITY, is_full: OutlierDetector::is_at_capacity };
const CONNECTIONS: Bound = Bound { reason: reason::NO_CONNECTION, is_full: OutlierDetector::has_no_connection };

/// Marks a proxy that carries as much as it may, as long as it does.
#[cold]
fn mark_full(proxy: &Proxy, bound: &Bound, guard: &OutlierDetector) {
    let is_full = || (bound.is_full)(guard, proxy);
    proxy.set_reason(bound.reason, true);
    // Written even where it was there already: the thread that takes it away after this sees the start that was counted before.
    while !proxy.newest_state().has(bound.reason) && is_full() {
        proxy.set_reason(bound.reason, true);
    }
    // A request may have ended before it could see the reason.
    if !is_full() {
        recheck(proxy, bound);
    }
}

/// Looks again whether a proxy carries as much as it may in flight.
#[cold]
pub(crate) fn recheck_capacity(proxy: &Proxy) {
    recheck(proxy, &CAPACITY);
}

/// Looks again whether a proxy carries as much as it may, by the strictest of the pools that hold it.
#[cold]
fn recheck(proxy: &Proxy, bound: &Bound) {
    let observers = proxy.observers();
    let is_full = || observers.iter().any(|pool| (bound.is_full)(pool.guard(), proxy));
    loop {
        if is_full() {
            return;
        }
        proxy.set_reason(bound.reason, false);
        // One may have begun that saw the reason still there and left it at that.
        if !is_full() {
            return;
        }
        proxy.set_reason(bound.reason, true);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::net::address::Address;
    use crate::pool::AttachmentOps;
    use crate::proxy::health::Source;
    use crate::proxy::{Id, Verdict};
    use crate::sync::model;
    use loom::thread;

    fn pool_of_one(settings: Settings) -> (Arc<Pool>, Arc<Proxy>) {
        let pool = Pool::new(1, AttachmentOps::default(), 0);
        let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
        proxy.set_id(Id(0, 1));
        pool.configure_guard(settings, &ManualClock::at(0)).unwrap();
        pool.add(proxy.clone(), None, true).unwrap();
        (pool, proxy)
    }

    /// Starts and asks for admission, as a lease does.
    fn ask(pool: &Pool, proxy: &Arc<Proxy>) -> Option<Admitted> {
        let clock = ManualClock::at(0);
        proxy.start(&clock);
        match pool.guard().admit(proxy, false, &clock) {
            Ok(admitted) => Some(admitted),
            Err(Denied) => {
                proxy.cancel_start(&clock);
                None
            }
        }
    }

    // Fails when `ended_one` loads the word instead of writing it, or `fit` does not look again.
    #[test]
    fn the_door_is_open_at_rest_whoever_shuts_it_last() {
        model(|| {
            let (pool, proxy) = pool_of_one(Settings { max_in_flight: Some(1), ..Settings::default() });
            let clock = ManualClock::at(0);
            assert!(ask(&pool, &proxy).is_some());
            let other = thread::spawn({
                let (pool, proxy) = (pool.clone(), proxy.clone());
                move || ask(&pool, &proxy).is_some()
            });
            proxy.complete(Verdict::Elsewhere, None, &clock);
            let admitted = other.join().unwrap();
            assert_eq!(proxy.usage().2, u32::from(admitted));
            assert_eq!(proxy.state().has(reason::AT_CAPACITY), admitted);
        });
    }

    // Fails when `fit` asks before the start is counted.
    #[test]
    fn no_more_are_admitted_than_fit() {
        model(|| {
            let (pool, proxy) = pool_of_one(Settings { max_in_flight: Some(1), ..Settings::default() });
            let other = thread::spawn({
                let (pool, proxy) = (pool.clone(), proxy.clone());
                move || ask(&pool, &proxy).is_some()
            });
            let mine = ask(&pool, &proxy).is_some();
            let theirs = other.join().unwrap();
            assert!(!(mine && theirs));
            let admitted = mine || theirs;
            assert_eq!(proxy.usage().2, u32::from(admitted));
            assert_eq!(proxy.state().has(reason::AT_CAPACITY), admitted);
        });
    }

    // Fails when `disconnect` does not see in its own word that the limit was reached, or `mark_full` does not look again.
    #[test]
    fn the_last_connection_leaves_a_proxy_that_may_be_chosen() {
        model(|| {
            let (pool, proxy) = pool_of_one(Settings::default());
            pool.guard().add_connection_limit(2);
            let clock = ManualClock::at(0);
            let connect = |pool: &Pool, proxy: &Arc<Proxy>| {
                proxy.start(&ManualClock::at(0));
                pool.guard().admit(proxy, true, &ManualClock::at(0)).unwrap()
            };
            let first = connect(&pool, &proxy);
            let other = thread::spawn({
                let (pool, proxy) = (pool.clone(), proxy.clone());
                move || drop(connect(&pool, &proxy))
            });
            proxy.complete(Verdict::Elsewhere, None, &clock);
            pool.guard().on_inconclusive(&proxy, &first, &clock);
            other.join().unwrap();
            assert!(!proxy.state().has(reason::NO_CONNECTION), "one of two is in use");
        });
    }

    // Fails when the probe is claimed by a look and a store.
    #[test]
    fn one_gets_the_probe() {
        model(|| {
            let (pool, proxy) = pool_of_one(Settings::default());
            proxy.change(State::on_trial);
            let other = thread::spawn({
                let (pool, proxy) = (pool.clone(), proxy.clone());
                move || ask(&pool, &proxy).is_some()
            });
            let mine = ask(&pool, &proxy).is_some();
            assert!(mine != other.join().unwrap());
            assert!(proxy.state().has(reason::PROBE_OUT));
        });
    }

    // Fails when the success clears marks that it read before the claim.
    #[test]
    fn a_success_from_elsewhere_leaves_no_probe_behind() {
        model(|| {
            let (pool, proxy) = pool_of_one(Settings::default());
            proxy.change(State::on_trial);
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || proxy.record(Verdict::Success(1.0), None, &ManualClock::at(0))
            });
            let admitted = ask(&pool, &proxy);
            other.join().unwrap();
            assert!(admitted.is_some());
            assert_eq!(proxy.reasons(), 0);
        });
    }
}
