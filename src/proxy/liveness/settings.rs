//! When a circuit breaker opens and closes, and what is wrong with limits that make no sense.

use std::fmt;

use crate::clock::nanoseconds;
use crate::proxy::liveness::tally::PARTS;

/// A limit that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsError {
    name: &'static str,
    wanted: &'static str,
}

impl SettingsError {
    /// The limit of that name is not what is wanted.
    pub(crate) const fn new(name: &'static str, wanted: &'static str) -> Self {
        Self { name, wanted }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.name, self.wanted)
    }
}

impl std::error::Error for SettingsError {}

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

pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), SettingsError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(SettingsError::new(name, "a positive number")) }
}

pub(crate) fn share(name: &'static str, value: f64) -> Result<(), SettingsError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(SettingsError::new(name, "between 0 and 1")) }
}

pub(crate) fn at_least_one(name: &'static str, value: u32) -> Result<(), SettingsError> {
    if value > 0 { Ok(()) } else { Err(SettingsError::new(name, "at least 1")) }
}
