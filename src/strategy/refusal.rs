//! Why a strategy has no proxy to offer.

use std::any::Any;
use std::fmt;

use crate::pool::query::Query;
use crate::proxy::money::Money;

/// Why a strategy has no proxy to offer.
#[non_exhaustive]
pub enum Refusal {
    /// The pool is empty.
    EmptyPool,
    /// No member is eligible.
    NoHealthy {
        /// Number of members.
        size: usize,
    },
    /// The caller excludes every eligible member.
    AllExcluded {
        /// Number of excluded proxies.
        excluded: usize,
    },
    /// The site holds back every eligible member.
    NotHere {
        /// Key of the site.
        site: Box<str>,
    },
    /// No member meets the demands.
    NoMatch {
        /// What was demanded, for people.
        wanted: String,
    },
    /// The strategy lacks what it chooses by.
    MissingMetadata {
        /// Class name of the strategy.
        strategy: String,
        /// The fields it lacks.
        fields: Vec<String>,
    },
    /// The strategy's choices were not admitted, however often it chose.
    NotAdmitted {
        /// Number of choices.
        tries: usize,
    },
    /// The budget has no room for a paid proxy, and no free one fits.
    BudgetExceeded {
        /// The most that may be spent.
        budget: Money,
        /// What was spent.
        spent: Money,
    },
    /// A session strategy was asked without a session.
    NeedsSession,
    /// An error of the embedding program's own code.
    Foreign(Box<dyn Any + Send>),
}

impl Refusal {
    /// Why a query without an answer has none.
    #[must_use]
    pub fn of(query: &Query<'_>) -> Self {
        if query.pool().is_empty() {
            return Self::EmptyPool;
        }
        if query.has_no_eligible() {
            return if query.is_narrowed() {
                Self::NoMatch { wanted: query.filter_text() }
            } else {
                Self::NoHealthy { size: query.pool().len() }
            };
        }
        if query.has_thresholds() && !query.without_thresholds().is_empty() {
            return Self::NoMatch { wanted: "the thresholds on response time and success rate".to_owned() };
        }
        let context = query.context();
        if !context.excluded.is_empty() {
            return Self::AllExcluded { excluded: context.excluded.len() };
        }
        match query.mask() {
            Some(mask) => Self::NotHere { site: mask.name().into() },
            None => Self::AllExcluded { excluded: 0 },
        }
    }

    /// Whether a fallback may serve instead: yes where candidates or knowledge of them are missing.
    #[must_use]
    pub fn may_fall_back(&self) -> bool {
        !matches!(self, Self::NeedsSession | Self::Foreign(_) | Self::NotAdmitted { .. } | Self::BudgetExceeded { .. })
    }

    /// Whether no proxy was available, for which there are reasons.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(
            self,
            Self::EmptyPool
                | Self::NoHealthy { .. }
                | Self::AllExcluded { .. }
                | Self::NotHere { .. }
                | Self::NoMatch { .. }
                | Self::NotAdmitted { .. }
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPool => f.write_str("No healthy proxies available: the pool is empty"),
            Self::NoHealthy { size } => {
                write!(f, "No healthy proxies available: none of the {size} in the pool may be chosen")
            }
            Self::AllExcluded { excluded } => write!(
                f,
                "No healthy proxies available after filtering out failed proxies ({excluded} excluded by the request)"
            ),
            Self::NotHere { site } => write!(f, "No healthy proxies available for {site}"),
            Self::NoMatch { wanted } => write!(f, "No healthy proxies available that match {wanted}"),
            Self::MissingMetadata { strategy, fields } => {
                write!(f, "{strategy} cannot choose: no proxy has {}", fields.join(", "))
            }
            Self::NotAdmitted { tries } => {
                write!(f, "No healthy proxies available: none of {tries} choices of the strategy was admitted")
            }
            Self::BudgetExceeded { budget, spent } => {
                let (budget, spent) = (budget.amount(), spent.amount());
                write!(f, "The budget of {budget} is used up: {spent} is spent, and there is no free proxy to use")
            }
            Self::NeedsSession => f.write_str("SessionPersistenceStrategy requires SelectionContext with session_id"),
            Self::Foreign(_) => f.write_str("a strategy of the embedding program failed"),
        }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

impl std::error::Error for Refusal {}
