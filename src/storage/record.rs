//! One proxy as data.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use speedate::{DateTime, DateTimeConfig, TimestampUnit};

use crate::clock::Micros;
use crate::proxy::cold::Cold;
use crate::proxy::table::{self, proxy_fields};

/// The prefix of an encrypted text.
pub const SEALED: &str = "encrypted:";

/// Saved moments that are kept as the time left are rounded to this: two saves are to agree.
const GRAIN: Micros = 1_000_000;

impl Stamp {
    /// To the next second.
    pub(super) fn coarse(at: Micros) -> Self {
        Self(at.saturating_add(GRAIN / 2).div_euclid(GRAIN) * GRAIN)
    }
}

/// What only the embedding program knows of a proxy, as JSON.
#[derive(Debug, Default)]
pub struct Extra {
    /// Anything the user keeps with it.
    pub metadata: Option<Box<RawValue>>,
    /// The place, in more words than country and region.
    pub geo_location: Option<Box<RawValue>>,
}

/// A time in ISO 8601, UTC. Read with or without a zone (then UTC), or as seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(pub(super) Micros);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micro = self.0.rem_euclid(1_000_000) as u32;
        // Left to guess, `speedate` takes the seconds of far years for milliseconds.
        let seconds = DateTimeConfig::builder().timestamp_unit(TimestampUnit::Second).build();
        let time = DateTime::from_timestamp_with_config(self.0.div_euclid(1_000_000), micro, &seconds);
        match time.and_then(|time| time.with_timezone_offset(Some(0))) {
            Ok(time) => serializer.collect_str(&time),
            // Before the year 1600 or after 9999: no real proxy is that old or new.
            Err(_) => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StampVisitor)
    }
}

struct StampVisitor;

impl Visitor<'_> for StampVisitor {
    type Value = Stamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Stamp, E> {
        let time = DateTime::parse_str(text).map_err(|_| E::custom("not a time"))?;
        Ok(Stamp(time.timestamp_tz() * 1_000_000 + i64::from(time.time.microsecond)))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Stamp, E> {
        if seconds.is_finite() { Ok(Stamp((seconds * 1e6).round() as Micros)) } else { Err(E::custom("not a time")) }
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Stamp, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Stamp, E> {
        self.visit_f64(seconds as f64)
    }
}

/// How a kind of field is saved: not at all where it is as in a new proxy.
pub(super) trait Saved: Default {
    type Written<'a>: Serialize
    where
        Self: 'a;
    type Read;

    fn written(&self) -> Option<Self::Written<'_>>;
    fn restored(read: &Self::Read) -> Self;
    /// Whether a new proxy has another value.
    fn is_news(read: &Self::Read) -> bool;
}

impl Saved for table::Count {
    type Written<'a> = u64;
    type Read = u64;

    fn written(&self) -> Option<u64> {
        Self::is_news(self).then_some(*self)
    }

    fn restored(read: &u64) -> Self {
        *read
    }

    fn is_news(read: &u64) -> bool {
        *read > 0
    }
}

impl Saved for table::Amount {
    type Written<'a> = f64;
    type Read = f64;

    fn written(&self) -> Option<f64> {
        *self
    }

    fn restored(read: &f64) -> Self {
        Some(*read)
    }

    fn is_news(_: &f64) -> bool {
        true
    }
}

impl Saved for table::Flag {
    type Written<'a> = bool;
    type Read = bool;

    fn written(&self) -> Option<bool> {
        self.then_some(true)
    }

    fn restored(read: &bool) -> Self {
        *read
    }

    fn is_news(read: &bool) -> bool {
        *read
    }
}

impl Saved for table::Text {
    type Written<'a> = &'a str;
    type Read = Box<str>;

    fn written(&self) -> Option<&str> {
        self.as_deref()
    }

    fn restored(read: &Box<str>) -> Self {
        Some(read.clone())
    }

    fn is_news(_: &Box<str>) -> bool {
        true
    }
}

impl Saved for table::Time {
    type Written<'a> = Stamp;
    type Read = Stamp;

    fn written(&self) -> Option<Stamp> {
        self.map(Stamp)
    }

    fn restored(read: &Stamp) -> Self {
        Some(read.0)
    }

    fn is_news(_: &Stamp) -> bool {
        true
    }
}

fn restored<K: Saved>(read: Option<&K::Read>) -> K {
    read.map(K::restored).unwrap_or_default()
}

/// The record of a proxy: a line for each field with rules of its own, how it is written, then how it is read, always optional;
/// then the fields of the table.
macro_rules! record {
    (
        { <$life:lifetime> $($(#[$out:meta])* $name:ident: $written:ty $(=> $(#[$in:meta])* $read:ty)?;)* } $all:tt
        { $($(#[$told_doc:meta])* $told:ident: $told_kind:ident;)* }
        { $($(#[$learned_doc:meta])* $learned:ident: $learned_kind:ident;)* }
    ) => {
        /// A record as it is written: the documented fields first, then those that differ from their defaults.
        #[derive(Serialize)]
        pub(super) struct Outward<$life> {
            $($(#[$out])* pub(super) $name: $written,)*
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $told: Option<<table::$told_kind as Saved>::Written<$life>>,
            )*
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $learned: Option<<table::$learned_kind as Saved>::Written<$life>>,
            )*
        }

        /// A record as it is read. Whatever is missing keeps its default; what is not known is passed over.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub struct SavedProxy {
            $($($(#[$in])* pub(super) $name: Option<$read>,)?)*
            $(pub(super) $told: Option<<table::$told_kind as Saved>::Read>,)*
            $(pub(super) $learned: Option<<table::$learned_kind as Saved>::Read>,)*
            /// A line that takes a proxy out again.
            pub(super) removed: Option<bool>,
        }

        impl SavedProxy {
            /// Whether it has a field of the table that users and lists tell.
            pub(super) fn tells(&self) -> bool {
                false $(|| self.$told.as_ref().is_some_and(<table::$told_kind as Saved>::is_news))*
            }

            pub(super) fn tell(&self, cold: &mut Cold) {
                $(cold.$told = restored(self.$told.as_ref());)*
            }

            /// Whether it has a field of the table that is learned.
            pub(super) fn has_learned(&self) -> bool {
                false $(|| self.$learned.as_ref().is_some_and(<table::$learned_kind as Saved>::is_news))*
            }

            pub(super) fn teach_cold(&self, cold: &mut Cold) {
                $(cold.$learned = restored(self.$learned.as_ref());)*
            }
        }
    };
}

proxy_fields!(record! { <'a>
    id: &'a str => Box<str>;
    url: &'a str => Box<str>;
    username: Option<&'a str> => Box<str>;
    password: Option<&'a str> => Box<str>;
    source: &'a str => Box<str>;
    health_status: &'a str => Box<str>;
    total_requests: u64 => u64;
    total_successes: u64 => u64;
    total_failures: u64 => u64;
    average_response_time_ms: Option<f64> => f64;
    tags: &'a [Box<str>] => Vec<Box<str>>;
    created_at: Option<Stamp> => Stamp;
    updated_at: Option<Stamp> => Stamp;
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str> => Box<str>;
    #[serde(skip_serializing_if = "is_false")]
    credentials_in_url: bool => bool;
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_at: Option<Stamp> => Stamp;
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_at: Option<Stamp> => Stamp;
    #[serde(skip_serializing_if = "is_zero")]
    requests_started: u64;
    #[serde(skip_serializing_if = "is_zero")]
    requests_completed: u64 => u64;
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64> => f64;
    // Missing, it is what the average is; `null` says that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_response_time_ms: Option<Option<f64>> => #[serde(deserialize_with = "given")] Option<f64>;
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_alpha: Option<f64> => f64;
    #[serde(skip_serializing_if = "Option::is_none")]
    window_start: Option<Stamp> => Stamp;
    #[serde(skip_serializing_if = "Option::is_none")]
    window_duration_seconds: Option<u32> => u32;
    #[serde(skip_serializing_if = "is_zero")]
    consecutive_failures: u64 => u64;
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<&'a str> => Box<str>;
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue> => Box<RawValue>;
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64> => i64;
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Stamp> => Stamp;
    // Unknown is not free: a missing cost is the default, 0, and `null` is unknown.
    #[serde(skip_serializing_if = "is_free")]
    cost_per_request: Option<f64> => #[serde(deserialize_with = "given")] Option<f64>;
    #[serde(skip_serializing_if = "is_zero")]
    bytes_sent: u64 => u64;
    #[serde(skip_serializing_if = "is_zero")]
    bytes_received: u64 => u64;
    #[serde(skip_serializing_if = "is_nothing")]
    spent: f64 => f64;
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_location: Option<&'a RawValue> => Box<RawValue>;
    #[serde(skip_serializing_if = "is_zero")]
    rest_level: u64 => u32;
    #[serde(skip_serializing_if = "Option::is_none")]
    rest_until: Option<Stamp> => Stamp;
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    standings: &'a [Stood] => Vec<Stood>;
});

/// What one site holds against the proxy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stood {
    pub(super) site: Box<str>,
    pub(super) kind: Box<str>,
    pub(super) until: Option<Stamp>,
    #[serde(default)]
    pub(super) level: u32,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_nothing(value: &f64) -> bool {
    *value == 0.0
}

fn is_free(value: &Option<f64>) -> bool {
    *value == Some(0.0)
}

/// Tells `null` from nothing at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
