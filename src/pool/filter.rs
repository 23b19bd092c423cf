//! What a selection may be restricted to, and weights given by name: both are rules about a proxy's description.

use std::fmt;

use ahash::AHashMap;
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::net::address::{Address, Protocol};
use crate::proxy::cold::Cold;
use crate::proxy::health::Source;
use crate::proxy::{Id, Key, Proxy};

/// A few words, most often one short one: kept without an allocation.
pub type Words = SmallVec<[CompactString; 1]>;

/// A set of protocols, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Protocols(u8);

impl Protocols {
    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `protocol` is one of them.
    #[must_use]
    pub fn has(self, protocol: Protocol) -> bool {
        self.0 & (1 << protocol as u8) != 0
    }

    /// Those in order.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |protocol| self.has(*protocol))
    }
}

impl FromIterator<Protocol> for Protocols {
    fn from_iter<T: IntoIterator<Item = Protocol>>(protocols: T) -> Self {
        Self(protocols.into_iter().fold(0, |bits, protocol| bits | 1 << protocol as u8))
    }
}

/// A conjunction of demands on a proxy's description. Equal filters share one view of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter {
    /// Its country is one of these, upper case. Empty: any.
    pub countries: Words,
    /// Its region is one of these, upper case. Empty: any.
    pub regions: Words,
    /// It has all of these tags, sorted.
    pub tags: Words,
    /// It came from there.
    pub source: Option<Source>,
    /// It costs at most this; bits of the number, so that filters can be hashed.
    pub max_cost: Option<u64>,
    /// It speaks one of these. Empty: any.
    pub protocols: Protocols,
}

impl Filter {
    /// Whether it demands nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.countries.is_empty()
            && self.regions.is_empty()
            && self.tags.is_empty()
            && self.source.is_none()
            && self.max_cost.is_none()
            && self.protocols.is_empty()
    }

    /// A filter for these countries.
    pub fn countries<'a>(codes: impl IntoIterator<Item = &'a str>) -> Self {
        Self { countries: normalised(codes), ..Self::default() }
    }

    /// A filter for one country.
    #[must_use]
    pub fn country(code: &str) -> Self {
        let mut countries = Words::new();
        countries.push(upper(code));
        Self { countries, ..Self::default() }
    }

    /// A filter for these regions.
    pub fn regions<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { regions: normalised(names), ..Self::default() }
    }

    /// A filter for all of these tags.
    pub fn tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tags: Words = tags.into_iter().map(Into::into).collect();
        tags.sort_unstable();
        tags.dedup();
        Self { tags, ..Self::default() }
    }

    /// A filter for these protocols.
    pub fn protocols(protocols: impl IntoIterator<Item = Protocol>) -> Self {
        Self { protocols: protocols.into_iter().collect(), ..Self::default() }
    }

    /// A filter for a price of at most `limit` per request.
    #[must_use]
    pub fn max_cost(limit: f64) -> Self {
        Self { max_cost: Some(limit.to_bits()), ..Self::default() }
    }

    /// Both demands at once; `None` if they exclude each other.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let both = |a: &[CompactString], b: &[CompactString]| -> Option<Words> {
            if a.is_empty() || b.is_empty() {
                return Some(if a.is_empty() { b.into() } else { a.into() });
            }
            let common: Words = a.iter().filter(|x| b.contains(x)).cloned().collect();
            (!common.is_empty()).then_some(common)
        };
        let mut tags = self.tags.clone();
        tags.extend(other.tags.iter().cloned());
        tags.sort_unstable();
        tags.dedup();
        let source = match (self.source, other.source) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let protocols = match (self.protocols, other.protocols) {
            (a, b) if a.is_empty() => b,
            (a, b) if b.is_empty() => a,
            (Protocols(a), Protocols(b)) if a & b == 0 => return None,
            (Protocols(a), Protocols(b)) => Protocols(a & b),
        };
        let cost = |bits: Option<u64>| bits.map(f64::from_bits);
        let max_cost = match (cost(self.max_cost), cost(other.max_cost)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Some(Self {
            countries: both(&self.countries, &other.countries)?,
            regions: both(&self.regions, &other.regions)?,
            tags,
            source,
            max_cost: max_cost.map(f64::to_bits),
            protocols,
        })
    }

    /// Whether a proxy meets every demand.
    #[must_use]
    pub fn matches(&self, proxy: &Proxy) -> bool {
        if self.source.is_some_and(|source| proxy.source() != source) {
            return false;
        }
        if self.max_cost.is_some_and(|bits| proxy.cost() > f64::from_bits(bits)) {
            return false;
        }
        if !self.protocols.is_empty() && !self.protocols.has(proxy.protocol()) {
            return false;
        }
        if self.countries.is_empty() && self.regions.is_empty() && self.tags.is_empty() {
            return true;
        }
        proxy.cold(|cold| {
            let one_of = |list: &[CompactString], value: Option<&str>| {
                list.is_empty() || value.is_some_and(|value| list.iter().any(|entry| same_word(entry, value)))
            };
            one_of(&self.countries, cold.country_code.as_deref())
                && one_of(&self.regions, cold.region.as_deref())
                && self.tags.iter().all(|tag| has_tag(cold, tag))
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.countries.is_empty() {
            parts.push(format!("country {}", self.countries.join(" or ")));
        }
        if !self.regions.is_empty() {
            parts.push(format!("region {}", self.regions.join(" or ")));
        }
        if !self.tags.is_empty() {
            parts.push(format!("tags {}", self.tags.join(", ")));
        }
        if let Some(source) = self.source {
            parts.push(format!("source {}", source.as_str()));
        }
        if let Some(limit) = self.max_cost {
            parts.push(format!("cost <= {}", f64::from_bits(limit)));
        }
        if !self.protocols.is_empty() {
            let names: Vec<&str> = self.protocols.iter().map(Protocol::as_str).collect();
            parts.push(format!("protocol {}", names.join(" or ")));
        }
        f.write_str(&parts.join(" and "))
    }
}

fn has_tag(cold: &Cold, tag: &str) -> bool {
    cold.tags.binary_search_by(|own| (**own).cmp(tag)).is_ok()
}

fn same_word(upper: &str, value: &str) -> bool {
    if value.is_ascii() { upper.eq_ignore_ascii_case(value) } else { upper == value.to_uppercase() }
}

fn upper(word: &str) -> CompactString {
    let mut word = CompactString::from(word.trim());
    if word.is_ascii() {
        word.make_ascii_uppercase();
        word
    } else {
        word.to_uppercase()
    }
}

fn normalised<'a>(words: impl IntoIterator<Item = &'a str>) -> Words {
    let mut words: Words = words.into_iter().map(upper).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Weights given by identifier, URL or tag.
#[derive(Debug, Default)]
pub struct WeightTable {
    by_id: AHashMap<Id, f64>,
    by_address: AHashMap<u32, Vec<(Address, f64)>>,
    by_raw: AHashMap<Box<str>, f64>,
    /// Tags with the probability of their whole group, best first.
    pub(crate) groups: Vec<(Box<str>, f64)>,
    /// What makes the largest weight 1.
    pub(crate) scale: f64,
}

impl WeightTable {
    /// Sorts the keys by what they are: an identifier, a URL, or else a tag. Weights that are not positive and finite are
    /// unusable and left out.
    pub fn new<'a>(weights: impl IntoIterator<Item = (&'a str, f64)>) -> Self {
        let mut table = Self { scale: 1.0, ..Self::default() };
        let mut largest = 1.0f64;
        for (key, weight) in weights {
            let usable = weight.is_finite() && weight > 0.0;
            if let Some(id) = Id::parse(key) {
                if usable {
                    largest = largest.max(weight);
                    table.by_id.insert(id, weight);
                }
            } else if key.contains("://") {
                if usable {
                    largest = largest.max(weight);
                    if let Ok(address) = Address::parse(key) {
                        table.by_address.entry(Key::of(&address).hash()).or_default().push((address, weight));
                    } else {
                        table.by_raw.insert(key.into(), weight);
                    }
                }
            } else {
                // A group with an unusable weight still is a group: its members get nothing.
                table.groups.push((key.into(), if usable { weight } else { 0.0 }));
            }
        }
        table.groups.sort_by(|a, b| b.1.total_cmp(&a.1));
        table.scale = 1.0 / largest;
        table
    }

    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.by_address.is_empty() && self.by_raw.is_empty() && self.groups.is_empty()
    }

    /// Whether any key is an identifier or a URL.
    pub(crate) fn names_single_proxies(&self) -> bool {
        !(self.by_id.is_empty() && self.by_address.is_empty() && self.by_raw.is_empty())
    }

    /// The scaled weight given to this very proxy, by identifier first, then by URL.
    pub(crate) fn fixed_weight(&self, proxy: &Proxy) -> Option<f64> {
        if let Some(weight) = self.by_id.get(&proxy.id()) {
            return Some(weight * self.scale);
        }
        if !self.by_address.is_empty() {
            let weight = proxy.with_key(|key| self.of_key(key).or_else(|| self.of_key(key.bare())));
            if weight.is_some() {
                return weight;
            }
        }
        if self.by_raw.is_empty() {
            return None;
        }
        self.by_raw.get(proxy.url().as_str()).map(|weight| weight * self.scale)
    }

    fn of_key(&self, wanted: Key<'_>) -> Option<f64> {
        let candidates = self.by_address.get(&wanted.hash())?;
        candidates.iter().find(|(address, _)| Key::of(address) == wanted).map(|(_, weight)| weight * self.scale)
    }

    /// The group a proxy belongs to: the most probable of those whose tag it has.
    pub(crate) fn group_of(&self, proxy: &Proxy) -> Option<usize> {
        proxy.cold(|cold| self.groups.iter().position(|(tag, _)| has_tag(cold, tag)))
    }
}
