//! Telling proxies apart: the same host, port, protocol and login are the same proxy (C-25 of the contract).

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;

use super::record::{Details, ListEntry};

/// Which records have been seen.
#[derive(Debug)]
pub struct Seen {
    places: HashTable<u32>,
    state: ahash::RandomState,
}

impl Seen {
    /// Room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self { places: HashTable::with_capacity(count), state: crate::random::hash_key() }
    }

    /// Adds a record to the list; one that repeats an earlier record is merged into it instead, and the answer is false.
    pub fn add(&mut self, records: &mut Vec<ListEntry>, record: ListEntry) -> bool {
        match self.place(records, record) {
            (_, None) => true,
            (place, Some(record)) => {
                merge(&mut records[place], record);
                false
            }
        }
    }

    /// Where the record is in the list: added at the end, or given back because an earlier one is the same.
    pub fn place(&mut self, records: &mut Vec<ListEntry>, record: ListEntry) -> (usize, Option<ListEntry>) {
        let hash = hash(&self.state, &record);
        let found = self.places.find(hash, |place| same(&records[*place as usize], &record)).copied();
        if let Some(place) = found {
            return (place as usize, Some(record));
        }
        let place = records.len();
        let state = &self.state;
        records.push(record);
        self.places.insert_unique(hash, place as u32, |place| self::hash(state, &records[*place as usize]));
        (place, None)
    }
}

fn hash(state: &ahash::RandomState, record: &ListEntry) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(record.host.as_bytes());
    hasher.write_u32(u32::from(record.effective_port()) << 8 | record.protocol as u32);
    if let Some(login) = record.credentials() {
        login.hash(&mut hasher);
    }
    hasher.finish()
}

fn same(a: &ListEntry, b: &ListEntry) -> bool {
    a.host == b.host
        && a.effective_port() == b.effective_port()
        && a.protocol == b.protocol
        && a.credentials() == b.credentials()
}

/// How well a proxy is known to do: the higher, the better.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Score {
    share: f64,
    results: f64,
    speed: f64,
}

impl Score {
    /// From successes and results, and milliseconds to an answer. A share of few results counts less than one of many.
    #[must_use]
    pub fn new(successes: f64, results: f64, latency_ms: Option<f64>) -> Self {
        Self {
            share: (successes + 1.0) / (results + 2.0),
            results,
            speed: latency_ms.map_or(f64::NEG_INFINITY, |ms| -ms),
        }
    }

    fn of(details: &Details) -> Self {
        // A share without the number of results behind it is worth one result.
        let results = details.success_rate.map_or(0.0, |_| details.checks.unwrap_or(1) as f64);
        Self::new(details.success_rate.unwrap_or(0.0) * results, results, details.latency_ms)
    }
}

/// Merges a repetition: tags come together, the better history is kept, gaps are filled.
fn merge(kept: &mut ListEntry, other: ListEntry) {
    let Some(other) = other.details else { return };
    let Some(ours) = &mut kept.details else {
        kept.details = Some(other);
        return;
    };
    if Score::of(&other) > Score::of(ours) {
        (ours.success_rate, ours.checks, ours.latency_ms) = (other.success_rate, other.checks, other.latency_ms);
        if other.last_checked.is_some() {
            ours.last_checked.clone_from(&other.last_checked);
        }
    }
    let other = *other;
    ours.country_code = ours.country_code.take().or(other.country_code);
    ours.country = ours.country.take().or(other.country);
    ours.region = ours.region.take().or(other.region);
    ours.city = ours.city.take().or(other.city);
    ours.anonymity = ours.anonymity.or(other.anonymity);
    ours.https = ours.https.or(other.https);
    ours.last_checked = ours.last_checked.take().or(other.last_checked);
    // A list that repeats one proxy for ever with other tags must not cost quadratic time.
    if !other.tags.is_empty() && ours.tags.len() < 1_000 {
        ours.tags.extend(other.tags);
        ours.tags.sort_unstable();
        ours.tags.dedup();
    }
}
