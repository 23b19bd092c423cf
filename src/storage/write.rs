//! Writing proxies, all or those that have changed.

use std::io::{self, Write};

use ahash::{AHashMap, RandomState};

use super::record::{Extra, Outward, Saved, Stamp, Stood};
use super::seal::{Seals, Secret, is_secret, without_secrets, written_url};
use crate::clock::Clock;
use crate::proxy::cold::{DEFAULT_ALPHA, DEFAULT_WINDOW};
use crate::proxy::health::Health;
use crate::proxy::table::proxy_fields;
use crate::proxy::{Id, Moment, Proxy};
use crate::resilience::standing::SavedHold;
use crate::sync::Mutex;

/// What becomes of user names, passwords and secret parts of addresses.
#[derive(Clone, Copy)]
pub enum Secrets<'a> {
    /// Secrets are written as they are.
    Clear,
    /// Each is replaced by its text here.
    Sealed(&'a Seals),
    /// Secrets are left out.
    Omitted,
}

/// How to write.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// See [`Secrets`].
    pub secrets: Secrets<'a>,
    /// Whether health, counters and averages are written, or what a proxy never used would have.
    pub learned: bool,
    /// Whether records that were written before, and have not changed since, are left out.
    pub only_changed: bool,
    /// How records stand beside each other.
    pub shape: Shape,
    /// What only the embedding program knows of some proxies.
    pub extras: &'a AHashMap<Id, Extra>,
    /// What sites hold against some of them.
    pub held: &'a AHashMap<Id, Vec<SavedHold>>,
    /// Tells until when a proxy rests.
    pub clock: &'a dyn Clock,
}

/// How records stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A JSON array, one record per line.
    Array,
    /// JSON Lines. Proxies that are gone get a line that says so, if only what has changed is written.
    Lines,
}

/// Why nothing, or not all, was written.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The device said no.
    Io(io::Error),
    /// A text to be sealed has come up since the texts were collected; collect again.
    Unsealed,
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Records looked at.
    pub proxies: usize,
    /// Of those, new or changed since the marks were made; all of them without marks.
    pub changed: usize,
    /// Known to the marks, and gone.
    pub removed: usize,
}

/// What was written last, as a hash per record. New marks are pending until the write is known to last.
#[derive(Debug, Default)]
pub struct Marks {
    hasher: RandomState,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last: AHashMap<Id, u64>,
    pending: Option<AHashMap<Id, u64>>,
}

impl Marks {
    /// What was pending holds from now on.
    pub fn commit(&self) {
        let mut kept = self.kept.lock();
        if let Some(pending) = kept.pending.take() {
            kept.last = pending;
        }
    }

    /// Everything counts as changed again.
    pub fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

/// Writes proxies to `out`.
///
/// # Errors
/// [`WriteError`]; what has been written so far is then worth nothing.
pub fn write<'a>(
    out: &mut dyn Write,
    proxies: impl Iterator<Item = &'a Proxy>,
    options: Options<'_>,
    marks: Option<&Marks>,
) -> Result<Written, WriteError> {
    let mut done = Written::default();
    let mut next = marks.map(|_| AHashMap::new());
    let mut buffer = Vec::with_capacity(1024);
    let lines = options.shape == Shape::Lines;
    if !lines {
        out.write_all(b"[")?;
    }
    let mut first = true;
    for proxy in proxies {
        buffer.clear();
        let id = proxy.id();
        record(proxy, options, &mut buffer)?;
        done.proxies += 1;
        let mut changed = true;
        if let (Some(marks), Some(next)) = (marks, &mut next) {
            let hash = marks.hasher.hash_one(&buffer);
            changed = marks.kept.lock().last.get(&id) != Some(&hash);
            next.insert(id, hash);
        }
        done.changed += usize::from(changed);
        if options.only_changed && !changed {
            continue;
        }
        if !lines {
            out.write_all(if first { b"\n" } else { b",\n" })?;
        }
        first = false;
        out.write_all(&buffer)?;
        if lines {
            out.write_all(b"\n")?;
        }
    }
    if let (Some(marks), Some(next)) = (marks, next) {
        let mut kept = marks.kept.lock();
        for id in kept.last.keys().filter(|id| !next.contains_key(id)) {
            done.removed += 1;
            if lines && options.only_changed {
                writeln!(out, "{{\"id\":\"{id}\",\"removed\":true}}")?;
            }
        }
        kept.pending = Some(next);
    }
    if !lines {
        out.write_all(b"\n]")?;
    }
    Ok(done)
}

/// The record with these fields, and those of the table.
macro_rules! outward {
    (
        { $cold:ident $is_learned:ident { $($own:tt)* } } $all:tt
        { $($(#[$told_doc:meta])* $told:ident: $told_kind:ident;)* }
        { $($(#[$learned_doc:meta])* $learned:ident: $learned_kind:ident;)* }
    ) => {
        Outward {
            $($own)*
            $($told: $cold.$told.written(),)*
            $($learned: $cold.$learned.written().filter(|_| $is_learned),)*
        }
    };
}

fn record(proxy: &Proxy, options: Options<'_>, buffer: &mut Vec<u8>) -> Result<(), WriteError> {
    let learned = options.learned;
    let extra = options.extras.get(&proxy.id());
    let resting = if learned { proxy.resting(options.clock) } else { None };
    let held = options.held.get(&proxy.id()).filter(|_| learned);
    let standings: Vec<Stood> = held.into_iter().flatten().map(stood).collect();
    let (url, credentials_in_url) = written_url(proxy);
    let protocol = proxy.protocol();
    let health = if learned { proxy.health() } else { Health::Unknown };
    let (total, successes, failures) = if learned { proxy.totals() } else { (0, 0, 0) };
    let (average, ema) = if learned { (proxy.average(), proxy.ema()) } else { (None, None) };
    // What is in flight dies with the process.
    let completed = if learned { proxy.usage().1 } else { 0 };
    let when = |moment: Moment| proxy.time(moment).map(Stamp);
    let past = |moment: Moment| if learned { when(moment) } else { None };
    let id = proxy.id().to_string();
    let source = proxy.source().as_str().to_ascii_uppercase();
    let status = health.as_str().to_ascii_uppercase();
    let (last_success_at, last_failure_at) = (past(Moment::LastSuccess), past(Moment::LastFailure));
    let (created_at, window_start) = (when(Moment::Created), past(Moment::WindowStart));
    let updated_at = if learned { when(Moment::Updated) } else { created_at };
    let in_a_row = if learned { u64::from(proxy.consecutive_failures()) } else { 0 };
    let (latency, alpha) = (if learned { proxy.latency() } else { None }, proxy.ema_alpha());
    let ((sent, received), spent) = if learned { (proxy.bytes(), proxy.spent().amount()) } else { ((0, 0), 0.0) };
    let mut missing = false;
    let written = proxy.cold(|cold| {
        let mut seal = |secret: Secret, text: &'_ str| -> Option<String> {
            match options.secrets {
                Secrets::Clear => Some(text.to_owned()),
                Secrets::Omitted => None,
                Secrets::Sealed(sealed) => {
                    let found = sealed.get(proxy.id(), secret, &url, protocol, text).map(str::to_owned);
                    missing |= found.is_none();
                    found
                }
            }
        };
        let login = cold.credentials.as_ref();
        let username = login.and_then(|login| seal(Secret::Username, &login.username));
        let password = login.and_then(|login| seal(Secret::Password, &login.password));
        let source_url = match (cold.source_url.as_deref(), options.secrets) {
            (Some(url), Secrets::Sealed(_)) if is_secret(url) => seal(Secret::SourceUrl, url),
            (Some(url), Secrets::Omitted) => Some(without_secrets(url)),
            (url, _) => url.map(str::to_owned),
        };
        let record = proxy_fields!(outward! { cold learned {
            id: &id,
            url: &url,
            username: username.as_deref(),
            password: password.as_deref(),
            source: &source,
            health_status: &status,
            total_requests: total,
            total_successes: successes,
            total_failures: failures,
            bytes_sent: sent,
            bytes_received: received,
            spent,
            average_response_time_ms: average,
            tags: &cold.tags,
            created_at,
            updated_at,
            protocol: cold.raw_url.as_ref().map(|_| protocol.as_str()),
            credentials_in_url: credentials_in_url && username.is_some(),
            last_success_at,
            last_failure_at,
            requests_started: completed,
            requests_completed: completed,
            latency_ms: latency,
            ema_response_time_ms: (ema != average).then_some(ema),
            ema_alpha: (alpha.to_bits() != DEFAULT_ALPHA.to_bits()).then_some(alpha),
            window_start,
            window_duration_seconds: (cold.window_duration != DEFAULT_WINDOW).then_some(cold.window_duration),
            consecutive_failures: in_a_row,
            source_url: source_url.as_deref(),
            metadata: extra.and_then(|extra| extra.metadata.as_deref()),
            ttl: cold.ttl,
            expires_at: cold.expires_at.map(Stamp),
            cost_per_request: cold.cost,
            geo_location: extra.and_then(|extra| extra.geo_location.as_deref()),
            rest_level: resting.map_or(0, |(level, _)| u64::from(level)),
            rest_until: resting.map(|(_, until)| Stamp::coarse(until)),
            standings: &standings,
        } });
        serde_json::to_writer(&mut *buffer, &record)
    });
    if missing {
        return Err(WriteError::Unsealed);
    }
    written.map_err(|error| WriteError::Io(error.into()))
}

fn stood(held: &SavedHold) -> Stood {
    Stood {
        site: held.site.clone(),
        kind: held.kind.as_str().into(),
        until: held.until.map(Stamp::coarse),
        level: held.level,
    }
}
