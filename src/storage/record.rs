//! One proxy as data.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use speedate::{DateTime, DateTimeConfig, TimestampUnit};

use crate::clock::Micros;

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

/// A record as it is written: the documented fields first, then those that differ from their defaults.
#[derive(Serialize)]
pub(super) struct Outward<'a> {
    pub(super) id: &'a str,
    pub(super) url: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) source: &'a str,
    pub(super) health_status: &'a str,
    pub(super) total_requests: u64,
    pub(super) total_successes: u64,
    pub(super) total_failures: u64,
    pub(super) average_response_time_ms: Option<f64>,
    pub(super) tags: &'a [Box<str>],
    pub(super) created_at: Option<Stamp>,
    pub(super) updated_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) credentials_in_url: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) allow_local: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) rotating: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_success_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_failure_at: Option<Stamp>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) requests_started: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) requests_completed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<f64>,
    // Missing, it is what the average is; `null` says that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ema_response_time_ms: Option<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ema_alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window_start: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window_duration_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) country_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) consecutive_failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_health_check: Option<Stamp>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) consecutive_successes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) recovery_attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_check_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_health_error: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) total_checks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) total_health_failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Stamp>,
    // Unknown is not free: a missing cost is the default, 0, and `null` is unknown.
    #[serde(skip_serializing_if = "is_free")]
    pub(super) cost_per_request: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) geo_location: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) rest_level: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rest_until: Option<Stamp>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) standings: &'a [Stood],
}

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

fn is_free(value: &Option<f64>) -> bool {
    *value == Some(0.0)
}

/// A record as it is read. Whatever is missing keeps its default; what is not known is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SavedProxy {
    pub(super) id: Option<Box<str>>,
    pub(super) url: Option<Box<str>>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) username: Option<Box<str>>,
    pub(super) password: Option<Box<str>>,
    pub(super) credentials_in_url: Option<bool>,
    pub(super) allow_local: Option<bool>,
    pub(super) rotating: Option<bool>,
    pub(super) source: Option<Box<str>>,
    pub(super) health_status: Option<Box<str>>,
    pub(super) last_success_at: Option<Stamp>,
    pub(super) last_failure_at: Option<Stamp>,
    pub(super) requests_completed: Option<u64>,
    pub(super) total_requests: Option<u64>,
    pub(super) total_successes: Option<u64>,
    pub(super) total_failures: Option<u64>,
    pub(super) average_response_time_ms: Option<f64>,
    pub(super) latency_ms: Option<f64>,
    #[serde(deserialize_with = "given")]
    pub(super) ema_response_time_ms: Option<Option<f64>>,
    pub(super) ema_alpha: Option<f64>,
    pub(super) window_start: Option<Stamp>,
    pub(super) window_duration_seconds: Option<u32>,
    pub(super) country_code: Option<Box<str>>,
    pub(super) region: Option<Box<str>>,
    pub(super) consecutive_failures: Option<u64>,
    pub(super) last_health_check: Option<Stamp>,
    pub(super) consecutive_successes: Option<u64>,
    pub(super) recovery_attempt: Option<u64>,
    pub(super) next_check_time: Option<Stamp>,
    pub(super) last_health_error: Option<Box<str>>,
    pub(super) total_checks: Option<u64>,
    pub(super) total_health_failures: Option<u64>,
    pub(super) tags: Option<Vec<Box<str>>>,
    pub(super) source_url: Option<Box<str>>,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) created_at: Option<Stamp>,
    pub(super) updated_at: Option<Stamp>,
    pub(super) ttl: Option<i64>,
    pub(super) expires_at: Option<Stamp>,
    #[serde(deserialize_with = "given")]
    pub(super) cost_per_request: Option<Option<f64>>,
    pub(super) geo_location: Option<Box<RawValue>>,
    pub(super) rest_level: Option<u32>,
    pub(super) rest_until: Option<Stamp>,
    pub(super) standings: Option<Vec<Stood>>,
    /// A line that takes a proxy out again.
    pub(super) removed: Option<bool>,
}

/// Tells `null` from nothing at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
