//! The search for the next proxy of a request.

use crate::proxy::Id;
use crate::rotation::retry::{Phase, Rotation, Then};
use crate::rotation::step::{Host, Step};

impl<H: Host> Rotation<H> {
    /// Takes another proxy; the same again, after a pause, only where there is no other.
    pub(super) fn seek(&mut self) -> Result<Step, H::Error> {
        self.has_paused = false;
        if self.count.site_is_at_fault { self.pause(Then::Take) } else { self.take() }
    }

    pub(super) fn take(&mut self) -> Result<Step, H::Error> {
        if self.is_late(0.0) {
            return self.give_up_late();
        }
        // A proxy that refuses, or is refused, is no better in a moment. Beyond the attempts that the policy names only new
        // proxies are worth another, and those that the site has named a time for.
        self.again = self.tried.has_tolerable() && self.count.attempts < self.policy.max_attempts;
        let seconds = if self.again || self.tried.has_put_off() { Some(0.0) } else { self.patience() };
        let exclude = self.tried.all();
        Ok(self.admit(Phase::Seeking, exclude, seconds))
    }

    pub(super) fn found_none(&mut self) -> Result<Step, H::Error> {
        if matches!(self.phase, Phase::SeekingAgain) {
            return self.last_resort();
        }
        if matches!(self.phase, Phase::Seeking)
            && self.tried.has_exits()
            && self.count.attempts < self.policy.max_attempts
        {
            // A new connection leaves by another exit, of which nothing is known.
            let exclude = self.tried.without_exits();
            return Ok(self.admit(Phase::SeekingExit, exclude, Some(0.0)));
        }
        self.tried.refuse_exits();
        self.again = self.again && self.tried.has_tolerable();
        if !self.again && !self.tried.has_put_off() {
            return self.last_resort();
        }
        if self.again && !self.has_paused { self.pause(Then::TakeAgain) } else { Ok(self.take_again()) }
    }

    pub(super) fn take_again(&mut self) -> Step {
        let without_put_off = self.tried.without_put_off();
        let exclude = if self.again { self.tried.refused() } else { without_put_off };
        let seconds = self.patience();
        self.admit(Phase::SeekingAgain, exclude, seconds)
    }

    pub(super) fn last_resort(&mut self) -> Result<Step, H::Error> {
        match self.direct()? {
            Some(lease) => self.go_on(lease),
            None => self.give_up(),
        }
    }

    pub(super) fn direct(&mut self) -> Result<Option<H::Lease>, H::Error> {
        // Once: after that there is nothing left to try.
        if std::mem::take(&mut self.may_go_direct) { self.host.direct() } else { Ok(None) }
    }

    pub(super) fn admit(&mut self, phase: Phase, exclude: Vec<Id>, seconds: Option<f64>) -> Step {
        self.phase = phase;
        self.waiting_since = self.now();
        Step::Admit { exclude, seconds }
    }

    pub(super) fn note_wait(&mut self) {
        self.waited += self.now() - self.waiting_since;
    }

    pub(super) fn pause(&mut self, then: Then) -> Result<Step, H::Error> {
        let delay = self.host.delay(&self.policy, self.pauses, self.delay)?;
        self.delay = Some(delay);
        self.pauses += 1;
        if self.is_late(delay) {
            return self.give_up_late();
        }
        self.phase = Phase::Pausing(then);
        Ok(Step::Wait(delay))
    }

    /// Seconds that may still be spent waiting for a proxy.
    pub(super) fn patience(&self) -> Option<f64> {
        let left = self.job.patience.map(|patience| (patience - self.waited).max(0.0));
        let Some(deadline) = self.deadline else { return left };
        let until_deadline = (deadline - self.now()).max(0.0);
        Some(left.map_or(until_deadline, |left| left.min(until_deadline)))
    }
}
