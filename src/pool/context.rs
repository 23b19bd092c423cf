//! What a caller wants of one selection.

use ahash::AHashSet;
use smallvec::SmallVec;

use crate::pool::filter::{Filter, Protocols};
use crate::proxy::{Id, Proxy};

/// Demands on what a proxy has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// Longest latency average allowed, in milliseconds; proxies without one pass.
    pub max_response_time_ms: Option<f64>,
    /// Lowest success rate allowed, 0 to 1; proxies without a result pass.
    pub min_success_rate: Option<f64>,
}

impl Thresholds {
    /// Whether anything is demanded.
    #[inline]
    #[must_use]
    pub fn any(&self) -> bool {
        self.max_response_time_ms.is_some() || self.min_success_rate.is_some()
    }

    /// Each demand, or the other's where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_response_time_ms: self.max_response_time_ms.or(other.max_response_time_ms),
            min_success_rate: self.min_success_rate.or(other.min_success_rate),
        }
    }

    /// Whether a proxy meets them.
    #[must_use]
    pub fn admit(&self, proxy: &Proxy) -> bool {
        let slow = self.max_response_time_ms.is_some_and(|limit| proxy.ema().is_some_and(|ema| ema > limit));
        let poor = self.min_success_rate.is_some_and(|limit| proxy.total() > 0 && proxy.success_rate() < limit);
        !slow && !poor
    }
}

/// Proxies not to be chosen, by identifier.
#[derive(Debug, Clone, Default)]
pub enum Excluded {
    /// No proxy.
    #[default]
    Empty,
    /// So few that comparing is cheaper than hashing.
    Few(SmallVec<[Id; 4]>),
    /// More.
    Many(Box<AHashSet<Id>>),
}

/// From this many on a set is faster than a list.
const FEW: usize = 8;

impl Excluded {
    /// Those identifiers.
    pub fn new(ids: impl IntoIterator<Item = Id>) -> Self {
        let list: SmallVec<[Id; 4]> = ids.into_iter().collect();
        match list.len() {
            0 => Self::Empty,
            1..=FEW => Self::Few(list),
            _ => Self::Many(Box::new(list.into_iter().collect())),
        }
    }

    /// Whether no proxy is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether that proxy is.
    #[inline]
    #[must_use]
    pub fn contains(&self, proxy: &Proxy) -> bool {
        match self {
            Self::Empty => false,
            Self::Few(list) => list.contains(&proxy.id()),
            Self::Many(set) => set.contains(&proxy.id()),
        }
    }

    /// The identifiers.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        let (list, set) = match self {
            Self::Empty => (None, None),
            Self::Few(list) => (Some(list.iter()), None),
            Self::Many(set) => (None, Some(set.iter())),
        };
        list.into_iter().flatten().chain(set.into_iter().flatten()).copied()
    }

    /// Number of identifiers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Few(list) => list.len(),
            Self::Many(set) => set.len(),
        }
    }
}

/// What a caller wants of one selection.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Requests with the same one go through the same proxy under a session strategy.
    pub session_id: Option<Box<str>>,
    /// The country asked for.
    pub target_country: Option<Box<str>>,
    /// The country asked for, by its older name.
    pub preferred_country: Option<Box<str>>,
    /// The region asked for.
    pub target_region: Option<Box<str>>,
    /// Demands on what a proxy has shown.
    pub thresholds: Thresholds,
    /// Proxies not to be chosen.
    pub excluded: Excluded,
    /// What every candidate must meet, whatever the strategy.
    pub required: Option<Filter>,
    /// Whether this selection serves a request of a rotator: what is an error when a strategy is used by hand is then
    /// served by its fallback.
    pub in_rotation: bool,
    /// Whether the budget has no room for paid proxies, which `required` then leaves out.
    pub is_unpaid: bool,
}

impl Context {
    /// Lays demands over it. A country is a demand under every strategy: one that looks at places chooses among the proxies that
    /// meet it. A region of two letters may also be a country, which such a strategy knows, so that it is left to it.
    pub fn demand(
        &mut self,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&[Box<str>]>,
        protocols: Option<Protocols>,
        honours_region: bool,
    ) {
        let mut required = Filter::default();
        if let Some(country) = country {
            self.target_country = Some(country.into());
            required.countries = Filter::countries([country]).countries;
        }
        if let Some(region) = region {
            self.target_region = Some(region.into());
            if !honours_region {
                required.regions = Filter::regions([region]).regions;
            }
        }
        if let Some(tags) = tags {
            required.tags = Filter::tags(tags.iter().map(|tag| &**tag)).tags;
        }
        if let Some(protocols) = protocols {
            required.protocols = protocols;
        }
        if !required.is_empty() {
            self.required = Some(required);
        }
    }

    /// The same among the proxies that cost nothing.
    #[must_use]
    pub fn unpaid(&self) -> Self {
        let free = Filter::max_cost(0.0);
        // Demands on the cost are the least of both, so that they never exclude each other.
        let required = self.required.as_ref().and_then(|required| required.and(&free)).unwrap_or(free);
        Self { required: Some(required), is_unpaid: true, ..self.clone() }
    }

    /// Nothing in particular, for a selection of a rotator or one by hand.
    #[must_use]
    pub const fn nothing(in_rotation: bool) -> Self {
        Self {
            session_id: None,
            target_country: None,
            preferred_country: None,
            target_region: None,
            thresholds: Thresholds { max_response_time_ms: None, min_success_rate: None },
            excluded: Excluded::Empty,
            required: None,
            in_rotation,
            is_unpaid: false,
        }
    }
}
