//! What a pool judges its proxies by.

use std::fmt;

use crate::resilience::bucket::Rate;
use crate::resilience::standing::{Settings as StandingSettings, SiteRate};
use crate::resilience::tally::PARTS;

/// A limit that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsError {
    name: &'static str,
    wanted: &'static str,
}

impl SettingsError {
    pub(crate) fn not_positive(name: &'static str) -> Self {
        Self { name, wanted: "a positive number" }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.name, self.wanted)
    }
}

impl std::error::Error for SettingsError {}

/// Nanoseconds of that many seconds.
pub(crate) fn nanoseconds(seconds: f64) -> u64 {
    // A conversion from float saturates; a century is as good as for ever, and leaves room for sums.
    (seconds * 1e9).min(3.2e18) as u64
}

/// When a circuit breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// Failures in the window that open it.
    pub failure_threshold: u32,
    /// Seconds that a result counts.
    pub window_duration: f64,
    /// Seconds it stays open.
    pub timeout_duration: f64,
    /// Successes on trial that close it.
    pub success_threshold: u32,
    /// Share of failures among the window's results below which it stays closed.
    pub failure_rate: f64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            window_duration: 60.0,
            timeout_duration: 30.0,
            success_threshold: 1,
            failure_rate: 0.5,
        }
    }
}

impl BreakerSettings {
    /// Nanoseconds that a result counts.
    pub(crate) fn window(&self) -> u64 {
        nanoseconds(self.window_duration).max(PARTS)
    }

    /// Itself if it makes sense.
    ///
    /// # Errors
    /// The first limit that does not.
    pub fn checked(self) -> Result<Self, SettingsError> {
        at_least_one("failure_threshold", self.failure_threshold)?;
        at_least_one("success_threshold", self.success_threshold)?;
        positive("window_duration", self.window_duration)?;
        positive("timeout_duration", self.timeout_duration)?;
        share("failure_rate", self.failure_rate)?;
        Ok(self)
    }
}

/// What a pool judges its proxies by.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its breakers.
    pub breaker: BreakerSettings,
    /// Requests in flight per proxy.
    pub max_in_flight: Option<u32>,
    /// Whether a proxy that has yet to prove itself gets one request, then two, then four at a time.
    pub slow_start: bool,
    /// Requests per proxy and time.
    pub proxy_rate: Option<Rate>,
    /// Requests per proxy, site and time.
    pub site_rate: Option<SiteRate>,
    /// Seconds of the first rest.
    pub rest_base: f64,
    /// Seconds of the longest rest.
    pub rest_cap: f64,
    /// Seconds of the first bench.
    pub bench_base: f64,
    /// Seconds of the longest bench.
    pub bench_cap: f64,
    /// Share of a pool that its own failures may bench while nothing succeeds.
    pub panic_share: f64,
    /// Seconds without a success after which nothing succeeds.
    pub panic_window: f64,
    /// Standings remembered.
    pub max_standings: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            breaker: BreakerSettings::default(),
            max_in_flight: None,
            slow_start: false,
            proxy_rate: None,
            site_rate: None,
            rest_base: 10.0,
            rest_cap: 300.0,
            bench_base: 300.0,
            bench_cap: 3600.0,
            panic_share: 0.5,
            panic_window: 10.0,
            max_standings: 100_000,
        }
    }
}

impl Settings {
    /// Itself if it makes sense.
    ///
    /// # Errors
    /// The first limit that does not.
    pub fn checked(self) -> Result<Self, SettingsError> {
        self.breaker.checked()?;
        if let Some(limit) = self.max_in_flight {
            at_least_one("max_in_flight", limit)?;
        }
        for (name, value) in [("rest_base", self.rest_base), ("bench_base", self.bench_base)] {
            positive(name, value)?;
        }
        if self.rest_cap.is_nan() || self.rest_cap < self.rest_base {
            return Err(SettingsError { name: "rest_cap", wanted: "at least rest_base" });
        }
        if self.bench_cap.is_nan() || self.bench_cap < self.bench_base {
            return Err(SettingsError { name: "bench_cap", wanted: "at least bench_base" });
        }
        share("panic_share", self.panic_share)?;
        if self.panic_window.is_nan() || self.panic_window < 0.0 {
            return Err(SettingsError { name: "panic_window", wanted: "zero or a positive number" });
        }
        if self.max_standings == 0 {
            return Err(SettingsError { name: "max_standings", wanted: "at least 1" });
        }
        Ok(self)
    }
}

impl Settings {
    /// Those that the ledger of site bans follows.
    pub(crate) fn of_standing(&self) -> StandingSettings {
        StandingSettings {
            rest_cap: self.rest_cap,
            bench_base: self.bench_base,
            bench_cap: self.bench_cap,
            panic_share: self.panic_share,
            panic_window: self.panic_window,
            max_standings: self.max_standings,
            site_rate: self.site_rate,
        }
    }
}

fn positive(name: &'static str, value: f64) -> Result<(), SettingsError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(SettingsError::not_positive(name)) }
}

fn share(name: &'static str, value: f64) -> Result<(), SettingsError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(SettingsError { name, wanted: "between 0 and 1" }) }
}

fn at_least_one(name: &'static str, value: u32) -> Result<(), SettingsError> {
    if value > 0 { Ok(()) } else { Err(SettingsError { name, wanted: "at least 1" }) }
}
