//! What few proxies have and no selection reads: allocated on first use.

use crate::clock::Micros;
use crate::net::address::Credentials;

/// Defaults of the fields below.
pub const DEFAULT_ALPHA: f64 = 0.2;
/// Length of the counting window in seconds.
pub const DEFAULT_WINDOW: u32 = 3600;

/// The fields, one line each with its default.
macro_rules! cold {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr;)*) => {
        /// Rarely used fields of a proxy.
        #[derive(Debug, Clone)]
        pub struct Cold {
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Default for Cold {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

cold! {
    /// The URL as given, when it is not what the parts would print.
    raw_url: Option<Box<str>> = None;
    /// What to log in with.
    credentials: Option<Credentials> = None;
    /// Weight of the newest sample in the moving average.
    ema_alpha: f64 = DEFAULT_ALPHA;
    /// Length of the counting window in seconds.
    window_duration: u32 = DEFAULT_WINDOW;
    /// Price of one request.
    cost: Option<f64> = Some(0.0);
    /// Time to live in seconds.
    ttl: Option<i64> = None;
    /// When it stops being offered.
    expires_at: Option<Micros> = None;
    /// ISO 3166-1 alpha-2 code, or whatever the user wrote.
    country: Option<Box<str>> = None;
    /// Region or state.
    region: Option<Box<str>> = None;
    /// Sorted, without duplicates.
    tags: Vec<Box<str>> = Vec::new();
    /// The second latency average, once it has been made to differ from the first.
    average_ms: Option<f64> = None;
    /// Where the list came from.
    source_url: Option<Box<str>> = None;
    /// Whether local addresses were asked for.
    allow_local: bool = false;
    /// Whether each new connection leaves by another exit address.
    rotating: bool = false;
    /// Health checks: time of the last, of the next, last error.
    last_health_check: Option<Micros> = None;
    /// When to check again.
    next_check_time: Option<Micros> = None;
    /// What the last failed check said.
    last_health_error: Option<Box<str>> = None;
    /// Successful checks in a row.
    consecutive_successes: u64 = 0;
    /// Attempts to bring it back.
    recovery_attempt: u64 = 0;
    /// Checks made.
    total_checks: u64 = 0;
    /// Checks failed.
    total_health_failures: u64 = 0;
}
