//! The table of a proxy's fields, in the documented order.
//!
//! A field that requests neither move nor read is one line here, beside what it means: `told` by users and lists, or `learned`
//! by checks. Its place in [`Cold`](super::cold::Cold), its saved form, its attribute in Python, the validation of what is
//! assigned, its type for pydantic and for type checkers follow from the line. An `own` field has rules of its own, in
//! `src/py/proxy/` and `src/storage/`.

use crate::clock::Micros;

/// A number of at least 0.
pub type Count = u64;
/// A number of at least 0 with a fraction, or none.
pub type Amount = Option<f64>;
/// Yes or no; no by default.
pub type Flag = bool;
/// A text, or nothing.
pub type Text = Option<Box<str>>;
/// A moment, or none.
pub type Time = Option<Micros>;

/// Calls a macro with what it is given here, then with the names of all fields, with the lines of those told, and with the lines
/// of those learned: `proxy_fields!(then! { given })`.
macro_rules! proxy_fields {
    ($then:ident! { $($given:tt)* }) => {
        $crate::proxy::table::sorted_fields! { $then { $($given)* } {} {} {}
            own id;
            own url;
            own protocol;
            own username;
            own password;
            /// Whether a local address is accepted whatever the source.
            told allow_local: Flag;
            /// Whether each new connection leaves by another exit address, as a gateway's do; false by default. A site that
            /// refuses one exit is then tried again by another, and three in a row have to be refused before the proxy is
            /// benched there.
            told rotating: Flag;
            own health_status;
            own last_success_at;
            own last_failure_at;
            own requests_started;
            own requests_completed;
            own requests_active;
            own total_requests;
            own total_successes;
            own total_failures;
            own bytes_sent;
            own bytes_received;
            own average_response_time_ms;
            own latency_ms;
            own ema_response_time_ms;
            own ema_alpha;
            own window_start;
            own window_duration_seconds;
            /// Country, ISO 3166-1 alpha-2.
            told country_code: Text;
            /// Region or state.
            told region: Text;
            own consecutive_failures;
            /// Time of the last check.
            learned last_health_check: Time;
            /// Successful checks in a row.
            learned consecutive_successes: Count;
            /// Attempts made to bring it back.
            learned recovery_attempt: Count;
            /// When to check again.
            learned next_check_time: Time;
            /// What the last failed check said.
            learned last_health_error: Text;
            /// Checks made.
            learned total_checks: Count;
            /// Checks failed.
            learned total_health_failures: Count;
            own tags;
            own source;
            own source_url;
            own metadata;
            own created_at;
            own updated_at;
            own ttl;
            own expires_at;
            own cost_per_request;
            /// Price of 10^9 bytes, sent and received together; `None` where bytes are not paid for.
            told cost_per_gb: Amount;
            own spent;
            own geo_location;
        }
    };
}

/// Sorts the lines of the table, one at each step.
macro_rules! sorted_fields {
    ($then:ident $given:tt $all:tt $told:tt $learned:tt) => { $then! { $given $all $told $learned } };
    ($then:ident $given:tt {$($all:tt)*} $told:tt $learned:tt own $name:ident; $($rest:tt)*) => {
        $crate::proxy::table::sorted_fields! { $then $given {$($all)* $name} $told $learned $($rest)* }
    };
    ($then:ident $given:tt {$($all:tt)*} {$($told:tt)*} $learned:tt
        $(#[$doc:meta])* told $name:ident: $kind:ident; $($rest:tt)*) => {
        $crate::proxy::table::sorted_fields! {
            $then $given {$($all)* $name} {$($told)* $(#[$doc])* $name: $kind;} $learned $($rest)*
        }
    };
    ($then:ident $given:tt {$($all:tt)*} $told:tt {$($learned:tt)*}
        $(#[$doc:meta])* learned $name:ident: $kind:ident; $($rest:tt)*) => {
        $crate::proxy::table::sorted_fields! {
            $then $given {$($all)* $name} $told {$($learned)* $(#[$doc])* $name: $kind;} $($rest)*
        }
    };
}

macro_rules! names {
    ({} {$($all:ident)*} $told:tt $learned:tt) => {
        /// The names of all fields.
        pub const NAMES: &[&str] = &[$(stringify!($all)),*];
    };
}

pub(crate) use {proxy_fields, sorted_fields};

proxy_fields!(names! {});
