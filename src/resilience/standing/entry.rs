//! One pair of proxy and site: what holds it back, and until when. No locks, no clocks: moments are passed in, in
//! nanoseconds on the steady clock.

use crate::proxy::liveness::Rate;

/// The longest first rest of a pair that fails, and the longest of all, in nanoseconds.
const REST_BASE: u64 = 1_000_000_000;
const REST_CAP: u64 = 60_000_000_000;
/// Nanoseconds for which failures and refusals without consequence are remembered.
const NOTED: u64 = 600_000_000_000;

/// Exits in a row that a site refuses before the proxy that has them is benched.
const EXITS: u8 = 3;

/// How long a probe may be under way before another one is let through.
pub(super) const PROBE_EXPIRES: u64 = 60_000_000_000;

/// Why a proxy is passed over at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The site refuses it.
    Banned,
    /// The site, or the user, asks for a pause.
    RateLimited,
    /// Requests through it fail there, and the site may be at fault.
    Failing,
}

impl Kind {
    /// The kind of that word, of those that outlive the process.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Banned, Self::RateLimited].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The documented word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::RateLimited => "rate_limited",
            Self::Failing => "failing",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    number: u32,
    expires: u64,
}

/// What holds a pair back now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) kind: Kind,
    pub(super) until: u64,
    /// It ends sooner if the probe under way is settled.
    pub(super) probing: bool,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct SiteState {
    kind: Kind,
    until: u64,
    /// Times in a row that it was benched.
    pub(super) level: u32,
    /// The next request is a probe, until one has succeeded.
    owes_probe: bool,
    probe: Option<Probe>,
    // When it was benched last: what was sent before says nothing new.
    benched_at: u64,
    // When the bucket will be full again, by the generic cell rate algorithm.
    full_at: u64,
    // Failures in a row that may be the site's fault, and refusals in a row of exits behind one address; since when.
    failed: u8,
    refused: u8,
    noted_at: u64,
}

impl SiteState {
    pub(super) fn new() -> Self {
        Self {
            kind: Kind::Banned,
            until: 0,
            level: 0,
            owes_probe: false,
            probe: None,
            benched_at: 0,
            full_at: 0,
            failed: 0,
            refused: 0,
            noted_at: 0,
        }
    }

    /// What holds it back now, if anything: the longest of what does.
    pub(super) fn hold(&self, now: u64, rate: Option<Rate>) -> Option<Hold> {
        let mut hold = None;
        if self.until > now {
            hold = Some(Hold { kind: self.kind, until: self.until, probing: false });
        } else if let Some(probe) = self.probe.filter(|probe| probe.expires > now) {
            hold = Some(Hold { kind: self.kind, until: probe.expires, probing: true });
        }
        if let Some(rate) = rate {
            let ready = rate.ready_at(self.full_at);
            if ready > now && hold.is_none_or(|hold| ready > hold.until) {
                hold = Some(Hold { kind: Kind::RateLimited, until: ready, probing: false });
            }
        }
        hold
    }

    /// What held it back until just now.
    pub(super) fn lapsed(&self, now: u64) -> Hold {
        Hold { kind: self.kind, until: now, probing: false }
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_clear(&self, now: u64) -> bool {
        let is_noted = self.is_noted() && now.saturating_sub(self.noted_at) <= NOTED;
        !self.owes_probe && self.until <= now && self.full_at <= now && !is_noted
    }

    /// Whether an answer changes something, though nothing holds the pair back.
    pub(super) fn is_noted(&self) -> bool {
        self.failed > 0 || self.refused > 0
    }

    /// Whether there were failures that may be the site's, and no answer since.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Whether it is benched by the site's word, and not at rest after failures.
    pub(super) fn is_benched(&self) -> bool {
        self.owes_probe && self.kind != Kind::Failing
    }

    /// The kind, and until when where that is known: for people.
    pub(super) fn shown(&self, now: u64, rate: Option<Rate>) -> Option<(Kind, Option<u64>)> {
        match self.hold(now, rate) {
            Some(hold) => Some((hold.kind, Some(hold.until))),
            None => self.owes_probe.then_some((self.kind, None)),
        }
    }

    /// Lets one request through that nothing holds back: it takes a token, and is the probe if one is owed.
    pub(super) fn admit(&mut self, now: u64, rate: Option<Rate>, number: u32) -> Option<u32> {
        if let Some(rate) = rate {
            self.full_at = rate.full_after(self.full_at, now);
        }
        if !self.owes_probe {
            return None;
        }
        self.probe = Some(Probe { number, expires: now + PROBE_EXPIRES });
        Some(number)
    }

    /// Gives back the token of a request that was never sent.
    pub(super) fn give_back(&mut self, rate: Option<Rate>) {
        if let Some(rate) = rate {
            self.full_at = rate.full_with_one_back(self.full_at);
        }
    }

    /// The probe of that number has ended without a verdict on the site; whether it was under way.
    pub(super) fn end_probe(&mut self, number: u32) -> bool {
        let mine = self.probe.is_some_and(|probe| probe.number == number);
        if mine {
            self.probe = None;
        }
        mine
    }

    /// The probe under way is not in this process; whether there was one.
    pub(super) fn forget_probe(&mut self) -> bool {
        self.probe.take().is_some()
    }

    /// A probe succeeded. A pause that the site has asked for meanwhile stays.
    pub(super) fn clear(&mut self) {
        if self.kind != Kind::RateLimited {
            self.until = 0;
        }
        *self = Self { level: 0, owes_probe: false, probe: None, failed: 0, refused: 0, ..*self };
    }

    /// A failure that may be the site's fault; of a request that began then. The pair rests from the failure after `free`
    /// ones on: doubled each time up to `most`, by chance anything up to that (full jitter: `chance` is uniform in 0 to 1),
    /// and the first request after it is a probe.
    pub(super) fn fail(&mut self, began: u64, now: u64, free: u8, most: u64, chance: f64) {
        // What was sent before the last failure was known says nothing new.
        if self.failed > 0 && began < self.noted_at {
            return;
        }
        self.failed = self.failed.saturating_add(1);
        self.noted_at = now;
        let Some(step) = self.failed.checked_sub(free + 1) else { return };
        let longest = REST_BASE.saturating_mul(1 << step.min(16)).min(REST_CAP).min(most);
        self.pause(Kind::Failing, now + (longest as f64 * chance) as u64);
        self.owes_probe = true;
    }

    /// The failures were the proxy's fault, which is held against it elsewhere: the pair is as it was before them.
    pub(super) fn clear_failures(&mut self) {
        if self.kind == Kind::Failing {
            (self.kind, self.until) = (Kind::Banned, 0);
        }
        self.failed = 0;
        self.owes_probe = self.level > 0;
    }

    /// The site has refused an exit of a proxy that has many; whether so many in a row that the proxy is benched.
    pub(super) fn refuse_exit(&mut self, began: u64, now: u64) -> bool {
        if self.refused == 0 || began >= self.noted_at {
            self.refused = self.refused.saturating_add(1);
            self.noted_at = now;
        }
        self.refused >= EXITS
    }

    /// Whether a request that began then was sent before the last bench was known, and was no probe.
    pub(super) fn is_old_news(&self, began: u64, probe: Option<u32>) -> bool {
        self.owes_probe && probe.is_none() && began < self.benched_at
    }

    /// Benches it for that long from now on.
    pub(super) fn bench(&mut self, kind: Kind, now: u64, length: u64) {
        let until = now + length;
        // A pause that the site has asked for is kept, however long the bench.
        let asked = if self.kind == Kind::RateLimited { self.until } else { 0 };
        *self = Self {
            kind: if asked > until { Kind::RateLimited } else { kind },
            until: until.max(asked),
            level: self.level.saturating_add(1),
            owes_probe: true,
            probe: None,
            benched_at: now,
            failed: 0,
            ..*self
        };
    }

    /// Takes up what was in the ledger of another process.
    pub(super) fn resume(&mut self, kind: Kind, until: u64, level: u32, now: u64) {
        if until > self.until {
            (self.kind, self.until) = (kind, until);
        }
        if level > self.level {
            (self.level, self.owes_probe, self.benched_at) = (level, true, now);
        }
    }

    /// Holds it at least until then.
    pub(super) fn pause(&mut self, kind: Kind, until: u64) {
        if until > self.until {
            self.until = until;
            self.kind = kind;
        }
    }
}
