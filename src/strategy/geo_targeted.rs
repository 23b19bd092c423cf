//! Those in the wanted country or region, chosen among by a second strategy.

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::filter::Filter;
use crate::pool::query::{Choice, Query};
use crate::proxy::{Proxy, Verdict};
use crate::strategy::config::Config;
use crate::strategy::round_robin::RoundRobin;
use crate::strategy::{Common, Narrowing, Refusal, Shared, Strategy};
use crate::sync::{Arc, ArcSwap, AtomicBool, Ordering};

/// Where the strategy looks when the request does not say.
#[derive(Debug, Clone, Default)]
struct Preferred {
    countries: Vec<String>,
    regions: Vec<String>,
    filter: Option<Arc<Filter>>,
}

impl Preferred {
    fn new(countries: Vec<String>, regions: Vec<String>) -> Self {
        let filter = if !countries.is_empty() {
            Some(Arc::new(Filter::countries(countries.iter().map(String::as_str))))
        } else if !regions.is_empty() {
            Some(Arc::new(Filter::regions(regions.iter().map(String::as_str))))
        } else {
            None
        };
        Self { countries, regions, filter }
    }
}

/// What is looked for, in the order of trying.
enum Target {
    Anywhere,
    Preferred(arc_swap::Guard<Arc<Preferred>>),
    There(Filter),
    // A region of two letters may be a country.
    RegionOrCountry(Filter, Filter),
}

/// See the module.
pub struct GeoTargeted {
    common: Common,
    secondary: ArcSwap<Shared>,
    preferred: ArcSwap<Preferred>,
    own: Preferred,
    fallback_enabled: AtomicBool,
}

impl GeoTargeted {
    /// Prefers those countries, or else those regions; `secondary` chooses among the matches.
    #[must_use]
    pub fn new(
        countries: Vec<String>,
        regions: Vec<String>,
        secondary: Option<Shared>,
        fallback_enabled: bool,
    ) -> Self {
        let secondary: Shared = secondary.unwrap_or_else(|| Arc::new(RoundRobin::default()));
        let own = Preferred::new(countries, regions);
        Self {
            common: Common::default(),
            secondary: ArcSwap::from_pointee(secondary),
            preferred: ArcSwap::from_pointee(own.clone()),
            own,
            fallback_enabled: AtomicBool::new(fallback_enabled),
        }
    }

    /// The strategy that chooses among the matches.
    #[must_use]
    pub fn secondary(&self) -> Shared {
        Shared::clone(&self.secondary.load())
    }

    /// Sets the strategy that chooses among the matches.
    pub fn set_secondary(&self, secondary: Shared) {
        self.secondary.store(Arc::new(secondary));
    }

    /// Whether proxies elsewhere serve when none matches.
    #[must_use]
    pub fn fallback_enabled(&self) -> bool {
        self.fallback_enabled.load(Ordering::Relaxed)
    }

    /// Sets whether proxies elsewhere serve when none matches.
    pub fn set_fallback_enabled(&self, on: bool) {
        self.fallback_enabled.store(on, Ordering::Relaxed);
    }

    fn target(&self, query: &Query<'_>) -> Target {
        let context = query.context();
        if let Some(code) = context.target_country.as_deref().or(context.preferred_country.as_deref()) {
            return Target::There(Filter::country(code));
        }
        if let Some(region) = context.target_region.as_deref() {
            let regions = Filter::regions([region]);
            return if region.chars().count() == 2 {
                Target::RegionOrCountry(regions, Filter::countries([region]))
            } else {
                Target::There(regions)
            };
        }
        let preferred = self.preferred.load();
        if preferred.filter.is_some() { Target::Preferred(preferred) } else { Target::Anywhere }
    }

    fn among(&self, query: &Query<'_>, filter: &Filter) -> Result<Choice, Refusal> {
        query.narrowed(filter, |there| self.secondary.load().select(there))
    }
}

fn place_name(filter: &Filter) -> String {
    let (what, names) =
        if filter.countries.is_empty() { ("region", &filter.regions) } else { ("country", &filter.countries) };
    format!("{what} {}", names.join(" or "))
}

impl Strategy for GeoTargeted {
    fn name(&self) -> &str {
        "GeoTargetedStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    // The fallback of this strategy is part of its rule: it serves only when no proxy is at the target.
    fn select(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let own = self.common.thresholds();
        if own.any() { self.pick(&query.or_thresholds(own)) } else { self.pick(query) }
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let (refusal, wanted) = match self.target(query) {
            Target::Anywhere => return self.secondary.load().select(query),
            Target::Preferred(preferred) => {
                let Some(filter) = &preferred.filter else { return self.secondary.load().select(query) };
                match self.among(query, filter) {
                    Ok(choice) => return Ok(choice),
                    Err(refusal) => (refusal, place_name(filter)),
                }
            }
            Target::There(filter) => match self.among(query, &filter) {
                Ok(choice) => return Ok(choice),
                Err(refusal) => (refusal, place_name(&filter)),
            },
            Target::RegionOrCountry(region, country) => {
                let found = self.among(query, &region).or_else(|_| self.among(query, &country));
                match found {
                    Ok(choice) => return Ok(choice),
                    Err(refusal) => (refusal, place_name(&region)),
                }
            }
        };
        if !refusal.may_fall_back() {
            return Err(refusal);
        }
        if self.fallback_enabled() {
            let everywhere = query.without_thresholds();
            return match self.common.fallback() {
                Some(fallback) => {
                    if let Some(notes) = query.notes() {
                        notes.fell_back.set(true);
                    }
                    fallback.select(&everywhere)
                }
                None => self.secondary.load().select(&everywhere),
            };
        }
        if query.pool().is_empty() {
            return Err(Refusal::EmptyPool);
        }
        Err(Refusal::NoMatch { wanted })
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        let countries =
            config.preferred_countries.clone().or_else(|| config.geo_preferences.clone()).unwrap_or_default();
        let regions = config.preferred_regions.clone().unwrap_or_default();
        // The constructor's arguments win.
        let pick = |own: &[String], given: Vec<String>| if own.is_empty() { given } else { own.to_vec() };
        self.preferred
            .store(Arc::new(Preferred::new(pick(&self.own.countries, countries), pick(&self.own.regions, regions))));
        if let Some(on) = config.geo_fallback_enabled {
            self.set_fallback_enabled(on);
        }
    }

    fn narrow(&self, query: &Query<'_>) -> Result<Narrowing, Refusal> {
        Ok(match self.target(query) {
            Target::Anywhere => Narrowing::All,
            Target::Preferred(preferred) => preferred.filter.clone().map_or(Narrowing::All, Narrowing::By),
            Target::There(filter) => Narrowing::By(Arc::new(filter)),
            Target::RegionOrCountry(region, country) => {
                let is_empty = query.narrowed(&region, |there| there.is_empty());
                Narrowing::By(Arc::new(if is_empty { country } else { region }))
            }
        })
    }

    fn required_fields(&self) -> Vec<&'static str> {
        vec!["country_code"]
    }

    fn record(&self, proxy: &Arc<Proxy>, verdict: Verdict, clock: &dyn Clock) {
        match self.common.alpha() {
            Some(alpha) => proxy.complete(verdict, Some(alpha), clock),
            None => self.secondary.load().record(proxy, verdict, clock),
        }
    }

    fn each_part(&self, visit: &mut dyn FnMut(&Shared)) {
        visit(&self.secondary.load());
        if let Some(fallback) = self.common.fallback() {
            visit(&fallback);
        }
    }

    fn clear_parts(&self) {
        self.common.set_fallback(None);
        self.set_secondary(Arc::new(RoundRobin::default()));
    }

    fn validate(&self, pool: &Pool, clock: &dyn Clock) -> bool {
        if self.preferred.load().filter.is_none() {
            return true;
        }
        let table = pool.table();
        let eligible = pool.eligible(&table, clock);
        eligible
            .iter()
            .filter_map(|slot| table.proxy(*slot))
            .any(|proxy| proxy.cold(|cold| cold.country_code.is_some() || cold.region.is_some()))
    }

    fn honours_region(&self) -> bool {
        true
    }

    fn serves_beyond(&self) -> bool {
        self.fallback_enabled()
    }

    fn enter_rotation(&self) {
        self.secondary.load().enter_rotation();
    }
}
