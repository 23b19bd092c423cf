//! The circuit breaker: opens after enough failures, is half-open for one request at a time, and closes after success.
//! After Michael Nygard, "Release It!"; see <https://martinfowler.com/bliki/CircuitBreaker.html>.

use std::collections::VecDeque;
use std::fmt;

use crate::clock::{Clock, Micros, nanoseconds};
use crate::proxy::Proxy;
use crate::proxy::liveness::due::{Due, schedule};
use crate::proxy::liveness::settings::{BreakerSettings, SettingsError};
use crate::proxy::liveness::tally::Tally;
use crate::proxy::observers::LivenessEvent;
use crate::sync::{Arc, AtomicU8, AtomicU32, AtomicU64, Mutex, OnceLock, Ordering, Weak};

/// The documented states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Every request passes.
    Closed,
    /// No request passes.
    Open,
    /// One request at a time.
    HalfOpen,
}

impl Phase {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The documented value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Failures remembered with their moments. A window that holds more is judged by its youngest ones.
const REMEMBERED: usize = 1000;

/// A step from one state to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: Phase,
    /// The state after.
    pub to: Phase,
    /// Failures in the window.
    pub failures: usize,
}

#[derive(Default)]
struct Inner {
    failures: VecDeque<u64>,
    // When it has been open long enough.
    until: u64,
    // When the request on trial is given up; none is under way without it.
    probe_until: Option<u64>,
    won: u32,
    changed: Option<Micros>,
}

/// See the module. Thread-safe. A success while closed costs no lock.
///
/// The lock is held over a change of the owner's state word and nothing else: not while pools are reindexed.
pub struct Breaker {
    phase: AtomicU8,
    failure_threshold: AtomicU32,
    success_threshold: AtomicU32,
    // Nanoseconds.
    window: AtomicU64,
    timeout: AtomicU64,
    // Bits of a float.
    failure_rate: AtomicU64,
    // Of one without a proxy; a proxy's are counted where every success finds them.
    successes: Tally,
    // Most never see a failure and need none of this.
    inner: Mutex<Option<Box<Inner>>>,
    owner: OnceLock<Weak<Proxy>>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn new(settings: BreakerSettings) -> Result<Arc<Self>, SettingsError> {
        Ok(Self::with(&settings.checked()?))
    }

    pub(crate) fn with(settings: &BreakerSettings) -> Arc<Self> {
        let breaker = Self {
            phase: AtomicU8::new(Phase::Closed as u8),
            failure_threshold: AtomicU32::new(0),
            success_threshold: AtomicU32::new(0),
            window: AtomicU64::new(0),
            timeout: AtomicU64::new(0),
            failure_rate: AtomicU64::new(0),
            successes: Tally::new(),
            inner: Mutex::new(None),
            owner: OnceLock::new(),
        };
        breaker.apply(settings);
        Arc::new(breaker)
    }

    /// Takes over other settings; state and history stay.
    pub(crate) fn apply(&self, settings: &BreakerSettings) {
        self.failure_threshold.store(settings.failure_threshold, Ordering::Relaxed);
        self.success_threshold.store(settings.success_threshold, Ordering::Relaxed);
        self.window.store(settings.window(), Ordering::Relaxed);
        self.timeout.store(nanoseconds(settings.timeout_duration), Ordering::Relaxed);
        self.failure_rate.store(settings.failure_rate.to_bits(), Ordering::Relaxed);
    }

    /// Nanoseconds that a result counts.
    pub(crate) fn window(&self) -> u64 {
        self.window.load(Ordering::Relaxed)
    }

    /// What it goes by.
    #[must_use]
    pub fn settings(&self) -> BreakerSettings {
        BreakerSettings {
            failure_threshold: self.failure_threshold.load(Ordering::Relaxed),
            success_threshold: self.success_threshold.load(Ordering::Relaxed),
            window_duration: self.window.load(Ordering::Relaxed) as f64 / 1e9,
            timeout_duration: self.timeout.load(Ordering::Relaxed) as f64 / 1e9,
            failure_rate: f64::from_bits(self.failure_rate.load(Ordering::Relaxed)),
        }
    }

    /// Makes it a proxy's, once and for all; whether it is now.
    pub(crate) fn belong_to(&self, proxy: &Arc<Proxy>) -> bool {
        let owner = self.owner.get_or_init(|| Arc::downgrade(proxy));
        std::ptr::eq(owner.as_ptr(), Arc::as_ptr(proxy))
    }

    /// The proxy it shuts out, if it is one's and that is still there.
    #[must_use]
    pub fn owner(&self) -> Option<Arc<Proxy>> {
        self.owner.get().and_then(Weak::upgrade)
    }

    /// Its state. A breaker that has been open long enough is still OPEN until a request asks to pass.
    #[must_use]
    pub fn phase(&self) -> Phase {
        // Acquire: a thread that sees a state sees what led to it.
        Phase::ALL[self.phase.load(Ordering::Acquire) as usize % Phase::ALL.len()]
    }

    /// Moments of the failures in the window, nanoseconds on the steady clock, oldest first.
    #[must_use]
    pub fn failures(&self, now: u64) -> Vec<u64> {
        let begin = now.saturating_sub(self.window.load(Ordering::Relaxed));
        match &*self.inner.lock() {
            Some(inner) => inner.failures.iter().copied().filter(|at| *at > begin).collect(),
            None => Vec::new(),
        }
    }

    /// When it lets a request try, if it is open.
    #[must_use]
    pub fn open_until(&self) -> Option<u64> {
        let inner = self.inner.lock();
        inner.as_ref().filter(|_| self.phase() == Phase::Open).map(|inner| inner.until)
    }

    /// When its state last changed, if ever.
    #[must_use]
    pub fn changed(&self) -> Option<Micros> {
        self.inner.lock().as_ref().and_then(|inner| inner.changed)
    }

    /// Whether a request might pass at `now`. Changes nothing.
    #[must_use]
    pub fn would_allow(&self, now: u64) -> bool {
        match self.phase() {
            Phase::Closed => true,
            _ => match &*self.inner.lock() {
                None => true,
                Some(inner) => match self.phase() {
                    Phase::Closed => true,
                    Phase::Open => now >= inner.until,
                    Phase::HalfOpen => inner.probe_until.is_none_or(|until| now >= until),
                },
            },
        }
    }

    /// Lets a request pass, or not. A request that passes while the breaker is not closed has to be reported.
    pub fn attempt(&self, clock: &dyn Clock) -> bool {
        if self.phase() == Phase::Closed {
            return true;
        }
        let now = clock.steady();
        let timeout = self.timeout.load(Ordering::Relaxed);
        self.step(clock, |breaker, inner| {
            let granted = match breaker.phase() {
                Phase::Closed => return true,
                Phase::Open => now >= inner.until,
                Phase::HalfOpen => inner.probe_until.is_none_or(|until| now >= until),
            };
            if granted {
                breaker.enter(Phase::HalfOpen);
                inner.probe_until = Some(now.saturating_add(timeout));
            }
            granted
        })
    }

    /// A request has succeeded.
    pub fn record_success(&self, clock: &dyn Clock) {
        if self.phase() == Phase::Closed {
            self.with_successes(|tally| tally.count(clock.steady_coarse(), self.window()));
        } else {
            self.succeed_on_trial(clock);
        }
    }

    fn with_successes<R>(&self, read: impl FnOnce(&Tally) -> R) -> R {
        let owner = self.owner();
        match owner.as_ref().and_then(|proxy| proxy.liveness()) {
            Some(record) => read(record.successes()),
            None => read(&self.successes),
        }
    }

    #[cold]
    fn succeed_on_trial(&self, clock: &dyn Clock) {
        let wanted = self.success_threshold.load(Ordering::Relaxed);
        self.step(clock, |breaker, inner| {
            if breaker.phase() != Phase::HalfOpen {
                return;
            }
            inner.probe_until = None;
            inner.won += 1;
            if inner.won >= wanted {
                breaker.close(inner);
            }
        });
    }

    /// A request has failed.
    #[cold]
    pub fn record_failure(&self, clock: &dyn Clock) {
        let now = clock.steady();
        let window = self.window.load(Ordering::Relaxed);
        let timeout = self.timeout.load(Ordering::Relaxed);
        self.step(clock, |breaker, inner| {
            let begin = now.saturating_sub(window);
            while inner.failures.front().is_some_and(|at| *at <= begin) || inner.failures.len() >= REMEMBERED {
                inner.failures.pop_front();
            }
            inner.failures.push_back(now);
            let open = match breaker.phase() {
                Phase::Closed => breaker.is_too_much(inner, now, begin, window),
                Phase::HalfOpen => true,
                Phase::Open => false,
            };
            if open {
                inner.until = now.saturating_add(timeout);
                inner.probe_until = None;
                inner.won = 0;
                breaker.enter(Phase::Open);
            }
        });
    }

    /// Enough failures, and enough of all results.
    fn is_too_much(&self, inner: &Inner, now: u64, begin: u64, window: u64) -> bool {
        let failures = inner.failures.len();
        if failures < self.failure_threshold.load(Ordering::Relaxed) as usize {
            return false;
        }
        // Where not all failures of the window are remembered, both are counted since the oldest that is.
        let since = if failures >= REMEMBERED { inner.failures[0] } else { begin };
        let successes = self.with_successes(|tally| tally.sum(now, since, window));
        let rate = f64::from_bits(self.failure_rate.load(Ordering::Relaxed));
        failures as f64 >= rate * (failures as f64 + successes as f64)
    }

    /// The request on trial has ended without saying anything of the proxy.
    pub(crate) fn give_up_probe(&self, clock: &dyn Clock) {
        if self.phase() == Phase::HalfOpen {
            self.step(clock, |_, inner| inner.probe_until = None);
        }
    }

    /// Brings the proxy's state word up to date, and notes when the next change is due.
    pub(crate) fn reflect(&self, clock: &dyn Clock) {
        self.step(clock, |_, _| ());
        let due = match &*self.inner.lock() {
            Some(inner) => self.due(inner),
            None => None,
        };
        if let (Some((until, what)), Some(proxy)) = (due, self.owner()) {
            schedule(&proxy, until, what);
        }
    }

    /// When its state changes by itself, and how.
    fn due(&self, inner: &Inner) -> Option<(u64, Due)> {
        match self.phase() {
            Phase::Closed => None,
            Phase::Open => Some((inner.until, Due::Breaker)),
            Phase::HalfOpen => inner.probe_until.map(|until| (until, Due::Probe)),
        }
    }

    /// Closed, with nothing remembered.
    pub fn reset(&self, clock: &dyn Clock) {
        self.step(clock, |breaker, inner| breaker.close(inner));
    }

    /// Takes over what was kept of an earlier one: how many nanoseconds ago its failures were, and if it is to be open,
    /// for how long yet.
    pub fn restore(&self, failures: &[u64], open_for: Option<u64>, clock: &dyn Clock) {
        let now = clock.steady();
        self.step(clock, |breaker, inner| {
            breaker.close(inner);
            let mut moments: Vec<u64> = failures.iter().map(|ago| now.saturating_sub(*ago)).collect();
            moments.sort_unstable();
            inner.failures.extend(&moments[moments.len().saturating_sub(REMEMBERED)..]);
            if let Some(left) = open_for {
                inner.until = now.saturating_add(left);
                breaker.enter(Phase::Open);
            }
        });
    }

    fn close(&self, inner: &mut Inner) {
        inner.failures.clear();
        inner.probe_until = None;
        inner.won = 0;
        self.with_successes(Tally::clear);
        self.enter(Phase::Closed);
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Applies a change, to the owner's state word as well, and notifies observers once the lock is released.
    #[cold]
    fn step<R>(&self, clock: &dyn Clock, change: impl FnOnce(&Self, &mut Inner) -> R) -> R {
        let owner = self.owner();
        let now = clock.steady();
        let (result, transition, due, refresh) = {
            let mut inner = self.inner.lock();
            let inner = inner.get_or_insert_default();
            let (from, due_before) = (self.phase(), self.due(inner));
            let result = change(self, inner);
            let to = self.phase();
            let transition = (from != to).then(|| {
                inner.changed = Some(clock.wall_exact());
                let failures = inner.failures.len();
                Transition { from, to, failures }
            });
            let due = self.due(inner);
            // Under the lock: of two threads that step at once, the later one here writes the later state.
            let refresh = owner.as_ref().is_some_and(|proxy| {
                let waiting = due.is_some_and(|(until, _)| now < until);
                let (before, after) = proxy.exchange(|state| match to {
                    Phase::Closed => state.with_breaker(false, false, false),
                    Phase::Open => state.with_breaker(waiting, !waiting, false),
                    Phase::HalfOpen => state.with_breaker(false, true, waiting),
                });
                (before.reasons() == 0) != (after.reasons() == 0)
            });
            let mut news = due.filter(|_| due != due_before);
            if let (Some((until, Due::Probe)), Some(proxy)) = (news, &owner) {
                // Known by its own number, so that one that was given up cannot end its successor.
                news = proxy.liveness().map(|record| (record.expect_probe(until), Due::Probe));
            }
            (result, transition, news, refresh)
        };
        let Some(proxy) = owner else { return result };
        if refresh {
            proxy.reindex_in_pools();
        }
        if let Some((until, what)) = due {
            schedule(&proxy, until, what);
        }
        if let Some(transition) = transition {
            proxy.tell(&LivenessEvent::Breaker(transition));
        }
        result
    }
}
