//! What few proxies have and no selection reads: allocated on first use.

use crate::clock::Micros;
use crate::net::address::Credentials;
use crate::proxy::table::{self, proxy_fields};

/// Defaults of the fields below.
pub const DEFAULT_ALPHA: f64 = 0.2;
/// Length of the counting window in seconds.
pub const DEFAULT_WINDOW: u32 = 3600;

/// The fields with rules of their own, one line each with its default; then those of the table.
macro_rules! cold {
    (
        { $($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr;)* } $all:tt
        { $($(#[$told_doc:meta])* $told:ident: $told_kind:ident;)* }
        { $($(#[$learned_doc:meta])* $learned:ident: $learned_kind:ident;)* }
    ) => {
        /// Rarely used fields of a proxy.
        #[derive(Debug, Clone)]
        pub struct Cold {
            $($(#[$doc])* pub $name: $kind,)*
            $($(#[$told_doc])* pub $told: table::$told_kind,)*
            $($(#[$learned_doc])* pub $learned: table::$learned_kind,)*
        }

        impl Default for Cold {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    $($told: Default::default(),)*
                    $($learned: Default::default(),)*
                }
            }
        }
    };
}

proxy_fields!(cold! {
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
    /// Sorted, without duplicates.
    tags: Vec<Box<str>> = Vec::new();
    /// The second latency average, once it has been made to differ from the first.
    average_ms: Option<f64> = None;
    /// Where the list came from.
    source_url: Option<Box<str>> = None;
});
