//! What a filter leaves of the candidates.

use std::hash::Hash;

use ahash::AHashSet;

use crate::pool::filter::Filter;
use crate::pool::query::Query;
use crate::strategy::{Refusal, Strategy};
use crate::sync::Arc;

/// What is left of the candidates after a filter.
#[derive(Debug, Clone)]
pub enum Narrowing {
    /// All candidates.
    All,
    /// The proxies that match this.
    By(Arc<Filter>),
    /// These slots.
    Slots(Vec<u32>),
}

/// The slots that a strategy, used as a filter, leaves.
///
/// # Errors
/// [`Refusal`] of a strategy that is asked what it cannot do.
pub fn slots_left(strategy: &dyn Strategy, query: &Query<'_>) -> Result<Vec<u32>, Refusal> {
    Ok(match strategy.narrow(query)? {
        Narrowing::All => query.candidates(),
        Narrowing::By(filter) => query.narrowed(&filter, |narrowed| narrowed.candidates()),
        Narrowing::Slots(slots) => slots,
    })
}

/// The members of `all` whose key is among `left`, in the order of `all`. Linear: one look-up for each.
pub fn kept<T, K: Hash + Eq>(
    all: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
    left: impl IntoIterator<Item = K>,
) -> impl Iterator<Item = T> {
    let left: AHashSet<K> = left.into_iter().collect();
    all.into_iter().filter(move |one| left.contains(&key(one)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static WORK: Cell<usize> = const { Cell::new(0) };
    }

    fn count() {
        WORK.set(WORK.get() + 1);
    }

    /// A key that counts how often it is compared and hashed.
    #[derive(Debug)]
    struct Counted(usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            count();
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            count();
            self.0.hash(state);
        }
    }

    /// Keeps every second of `size`, and says how much work that was.
    fn work(size: usize) -> usize {
        WORK.set(0);
        let left = (0..size).step_by(2).rev().map(Counted);
        let kept: Vec<usize> = kept(0..size, |one| Counted(*one), left).collect();
        assert_eq!(kept, (0..size).step_by(2).collect::<Vec<_>>());
        WORK.get()
    }

    #[test]
    fn work_grows_with_the_number_of_proxies_and_not_with_its_square() {
        for size in [500, 5_000, 50_000] {
            // Each is hashed once on the way in, again as the set grows, and once to be found; few are compared in vain.
            assert!(work(size) <= 5 * size, "{size}: {}", work(size));
        }
    }
}
