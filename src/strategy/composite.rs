//! Filters one after the other, then a strategy that chooses among what they leave.

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::filter::Filter;
use crate::pool::query::{Choice, Query};
use crate::proxy::{Proxy, Verdict};
use crate::strategy::config::Config;
use crate::strategy::round_robin::RoundRobin;
use crate::strategy::{Common, Narrowing, Refusal, Shared, Strategy};
use crate::sync::{Arc, ArcSwap};

/// What a composite is made of.
#[derive(Clone)]
struct Parts {
    filters: Vec<Shared>,
    selector: Shared,
}

/// See the module.
pub struct Composite {
    common: Common,
    parts: ArcSwap<Parts>,
}

impl Composite {
    /// These filters, that selector.
    #[must_use]
    pub fn new(filters: Vec<Shared>, selector: Shared) -> Self {
        Self { common: Common::default(), parts: ArcSwap::from_pointee(Parts { filters, selector }) }
    }

    /// Replaces filters and selector in one step.
    pub fn set_parts(&self, filters: Vec<Shared>, selector: Shared) {
        self.parts.store(Arc::new(Parts { filters, selector }));
    }

    fn descend<R>(
        filters: &[Shared],
        query: &Query<'_>,
        last: &mut dyn FnMut(&Query<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let Some((first, rest)) = filters.split_first() else {
            return last(query);
        };
        let mut go_on = |narrowed: &Query<'_>| {
            if narrowed.is_empty() {
                if query.is_empty() {
                    return Err(Refusal::of(query));
                }
                return Err(Refusal::NoMatch { wanted: format!("the filter {}", first.name()) });
            }
            Self::descend(rest, narrowed, last)
        };
        let own = first.common().thresholds();
        let stricter;
        let query = if own.any() {
            stricter = query.or_thresholds(own);
            &stricter
        } else {
            query
        };
        match first.narrow(query)? {
            Narrowing::All => go_on(query),
            Narrowing::By(filter) => query.narrowed(&filter, |narrowed| go_on(narrowed)),
            Narrowing::Slots(slots) => query.among(&slots, |narrowed| go_on(narrowed)),
        }
    }

    /// All the filters as one: a description as long as they are descriptions, which costs nothing, and from then on a list.
    fn restrict(filters: &[Shared], query: &Query<'_>, so_far: Filter) -> Result<Narrowing, Refusal> {
        let listed = |filters: &[Shared], query: &Query<'_>| {
            Self::descend(filters, query, &mut |narrowed| Ok(narrowed.candidates())).map(Narrowing::Slots)
        };
        let Some((first, rest)) = filters.split_first() else {
            return Ok(if so_far.is_empty() { Narrowing::All } else { Narrowing::By(Arc::new(so_far)) });
        };
        if first.common().thresholds().any() {
            return listed(filters, query);
        }
        match first.narrow(query)? {
            Narrowing::All => Self::restrict(rest, query, so_far),
            Narrowing::By(filter) => match so_far.and(&filter) {
                Some(both) => query.narrowed(&filter, |narrowed| Self::restrict(rest, narrowed, both)),
                None => Ok(Narrowing::Slots(Vec::new())),
            },
            Narrowing::Slots(slots) => query.among(&slots, |narrowed| listed(rest, narrowed)),
        }
    }
}

impl Strategy for Composite {
    fn name(&self) -> &str {
        "CompositeStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let parts = self.parts.load();
        Self::descend(&parts.filters, query, &mut |narrowed| parts.selector.select(narrowed))
    }

    // One request ends once: the selector ends it, the filters have no part in that.
    fn record(&self, proxy: &Arc<Proxy>, verdict: Verdict, clock: &dyn Clock) {
        self.parts.load().selector.record(proxy, verdict, clock);
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        let parts = self.parts.load();
        for part in parts.filters.iter().chain([&parts.selector]) {
            part.configure(config);
        }
    }

    fn narrow(&self, query: &Query<'_>) -> Result<Narrowing, Refusal> {
        let parts = self.parts.load();
        match Self::restrict(&parts.filters, query, Filter::default()) {
            Err(refusal) if !matches!(refusal, Refusal::Foreign(_)) => Ok(Narrowing::Slots(Vec::new())),
            left => left,
        }
    }

    fn required_fields(&self) -> Vec<&'static str> {
        let parts = self.parts.load();
        parts.filters.iter().chain([&parts.selector]).flat_map(|part| part.required_fields()).collect()
    }

    fn each_part(&self, visit: &mut dyn FnMut(&Shared)) {
        let parts = self.parts.load();
        parts.filters.iter().chain([&parts.selector]).for_each(&mut *visit);
        if let Some(fallback) = self.common.fallback() {
            visit(&fallback);
        }
    }

    fn clear_parts(&self) {
        self.common.set_fallback(None);
        self.set_parts(Vec::new(), Arc::new(RoundRobin::default()));
    }

    fn validate(&self, pool: &Pool, clock: &dyn Clock) -> bool {
        let parts = self.parts.load();
        parts.filters.iter().chain([&parts.selector]).all(|part| part.validate(pool, clock))
    }

    fn honours_region(&self) -> bool {
        let parts = self.parts.load();
        parts.filters.iter().chain([&parts.selector]).any(|part| part.honours_region())
    }

    fn enter_rotation(&self) {
        let parts = self.parts.load();
        for part in parts.filters.iter().chain([&parts.selector]) {
            part.enter_rotation();
        }
    }
}
