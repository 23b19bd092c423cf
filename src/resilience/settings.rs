//! What a pool judges its proxies by.

use crate::proxy::liveness::{BreakerSettings, Rate, SettingsError, at_least_one, positive, share};
use crate::resilience::standing::Settings as StandingSettings;

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
    pub site_rate: Option<Rate>,
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
            return Err(SettingsError::new("rest_cap", "at least rest_base"));
        }
        if self.bench_cap.is_nan() || self.bench_cap < self.bench_base {
            return Err(SettingsError::new("bench_cap", "at least bench_base"));
        }
        share("panic_share", self.panic_share)?;
        if self.panic_window.is_nan() || self.panic_window < 0.0 {
            return Err(SettingsError::new("panic_window", "zero or a positive number"));
        }
        if self.max_standings == 0 {
            return Err(SettingsError::new("max_standings", "at least 1"));
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
