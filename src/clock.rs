//! The only place that reads time. Everything that depends on it takes a [`Clock`], so that tests move time and never sleep.

#[cfg(unix)]
#[path = "clock/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "clock/windows.rs"]
mod system;

use crate::sync::{AtomicI64, AtomicU64, Ordering, global};

/// Nanoseconds of that many seconds.
pub(crate) fn nanoseconds(seconds: f64) -> u64 {
    // A century is as good as for ever, and leaves room for sums. What is no number becomes 0.
    (seconds * 1e9).clamp(0.0, 3.2e18) as u64
}

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// Two readings of time: one to show and to store, one to measure with.
pub trait Clock: Send + Sync {
    /// Wall-clock time, exact to a few milliseconds; costs a few nanoseconds.
    fn wall(&self) -> Micros;

    /// Nanoseconds on a steady clock with no fixed origin.
    fn steady(&self) -> u64;

    /// The same, behind by a few milliseconds at most and never ahead; costs a few nanoseconds.
    fn steady_coarse(&self) -> u64 {
        self.steady()
    }

    /// The steady clock at this very moment, where [`Clock::steady`] is a reading taken before.
    fn steady_now(&self) -> u64 {
        self.steady()
    }

    /// Wall-clock time for what is shown: exact, or marked as behind.
    fn stamp(&self) -> Stamp {
        Stamp::exact(self.wall())
    }

    /// Wall-clock time exact to the microsecond, for what happens rarely.
    fn wall_exact(&self) -> Micros {
        self.wall()
    }
}

/// A moment as it is stored: exact, or the last that the coarse clock had noticed. A coarse one is shown as late as it may
/// have been, at most as now, so that what is shown is never before the call that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(i64);

// Above every moment that can be shown: the year 9999 is 2^58 microseconds away.
const COARSE: i64 = 1 << 62;

impl Stamp {
    /// That moment.
    #[must_use]
    pub const fn exact(at: Micros) -> Self {
        Self(at)
    }

    /// A moment at or soon after `at`.
    #[inline]
    #[must_use]
    pub const fn coarse(at: Micros) -> Self {
        Self(at + COARSE)
    }

    /// As [`Stamp::bits`] stored it.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// One word, to be stored.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// The earliest moment that it stands for: what the hot path counts with.
    #[inline]
    #[must_use]
    pub const fn earliest(self) -> Micros {
        if self.0 >= COARSE / 2 { self.0 - COARSE } else { self.0 }
    }

    /// The moment to show.
    #[must_use]
    pub fn shown(self) -> Micros {
        if self.0 < COARSE / 2 {
            return self.0;
        }
        self.earliest().saturating_add(MOST_BEHIND).min(exact_wall())
    }
}

/// How far the coarse clock may be behind, in microseconds. One tick of 1 to 10 ms where the machine is idle; on one that
/// is busy, or a guest of another, ticks come late.
const MOST_BEHIND: Micros = 50_000;

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Micros {
        (system::wall_coarse() / 1_000) as Micros
    }

    fn steady(&self) -> u64 {
        system::steady()
    }

    fn steady_coarse(&self) -> u64 {
        system::steady_coarse()
    }

    #[inline]
    fn stamp(&self) -> Stamp {
        Stamp::coarse(self.wall())
    }

    fn wall_exact(&self) -> Micros {
        exact_wall()
    }
}

/// One exact reading of both clocks, for all that one operation asks. The steady clock follows from the wall clock, so that
/// what is shown is the very clock that a caller compares it with, and the coarse steady clock says whether it still may.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    steady: u64,
    wall: Micros,
}

impl Reading {
    /// Reads the clocks.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        let wall = system::wall();
        Self { steady: steady_of(wall), wall: (wall / 1_000) as Micros }
    }
}

impl Clock for Reading {
    fn wall(&self) -> Micros {
        self.wall
    }

    fn steady(&self) -> u64 {
        self.steady
    }

    fn steady_now(&self) -> u64 {
        SystemClock.steady()
    }
}

/// The steady clock when the wall clock showed `wall`. Both are slewed alike, so their distance changes only when the wall
/// clock is set, or after the machine slept: either way the result lies outside the short time since the last check.
#[inline]
fn steady_of(wall: u64) -> u64 {
    // Relaxed: a distance or a check of another thread, however old, passes or is made anew.
    let steady = wall.wrapping_sub(WALL_AHEAD.load(global::Ordering::Relaxed));
    if steady.wrapping_sub(CHECKED_AT.load(global::Ordering::Relaxed)) < CHECKED_FOR { steady } else { check(steady) }
}

/// How far a reading may be ahead of the coarse clock, in nanoseconds, before the distance of the clocks is measured anew.
const FURTHEST: u64 = 50_000_000;
/// How long a check holds, in nanoseconds. Short beside [`FURTHEST`], so that it hides no change which the check would find.
const CHECKED_FOR: u64 = 1_000_000;
static WALL_AHEAD: global::AtomicU64 = global::AtomicU64::new(0);
static CHECKED_AT: global::AtomicU64 = global::AtomicU64::new(0);

/// Compares a result with the coarse steady clock, which costs a fifth of an exact reading; the steady clock.
#[cold]
fn check(steady: u64) -> u64 {
    // Read last: a tick in between makes the result look early, and costs one measurement.
    let coarse = SystemClock.steady_coarse();
    let steady = if steady.wrapping_sub(coarse) < FURTHEST { steady } else { measure() };
    CHECKED_AT.store(steady, global::Ordering::Relaxed);
    steady
}

/// Measures how far the wall clock is ahead of the steady one; the steady clock.
#[cold]
fn measure() -> u64 {
    let (mut ahead, mut narrowest, mut steady) = (0, u64::MAX, 0);
    // A thread that is suspended between two readings takes them too far apart.
    for _ in 0..16 {
        let before = SystemClock.steady();
        let wall = system::wall();
        steady = SystemClock.steady();
        let width = steady.saturating_sub(before);
        if width < narrowest {
            (ahead, narrowest) = (wall.wrapping_sub(before), width);
        }
        if narrowest < 1_000 {
            break;
        }
    }
    WALL_AHEAD.store(ahead, global::Ordering::Relaxed);
    steady
}

/// Wall-clock time exact to the microsecond, for what is created rarely and shown.
#[must_use]
pub fn exact_wall() -> Micros {
    (system::wall() / 1_000) as Micros
}

/// The operating system's clocks, both exact: for what a user asks for by hand and may compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExactClock;

impl Clock for ExactClock {
    fn wall(&self) -> Micros {
        exact_wall()
    }

    fn steady(&self) -> u64 {
        SystemClock.steady()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `wall` until it is moved.
    #[must_use]
    pub fn at(wall: Micros) -> Self {
        // Somewhere after the beginning, as the steady clock of a machine that is up.
        Self { wall: AtomicI64::new(wall), steady: AtomicU64::new(1_000_000_000_000) }
    }

    /// Moves the clock forward by `by` microseconds.
    pub fn advance(&self, by: Micros) {
        self.jump(by);
        self.steady.fetch_add(u64::try_from(by).unwrap_or(0) * 1_000, Ordering::Relaxed);
    }

    /// Sets the wall clock forward or back, as an administrator does; the steady one goes on.
    pub fn jump(&self, by: Micros) {
        self.wall.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Micros {
        self.wall.load(Ordering::Relaxed)
    }

    fn steady(&self) -> u64 {
        self.steady.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reading_lies_between_the_moments_around_it() {
        // What a suspended thread measures is off by the time that it was suspended for.
        const OFF: u64 = 50_000_000;
        for _ in 0..10_000 {
            let (before, steady_before) = (exact_wall(), SystemClock.steady());
            let reading = Reading::now();
            let (after, steady_after) = (exact_wall(), SystemClock.steady());
            assert!(before <= reading.wall() && reading.wall() <= after, "{before} {reading:?} {after}");
            assert!(steady_before < reading.steady() + OFF && reading.steady() < steady_after + OFF);
        }
    }

    #[test]
    fn a_coarse_stamp_is_shown_no_earlier_than_its_moment_and_no_later_than_now() {
        for _ in 0..10_000 {
            let before = exact_wall();
            let stamp = SystemClock.stamp();
            let shown = stamp.shown();
            assert!(stamp.earliest() <= shown && before <= shown && shown <= exact_wall());
            assert_eq!(Stamp::from_bits(stamp.bits()), stamp);
        }
        let old = Stamp::coarse(1_000);
        assert_eq!((old.earliest(), old.shown()), (1_000, 1_000 + MOST_BEHIND));
    }

    #[test]
    fn an_exact_stamp_is_shown_as_it_is() {
        // The years 1 and 9999.
        for at in [-62_135_596_800_000_000, -1, 0, 1, 253_402_300_799_000_000] {
            let stamp = Stamp::exact(at);
            assert_eq!((stamp.earliest(), stamp.shown(), Stamp::from_bits(stamp.bits())), (at, at, stamp));
        }
        assert_eq!(ManualClock::at(5).stamp(), Stamp::exact(5));
    }

    #[test]
    fn a_wall_clock_that_was_set_is_noticed() {
        let coarse = SystemClock.steady_coarse();
        for set_to in [0, system::wall() + 3_600_000_000_000] {
            let steady = steady_of(set_to);
            assert!(coarse <= steady && steady <= SystemClock.steady(), "{set_to}");
        }
    }
}
