//! Round-robin: each eligible proxy in its turn.

use super::{Choice, Query, Scope};
use crate::pool::index::bits::Bits;
use crate::proxy::Proxy;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

impl Query<'_> {
    /// The next in turn after the one chosen last under the same cursors.
    ///
    /// An ineligible proxy loses its turn. A proxy that only this request excludes keeps it: the request advances a
    /// second cursor and leaves the main one alone. With one cursor, requests that exclude the same proxy now and then
    /// could meet its turn every time and starve it; the same holds for a proxy banned at a site that every other
    /// request is for.
    pub fn round_robin(&self, cursors: &Cursors) -> Option<Choice> {
        // A list has no name of its own: its turns are kept under that of the whole pool. A site that holds back a
        // proxy has rounds of its own: requests that alternate between it and another would else meet the same proxies
        // each time.
        let uid = match self.among {
            Scope::View(view) => view.uid,
            Scope::List(_) => self.table.all.uid,
        };
        let uid = self.mask.map_or(uid, |mask| uid | mask.mask.uid() << 32);
        let (eligible, open) = match self.among {
            Scope::View(view) => (Some(&view.eligible), Some(view.open())),
            Scope::List(_) => (None, None),
        };
        cursors.at(uid, |turns| {
            loop {
                let position = turns.next.load(Ordering::Relaxed);
                let due = self.first_from(position, eligible, |_, proxy| self.accepts_otherwise(proxy))?;
                let (cursor, position, found) = if self.table.proxy(due).is_some_and(|it| self.is_set_aside(due, it)) {
                    let position = turns.detour_at(position);
                    (&turns.detour, position, self.first_from(position, open, |slot, it| self.accepts(slot, it))?)
                } else {
                    (&turns.next, position, due)
                };
                let after = self.table.position(found as usize) + 1;
                // Relaxed: the cursor orders nothing but itself. One thread wins each position, so turns are exact.
                if cursor.compare_exchange(position, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    return self.start(found);
                }
            }
        })
    }

    /// The first from that position in the pool's history on, and around, that `accept` takes.
    #[inline]
    fn first_from(&self, position: u64, among: Option<&Bits>, accept: impl Fn(u32, &Proxy) -> bool) -> Option<u32> {
        let acceptable = |slot: u32| self.table.proxy(slot).is_some_and(|proxy| accept(slot, proxy));
        match (self.among, among) {
            (Scope::View(_), Some(bits)) => {
                let begin = self.table.slot_from(position);
                let search = |mut from: usize, end: usize| {
                    loop {
                        let slot = bits.next(from).filter(|slot| *slot < end)?;
                        if acceptable(slot as u32) {
                            return Some(slot as u32);
                        }
                        from = slot + 1;
                    }
                };
                search(begin, usize::MAX).or_else(|| search(0, begin))
            }
            (Scope::View(_), None) => None,
            (Scope::List(list), _) => {
                // The list may be sorted in any way; turns go by the order of the pool.
                let turn = |slot: &u32| {
                    let at = self.table.position(*slot as usize);
                    (at < position, at)
                };
                list.iter().copied().filter(|slot| acceptable(*slot)).min_by_key(turn)
            }
        }
    }
}

/// Where a strategy stands in its rounds, one position per view. Two pools, or two countries, do not disturb each other.
#[derive(Debug, Default)]
pub struct Cursors {
    // The view asked first, so that the usual case takes no lock.
    first_uid: AtomicU64,
    first: Cursor,
    others: Mutex<ahash::AHashMap<u64, Arc<Cursor>>>,
}

/// Positions in one view's rounds.
#[derive(Debug, Default)]
struct Cursor {
    next: AtomicU64,
    // For requests that exclude the proxy due next, and the value of `next` when the detour began.
    detour: AtomicU64,
    detour_from: AtomicU64,
}

impl Cursor {
    /// Where detours go on: at the place that is due, or after the last detour from it.
    fn detour_at(&self, due: u64) -> u64 {
        // Relaxed: two threads that leave at once begin at the same place, and one of them wins it.
        if self.detour_from.swap(due, Ordering::Relaxed) != due {
            self.detour.store(due, Ordering::Relaxed);
        }
        self.detour.load(Ordering::Relaxed)
    }
}

/// Positions kept for views other than the first; more than a pool keeps views.
const CURSORS: usize = 1024;

impl Cursors {
    fn at<R>(&self, uid: u64, ask: impl FnOnce(&Cursor) -> R) -> R {
        // Relaxed: the name is set once, and the position starts at zero for every reader.
        let owner = self.first_uid.load(Ordering::Relaxed);
        let mine = owner == uid
            || (owner == 0 && self.first_uid.compare_exchange(0, uid, Ordering::Relaxed, Ordering::Relaxed).is_ok())
            || self.first_uid.load(Ordering::Relaxed) == uid;
        if mine {
            return ask(&self.first);
        }
        let turns = {
            let mut others = self.others.lock();
            if others.len() >= CURSORS && !others.contains_key(&uid) {
                others.clear();
            }
            others.entry(uid).or_default().clone()
        };
        ask(&turns)
    }
}
