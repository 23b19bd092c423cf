//! The configuration every strategy can be given, as it comes over the border: once, by serde, never per request.

use serde::Deserialize;

use crate::pool::context::Thresholds;

/// The documented fields that the core reads. Absent is "not set".
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Weights by identifier, URL or tag.
    pub weights: Option<std::collections::HashMap<String, f64>>,
    /// Weight of the newest sample in the latency average, 0 to 1.
    pub ema_alpha: Option<f64>,
    /// Session time to live in seconds, published name.
    pub session_stickiness_duration_seconds: Option<i64>,
    /// Session time to live in seconds.
    pub session_timeout_seconds: Option<i64>,
    /// Countries to prefer.
    pub preferred_countries: Option<Vec<String>>,
    /// Another name of `preferred_countries`.
    pub geo_preferences: Option<Vec<String>>,
    /// Regions to prefer.
    pub preferred_regions: Option<Vec<String>>,
    /// Whether a geo strategy may leave its target.
    pub geo_fallback_enabled: Option<bool>,
    /// Longest latency average allowed, in milliseconds.
    pub max_response_time_ms: Option<f64>,
    /// Lowest success rate allowed, 0 to 1.
    pub min_success_rate: Option<f64>,
    /// Length of the counting window of the proxies that it chooses from, in seconds.
    pub window_duration_seconds: Option<u64>,
    /// Results a proxy must have before its average is trusted.
    pub exploration_count: Option<u64>,
    /// Whether the thresholds apply.
    pub enable_filtering: Option<bool>,
    /// Whether the fallback applies.
    pub enable_fallback: Option<bool>,
    /// Cost limit per request.
    pub max_cost_per_request: Option<f64>,
    /// Weight of what costs nothing.
    pub free_proxy_boost: Option<f64>,
    /// Names of the fields that were set explicitly.
    pub fields_set: std::collections::HashSet<String>,
}

impl Config {
    /// The thresholds in force.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        if self.enable_filtering == Some(false) {
            return Thresholds::default();
        }
        Thresholds { max_response_time_ms: self.max_response_time_ms, min_success_rate: self.min_success_rate }
    }

    /// Whether a field was set explicitly.
    #[must_use]
    pub fn sets(&self, field: &str) -> bool {
        self.fields_set.contains(field)
    }
}
