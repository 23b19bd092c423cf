//! A pool's outlier detector: admits the chosen proxy, and takes failing proxies out of service.
//!
//! After Envoy's outlier detection,
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier>.

mod admission;
mod connections;
mod verdict;

use std::fmt;
use std::num::NonZeroU64;

use crate::clock::Clock;
use crate::proxy::health::reason;
use crate::proxy::liveness::bucket::SharedRate;
use crate::proxy::liveness::capacity::{self, Bound};
use crate::proxy::liveness::due::{self, Due};
use crate::proxy::liveness::{Breaker, Liveness};
use crate::proxy::{LivenessEvent, Proxy};
use crate::resilience::connections::ConnectionLimits;
use crate::resilience::notice::{Notice, Notices};
use crate::resilience::panic::Panic;
use crate::resilience::settings::Settings;
use crate::resilience::timers::{NEVER, Timers};
use crate::sync::{
    Arc, ArcSwap, ArcSwapOption, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence_after_change,
};

pub(crate) use verdict::Blamed;

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

/// Called when a waiting request may try again.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Receives notices.
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

/// Another thread was faster; the proxy is not eligible any more.
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
            what.run(&proxy, now, clock);
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

    /// What is held against a proxy, made on first demand.
    #[inline]
    fn record_of<'p>(&self, proxy: &'p Proxy) -> &'p Liveness {
        match proxy.liveness() {
            Some(record) => record,
            None => proxy.judged_over(self.settings.load().breaker.window()),
        }
    }

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
                capacity::recheck(proxy, Bound::InFlight);
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

    /// Sets the callback for when something has become free and a request waits.
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

    /// Sets the receiver of notices about proxies.
    pub fn set_listener(&self, listener: Option<Listener>) {
        self.notices.listen(listener.is_some());
        self.listener.store(listener.map(Arc::new));
    }

    /// Delivers pending notices; one read where there are none. To be called without a lock.
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

    /// Tells listeners what has happened to a proxy.
    pub(crate) fn on_event(&self, proxy: &Proxy, event: &LivenessEvent) {
        self.notices.put(|| Notice::of(proxy.id(), event));
    }

    /// Keeps the moment at which something is due.
    pub(crate) fn schedule(&self, proxy: &Arc<Proxy>, at: u64, what: Due) {
        self.timers.add(at, what, proxy, due::is_wanted);
    }

    /// Keeps what a proxy that joins already waits for.
    pub(crate) fn on_join(&self, proxy: &Arc<Proxy>) {
        due::pending(proxy, |at, what| self.schedule(proxy, at, what));
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::net::address::Address;
    use crate::pool::AttachmentOps;
    use crate::proxy::health::Source;
    use crate::proxy::{Id, State, Verdict};
    use crate::rotation::Domain;
    use crate::sync::model;
    use loom::thread;

    fn pool_of_one(settings: Settings) -> (Arc<Domain>, Arc<Proxy>) {
        let pool = Domain::new(1, AttachmentOps::default(), 0);
        let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
        proxy.set_id(Id(0, 1));
        pool.configure(settings, &ManualClock::at(0)).unwrap();
        pool.add(proxy.clone(), None, true).unwrap();
        (pool, proxy)
    }

    /// Starts and asks for admission, as a lease does.
    fn ask(pool: &Domain, proxy: &Arc<Proxy>) -> Option<Admitted> {
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
            let connect = |pool: &Domain, proxy: &Arc<Proxy>| {
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
