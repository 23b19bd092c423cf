//! What one request has tried, and what that leaves to try.

use crate::judge::outcome::{Judgement, Outcome};
use crate::proxy::Id;
use crate::rotation::policy::Policy;

/// Attempts in all, where the policy leaves their number open.
pub const MOST_ATTEMPTS: u32 = 10;
/// Proxies that failed alike before the site must be at fault, even if each of them may be broken.
const BEYOND_DOUBT: u32 = 5;

/// The attempts of one request by number.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// All of them, the one under way included.
    pub(super) attempts: u32,
    // Those that cost one of the policy's.
    spent: u32,
    // Failures that may be the site's.
    faults: u32,
    /// Whether the site is at fault, so that another proxy is no remedy.
    pub(super) site_is_at_fault: bool,
}

impl Count {
    /// Counts what the last attempt has cost; whether another may follow.
    pub(super) fn has_left(&mut self, policy: &Policy, outcome: Judgement, is_timeout: bool) -> bool {
        let most = policy.max_attempts;
        let about_the_proxy = outcome.is_about_the_proxy();
        if is_timeout || !about_the_proxy {
            self.spent += 1;
        }
        self.attempts < most
            || (policy.is_open_ended
                && about_the_proxy
                && self.spent < most
                && self.faults < BEYOND_DOUBT
                && self.attempts < MOST_ATTEMPTS)
    }

    /// Counts what may be the site's fault, for how often to try and when to pause.
    pub(super) fn fault(&mut self, outcome: Judgement, is_tunnelled: bool) {
        match outcome {
            // Another proxy is the remedy, as long as there is one.
            Judgement::Ambiguous => self.faults += 1,
            Judgement::Known(Outcome::TargetFault) => {
                self.faults += 1;
                // Two proxies that fail at random say the same often enough; three seldom do.
                self.site_is_at_fault = self.faults > if is_tunnelled { 1 } else { 2 };
            }
            Judgement::Known(_) => {}
        }
    }
}

/// The proxies that one request has tried.
#[derive(Debug, Default)]
pub(super) struct Tried {
    all: Vec<Id>,
    // Those that will not do better in a moment.
    refused: Vec<Id>,
    // Those that the site wants back at a certain time.
    put_off: Vec<Id>,
    // Those with further exits.
    exits: Vec<Id>,
}

impl Tried {
    /// Notes how an attempt ended. `has_exits`: another connection leaves by another exit address. `is_held`: the site has
    /// named a time.
    pub(super) fn note(&mut self, id: Id, outcome: Judgement, has_exits: bool, is_held: bool) {
        push_once(&mut self.all, id);
        if outcome.is_sites_word() && has_exits {
            push_once(&mut self.exits, id);
        } else if let Some(place) = self.exits.iter().position(|&exit| exit == id) {
            self.exits.remove(place);
        } else if outcome.is_refusal() && !self.refused.contains(&id) && !self.put_off.contains(&id) {
            // A proxy that the site wants back at a certain time is not refused for good.
            if is_held { self.put_off.push(id) } else { self.refused.push(id) }
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Id> {
        self.all.clone()
    }

    /// Those that refuse, or are refused.
    pub(super) fn refused(&self) -> Vec<Id> {
        self.refused.clone()
    }

    /// All but those with further exits.
    pub(super) fn without_exits(&self) -> Vec<Id> {
        self.all.iter().copied().filter(|id| !self.exits.contains(id)).collect()
    }

    /// Whether some have further exits.
    pub(super) fn has_exits(&self) -> bool {
        !self.exits.is_empty()
    }

    /// Takes those with further exits for refused: they are benched by now, or not worth another attempt.
    pub(super) fn refuse_exits(&mut self) {
        self.refused.append(&mut self.exits);
    }

    /// Whether some are wanted back at a certain time.
    pub(super) fn has_put_off(&self) -> bool {
        !self.put_off.is_empty()
    }

    /// All but those that are wanted back, which count as any other from here on.
    pub(super) fn without_put_off(&mut self) -> Vec<Id> {
        let put_off = std::mem::take(&mut self.put_off);
        self.all.iter().copied().filter(|id| !put_off.contains(id)).collect()
    }

    /// Whether one of them neither refuses nor is refused.
    pub(super) fn has_tolerable(&self) -> bool {
        self.refused.len() + self.put_off.len() < self.all.len()
    }
}

fn push_once(ids: &mut Vec<Id>, id: Id) {
    if !ids.contains(&id) {
        ids.push(id);
    }
}
