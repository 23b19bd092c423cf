//! The last word on a lease: a limit that is not the pool's own.
//!
//! A proxy whose own limit is reached is passed over, and its lease given back as if it had never been chosen.

use std::fmt;

use crate::proxy::Id;
pub use crate::resilience::limiter::{Refusal, Scope};

/// How many proxies are asked for before a request is refused: each has cost a selection.
const MOST_TRIED: usize = 16;

/// The refusals of one request that found no proxy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exceeded {
    /// How many proxies were refused.
    pub proxies: usize,
    /// What the last limit is of.
    pub scope: Scope,
    /// Seconds until the first of them may go.
    pub retry_after: f64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rate limit exceeded: the limit ")?;
        match self.scope {
            Scope::Global => f.write_str("of all proxies together")?,
            Scope::Proxy => write!(f, "of {} proxies", self.proxies)?,
        }
        f.write_str(" allows the next request in ")?;
        write_significant(f, self.retry_after)?;
        f.write_str(" s")
    }
}

/// Three significant digits, without trailing zeros.
fn write_significant(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value == 0.0 || !value.is_finite() {
        return write!(f, "{value}");
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits);
    write!(f, "{}", (value * scale).round() / scale)
}

/// What a gate stands between.
pub trait Gate {
    /// A lease.
    type Lease;
    /// Why there is none.
    type Error;

    /// Takes a lease of a proxy that is none of those.
    ///
    /// # Errors
    /// There is none.
    fn choose(&mut self, passed_over: &[Id]) -> Result<Self::Lease, Self::Error>;

    /// Whether an error of [`Self::choose`] says that no proxy is eligible.
    fn is_shortage(&self, error: &Self::Error) -> bool;

    /// Asks the limit; `None`: the lease may be used.
    ///
    /// # Errors
    /// What the limit fails with.
    fn admit(&mut self, lease: &Self::Lease) -> Result<Option<Refusal>, Self::Error>;

    /// Gives a lease back that may not be used; its proxy.
    ///
    /// # Errors
    /// What giving back fails with.
    fn give_back(&mut self, lease: Self::Lease) -> Result<Id, Self::Error>;
}

/// Takes a lease that may be used, or says what was exceeded. `is_sticky`: no other proxy will do.
///
/// # Errors
/// As of the methods of [`Gate`].
pub fn pass<G: Gate>(gate: &mut G, is_sticky: bool) -> Result<Result<G::Lease, Exceeded>, G::Error> {
    let mut passed_over = Vec::new();
    let mut exceeded: Option<Exceeded> = None;
    loop {
        let lease = match (gate.choose(&passed_over), exceeded) {
            (Ok(lease), _) => lease,
            (Err(error), Some(exceeded)) if gate.is_shortage(&error) => return Ok(Err(exceeded)),
            (Err(error), _) => return Err(error),
        };
        let refusal = match gate.admit(&lease) {
            Ok(None) => return Ok(Ok(lease)),
            Ok(Some(refusal)) => refusal,
            Err(error) => {
                // The first error counts.
                let _ = gate.give_back(lease);
                return Err(error);
            }
        };
        passed_over.push(gate.give_back(lease)?);
        let soonest = exceeded.map_or(f64::INFINITY, |exceeded| exceeded.retry_after).min(refusal.retry_after);
        let now = Exceeded { proxies: passed_over.len(), scope: refusal.scope, retry_after: soonest };
        if is_sticky || refusal.scope == Scope::Global || passed_over.len() >= MOST_TRIED {
            return Ok(Err(now));
        }
        exceeded = Some(now);
    }
}
