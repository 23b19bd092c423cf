//! Random numbers and hashing: one small generator per thread, one hash key per process.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};

use crate::sync::Mutex;

thread_local! {
    static LOCAL: RefCell<(u32, SmallRng)> = RefCell::new((process(), fresh()));
}

fn fresh() -> SmallRng {
    SmallRng::seed_from_u64(rand::random())
}

// A child must not repeat its parent's choices; it sees another number here than its generator was made under.
fn process() -> u32 {
    crate::fork::generation() as u32
}

/// Sixty-four random bits from this thread's generator.
#[inline]
pub(crate) fn next() -> u64 {
    LOCAL.with_borrow_mut(|(made_in, rng)| {
        if *made_in != process() {
            *made_in = process();
            *rng = fresh();
        }
        rng.next_u64()
    })
}

/// Where a strategy takes its random numbers from.
#[derive(Debug, Default)]
pub enum Random {
    /// The calling thread's generator.
    #[default]
    Thread,
    /// A generator of its own, repeatable.
    Seeded(Box<Mutex<SmallRng>>),
}

impl Random {
    /// A source that repeats itself for the same seed, or the thread's own without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        match seed {
            None => Self::Thread,
            Some(seed) => Self::Seeded(Box::new(Mutex::new(SmallRng::seed_from_u64(seed)))),
        }
    }

    /// Sixty-four random bits.
    #[inline]
    pub fn bits(&self) -> u64 {
        match self {
            Self::Thread => next(),
            Self::Seeded(rng) => rng.lock().next_u64(),
        }
    }

    /// A number below `bound`, which must not be zero. Off uniform by less than `bound / 2**64`.
    #[inline]
    pub fn below(&self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 up to, not including, 1.
    #[inline]
    pub fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

static KEY: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);

/// A hasher with the process's random key.
pub(crate) fn hasher() -> ahash::AHasher {
    KEY.build_hasher()
}

/// The process's random key.
pub(crate) fn hash_key() -> ahash::RandomState {
    KEY.clone()
}
