//! Strategies: each chooses one of the eligible proxies by its own rule.
//!
//! A strategy never scans, locks or judges by itself: it says by which rule a [`Query`] is to be answered.

mod common;
pub mod composite;
pub mod config;
pub mod cost_aware;
pub mod geo_targeted;
pub mod least_used;
pub mod names;
mod narrowing;
pub mod performance;
pub mod random;
mod refusal;
pub mod round_robin;
pub mod session;
pub mod weighted;

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::query::{Choice, Query};
use crate::proxy::{Proxy, Verdict};
use crate::sync::Arc;
pub use common::Common;
use config::Config;
pub use narrowing::{Narrowing, kept, slots_left};
pub use refusal::Refusal;

/// What every strategy can do. Implementations may be called from any thread at any time.
pub trait Strategy: Send + Sync {
    /// The class name users know it by.
    fn name(&self) -> &str;

    /// The settings every strategy has.
    fn common(&self) -> &Common;

    /// Chooses a proxy by the strategy's rule and counts exactly one start on it.
    ///
    /// # Errors
    /// [`Refusal`] says why there is none.
    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal>;

    /// Chooses a proxy under the configured thresholds, with the configured fallback.
    ///
    /// # Errors
    /// [`Refusal`] of the strategy, or of the fallback where there is one.
    fn select(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let common = self.common();
        if let Some(seconds) = common.window() {
            query.pool().keep_window(seconds);
        }
        let own = common.thresholds();
        let answer = if own.any() { self.pick(&query.or_thresholds(own)) } else { self.pick(query) };
        match answer {
            Err(refusal) if refusal.may_fall_back() => match self.common().fallback() {
                Some(fallback) => {
                    if let Some(notes) = query.notes() {
                        notes.fell_back.set(true);
                    }
                    fallback.select(&query.without_thresholds())
                }
                None => Err(refusal),
            },
            answer => answer,
        }
    }

    /// Ends one request on a proxy this strategy has chosen.
    fn record(&self, proxy: &Arc<Proxy>, verdict: Verdict, clock: &dyn Clock) {
        proxy.complete(verdict, self.common().alpha(), clock);
    }

    /// Applies a configuration.
    fn configure(&self, config: &Config) {
        self.common().configure(config);
    }

    /// How the strategy restricts the candidates of a composite; by default not at all.
    ///
    /// # Errors
    /// [`Refusal`] of a strategy that cannot do what is asked.
    fn narrow(&self, _query: &Query<'_>) -> Result<Narrowing, Refusal> {
        Ok(Narrowing::All)
    }

    /// Names of the proxy fields it cannot do without.
    fn required_fields(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Visits the strategies it is made of; by default its fallback alone.
    fn each_part(&self, visit: &mut dyn FnMut(&Shared)) {
        if let Some(fallback) = self.common().fallback() {
            visit(&fallback);
        }
    }

    /// Lets go of the strategies it is made of, where they may refer back to it.
    fn clear_parts(&self) {
        self.common().set_fallback(None);
    }

    /// Itself, for an embedding program that looks for its own strategies.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }

    /// Whether the strategy can choose from this pool as it is.
    fn validate(&self, _pool: &Pool, _clock: &dyn Clock) -> bool {
        true
    }

    /// Whether it reads the context's region itself, and has a rule for a region without proxies.
    fn honours_region(&self) -> bool {
        false
    }

    /// Whether other proxies serve when its own restrictions leave none; by default where it has a fallback.
    fn serves_beyond(&self) -> bool {
        self.common().fallback().is_some()
    }

    /// Called once, when a rotator starts to use the strategy.
    fn enter_rotation(&self) {}
}

/// A strategy shared between threads.
pub type Shared = Arc<dyn Strategy>;

/// Asks a strategy, under the context's own demands.
///
/// # Errors
/// [`Refusal`] of the strategy.
pub fn choose(strategy: &dyn Strategy, query: &Query<'_>) -> Result<Choice, Refusal> {
    let chosen = match &query.context().required {
        None => query.on_masked_view(|query| strategy.select(query)),
        Some(filter) => query.narrowed(filter, |query| strategy.select(query)),
    };
    match chosen {
        Err(refusal) if !query.connects() && refusal.is_shortage() => {
            choose_beyond_connections(strategy, query).unwrap_or(Err(refusal))
        }
        chosen => chosen,
    }
}

/// The same among the proxies that only their connections in use keep out, for a request that brings its own; `None` where
/// there is no such proxy.
#[cold]
fn choose_beyond_connections(strategy: &dyn Strategy, query: &Query<'_>) -> Option<Result<Choice, Refusal>> {
    let slots = query.without_connection();
    if slots.is_empty() {
        return None;
    }
    let ask = |query: &Query<'_>| match &query.context().required {
        None => strategy.select(query),
        Some(filter) => query.narrowed(filter, |query| strategy.select(query)),
    };
    query
        .among(&slots, ask)
        .map(Some)
        .or_else(|refusal| if refusal.is_shortage() { Ok(None) } else { Err(refusal) })
        .transpose()
}
