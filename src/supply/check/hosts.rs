//! How many checks of one host are under way.

use std::collections::VecDeque;

use ahash::AHashMap;

use super::inbox::Inbox;
use crate::sync::{Arc, Mutex};

/// The bound, and those who wait for their turn.
pub(super) struct Hosts {
    most: usize,
    lots: Mutex<AHashMap<Box<str>, Lot>>,
}

#[derive(Default)]
struct Lot {
    under_way: usize,
    waiting: VecDeque<(Arc<Inbox>, usize)>,
}

impl Hosts {
    pub(super) fn new(most: usize) -> Self {
        Self { most, lots: Mutex::new(AHashMap::new()) }
    }

    /// Whether a check of the host may begin now. If not, the inbox is told when it is its turn.
    pub(super) fn enter(&self, host: &str, inbox: &Arc<Inbox>, number: usize) -> bool {
        let mut lots = self.lots.lock();
        let lot = lots.entry(host.into()).or_default();
        if lot.under_way < self.most {
            lot.under_way += 1;
            return true;
        }
        lot.waiting.push_back((Arc::clone(inbox), number));
        false
    }

    /// A check of the host is over: it is the turn of the next.
    pub(super) fn leave(&self, host: &str) {
        let next = {
            let mut lots = self.lots.lock();
            let Some(lot) = lots.get_mut(host) else { return };
            let next = lot.waiting.pop_front();
            if next.is_none() {
                lot.under_way -= 1;
                if lot.under_way == 0 {
                    lots.remove(host);
                }
            }
            next
        };
        if let Some((inbox, number)) = next {
            inbox.look_at(number);
        }
    }
}
