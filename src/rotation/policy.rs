//! How often a request is tried, and how long it pauses in between.

use crate::random::Random;

/// Statuses that are worth another attempt, where the policy does not say otherwise.
pub const RETRY_STATUSES: [u16; 3] = [502, 503, 504];

/// How the pause grows from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Growth {
    /// By this factor each time.
    Exponential(f64),
    /// By the first pause each time.
    Linear,
    /// Not at all.
    Fixed,
}

/// The pauses of a policy. All times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// How the pause grows.
    pub growth: Growth,
    /// The first pause.
    pub base: f64,
    /// The longest pause.
    pub longest: f64,
    /// Whether pauses are drawn at random, so that clients that failed together do not come back together.
    pub jitter: bool,
}

impl Backoff {
    /// The pause after a failed attempt, counted from 0. `previous` is the pause before that attempt, `draw` returns a number
    /// between two bounds.
    ///
    /// Without jitter the pause depends on the attempt alone. With jitter the first pause lies between zero and that value,
    /// each later one between the base and three times the previous: decorrelated jitter,
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
    pub fn delay<E>(
        &self,
        attempt: u32,
        previous: Option<f64>,
        draw: impl FnOnce(f64, f64) -> Result<f64, E>,
    ) -> Result<f64, E> {
        let grown = match self.growth {
            Growth::Exponential(factor) => self.base * factor.powf(f64::from(attempt)),
            Growth::Linear => self.base * (f64::from(attempt) + 1.0),
            Growth::Fixed => self.base,
        };
        let capped = grown.min(self.longest);
        if !self.jitter {
            return Ok(capped);
        }
        match previous {
            None => draw(0.0, capped),
            Some(previous) => Ok(draw(self.base, self.base.max(previous * 3.0))?.min(self.longest)),
        }
    }

    /// The same, drawn from a source of random numbers.
    pub fn draw(&self, attempt: u32, previous: Option<f64>, random: &Random) -> f64 {
        let between = |low: f64, high: f64| Ok(low + (high - low) * random.unit());
        let delay: Result<f64, std::convert::Infallible> = self.delay(attempt, previous, between);
        delay.unwrap_or_else(|never| match never {})
    }
}

/// How often a request is tried, after which answers, with which pauses.
#[derive(Debug)]
pub struct Policy {
    /// Attempts in all.
    pub max_attempts: u32,
    /// Whether that number is the default. It then bounds the attempts that the site may have failed, and timeouts; proxies
    /// that refuse, or are refused, are passed by until one carries the request.
    pub is_open_ended: bool,
    /// Statuses that are tried again.
    pub retry_statuses: Box<[u16]>,
    /// The pauses.
    pub backoff: Backoff,
    /// Seconds for all attempts together.
    pub timeout: Option<f64>,
    /// Whether requests are repeated whose method is not idempotent.
    pub retry_non_idempotent: bool,
    /// Source of the jitter.
    pub random: Random,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            is_open_ended: true,
            retry_statuses: RETRY_STATUSES.into(),
            backoff: Backoff { growth: Growth::Exponential(2.0), base: 1.0, longest: 30.0, jitter: false },
            timeout: None,
            retry_non_idempotent: false,
            random: Random::default(),
        }
    }
}

impl Policy {
    /// The policy with a jitter that repeats itself for the same seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.random = Random::new(Some(seed));
        self
    }

    /// Whether an answer of that status is tried again.
    #[inline]
    #[must_use]
    pub fn retries(&self, status: u16) -> bool {
        self.retry_statuses.contains(&status)
    }
}
