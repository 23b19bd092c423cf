//! What few proxies have and no selection reads: allocated on first use.

use crate::clock::Micros;
use crate::net::address::Credentials;

/// Defaults of the fields below.
pub const DEFAULT_ALPHA: f64 = 0.2;
/// Length of the counting window in seconds.
pub const DEFAULT_WINDOW: u32 = 3600;

/// Rarely used fields of a proxy.
#[derive(Debug, Clone)]
pub struct Cold {
    /// The URL as given, when it is not what the parts would print.
    pub raw_url: Option<Box<str>>,
    /// What to log in with.
    pub credentials: Option<Credentials>,
    /// Weight of the newest sample in the moving average.
    pub ema_alpha: f64,
    /// Length of the counting window in seconds.
    pub window_duration: u32,
    /// Price of one request.
    pub cost: Option<f64>,
    /// Time to live in seconds.
    pub ttl: Option<i64>,
    /// When it stops being offered.
    pub expires_at: Option<Micros>,
    /// ISO 3166-1 alpha-2 code, or whatever the user wrote.
    pub country: Option<Box<str>>,
    /// Region or state.
    pub region: Option<Box<str>>,
    /// Sorted, without duplicates.
    pub tags: Vec<Box<str>>,
    /// The second latency average, once it has been made to differ from the first.
    pub average_ms: Option<f64>,
    /// Where the list came from.
    pub source_url: Option<Box<str>>,
    /// Whether local addresses were asked for.
    pub allow_local: bool,
    /// Whether each new connection leaves by another exit address.
    pub rotating: bool,
    /// Health checks: time of the last, of the next, last error.
    pub last_health_check: Option<Micros>,
    /// When to check again.
    pub next_check_time: Option<Micros>,
    /// What the last failed check said.
    pub last_health_error: Option<Box<str>>,
    /// Successful checks in a row.
    pub consecutive_successes: u64,
    /// Attempts to bring it back.
    pub recovery_attempt: u64,
    /// Checks made.
    pub total_checks: u64,
    /// Checks failed.
    pub total_health_failures: u64,
}

impl Default for Cold {
    fn default() -> Self {
        Self {
            raw_url: None,
            credentials: None,
            ema_alpha: DEFAULT_ALPHA,
            window_duration: DEFAULT_WINDOW,
            cost: Some(0.0),
            ttl: None,
            expires_at: None,
            country: None,
            region: None,
            tags: Vec::new(),
            average_ms: None,
            source_url: None,
            allow_local: false,
            rotating: false,
            last_health_check: None,
            next_check_time: None,
            last_health_error: None,
            consecutive_successes: 0,
            recovery_attempt: 0,
            total_checks: 0,
            total_health_failures: 0,
        }
    }
}
