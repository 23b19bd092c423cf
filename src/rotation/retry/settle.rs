//! How attempts end, and how the request ends.

use crate::judge::outcome::{Judgement, Outcome};
use crate::rotation::retry::{Phase, Rotation, out_of_turn};
use crate::rotation::step::{Answer, Attempt, Failure, Host, Step};

impl<H: Host> Rotation<H> {
    /// Ends the rotation where it stands: an open lease is released, and the suspects are decided.
    ///
    /// # Errors
    /// What a method of the host fails with.
    pub fn close(&mut self) -> Result<(), H::Error> {
        self.phase = Phase::Over;
        // Only interrupted, a rotation ends with a lease in hand: nothing is known about that proxy.
        let released = match self.lease.take() {
            Some(lease) => self.host.release(&lease),
            None => Ok(()),
        };
        let concluded = self.conclude(false);
        released.and(concluded.map(drop))
    }

    pub(super) fn deliver(&mut self, answer: Answer) -> Result<Step, H::Error> {
        let Some(lease) = self.lease.take() else { out_of_turn() };
        let Answer { mut outcome, status, elapsed_ms, retry_after, .. } = answer;
        let hold = outcome.hold(|| retry_after);
        let mut attempt = Attempt { lease, outcome, elapsed_ms, hold, status, fault: None };
        if !self.job.is_streaming {
            if let Judgement::Known(outcome) = outcome {
                self.host.finish(outcome, &attempt)?;
            } else {
                outcome = self.conclude_with(&attempt)?.into();
                attempt.outcome = outcome;
            }
        }
        self.host.report(&attempt, self.count.attempts)?;
        self.delivered = Some(attempt);
        self.close()?;
        Ok(Step::Deliver { outcome, is_open: self.job.is_streaming })
    }

    /// Ends a request with a suspect; what that one was.
    pub(super) fn conclude_with(&mut self, attempt: &Attempt<H>) -> Result<Outcome, H::Error> {
        if self.host.id(&attempt.lease).is_none() {
            return Ok(Outcome::TargetFault);
        }
        self.host.suspect(attempt)?;
        let suspects = std::mem::take(&mut self.suspects);
        let suspects: Vec<_> = suspects.iter().map(|&index| &self.failed[index]).chain([attempt]).collect();
        Ok(self.host.conclude(&suspects, None)?.pop().unwrap_or(Outcome::TargetFault))
    }

    /// Has the evidence decide what the suspects were, now that the site has answered, or that the request is over.
    pub(super) fn conclude(&mut self, is_answered: bool) -> Result<Vec<Outcome>, H::Error> {
        if self.suspects.is_empty() {
            return Ok(Vec::new());
        }
        let suspects = std::mem::take(&mut self.suspects);
        let suspects: Vec<_> = suspects.iter().map(|&index| &self.failed[index]).collect();
        // A request that went without a proxy in the end says nothing about proxies.
        let answering = self.lease.as_ref().filter(|lease| is_answered && self.host.id(lease).is_some());
        self.host.conclude(&suspects, answering)
    }

    pub(super) fn end_attempt(
        &mut self,
        outcome: Judgement,
        elapsed_ms: Option<f64>,
        hold: Option<f64>,
        status: Option<u16>,
        fault: Option<H::Fault>,
    ) -> Result<(), H::Error> {
        let Some(lease) = self.lease.take() else { out_of_turn() };
        let attempt = Attempt { lease, outcome, elapsed_ms, hold, status, fault };
        let id = self.host.id(&attempt.lease);
        match outcome {
            Judgement::Known(outcome) => self.host.finish(outcome, &attempt)?,
            // Nothing is recorded of a request without a proxy.
            Judgement::Ambiguous if id.is_none() => {}
            Judgement::Ambiguous => {
                self.host.suspect(&attempt)?;
                self.suspects.push(self.failed.len());
            }
        }
        if outcome != Judgement::Known(Outcome::ClientFault) {
            self.host.report(&attempt, self.count.attempts)?;
            if let Some(id) = id {
                let is_held = hold.is_some();
                let has_exits = outcome.is_sites_word() && self.host.has_exits(&attempt.lease, is_held);
                self.tried.note(id, outcome, has_exits, is_held);
            }
        }
        self.failed.push(attempt);
        Ok(())
    }

    /// Whether the driver holds an answer that is the site's word to this client.
    pub(super) fn is_word_held(&self) -> bool {
        self.has_answer && self.failed.last().is_some_and(|attempt| attempt.outcome.is_sites_word())
    }

    /// Ends a request that has no time for another attempt. What the site has said is still an answer.
    pub(super) fn give_up_late(&mut self) -> Result<Step, H::Error> {
        if self.is_word_held() { self.give_up() } else { self.fail(Failure::Deadline) }
    }

    /// Ends a request for which there is no other proxy, or no other attempt.
    pub(super) fn give_up(&mut self) -> Result<Step, H::Error> {
        let word = self.failed.last().map(|attempt| attempt.outcome).filter(|_| self.is_word_held());
        let Some(outcome) = word.filter(|_| !self.job.raise_on_ban) else { return self.fail_after_attempts() };
        self.close()?;
        Ok(Step::Deliver { outcome, is_open: false })
    }

    pub(super) fn no_proxy(&mut self, fault: H::Fault) -> Result<Step, H::Error> {
        self.fault = Some(fault);
        self.fail(Failure::NoProxy)
    }

    pub(super) fn fail_after_attempts(&mut self) -> Result<Step, H::Error> {
        let outcome = self.failed.last().map_or(Judgement::Ambiguous, |attempt| attempt.outcome);
        let is_login = outcome == Judgement::Known(Outcome::ProxyAuth);
        let is_ban = outcome.is_sites_word() && self.job.raise_on_ban;
        self.fail(Failure::Attempts { is_ban, is_login, has_answer: self.has_answer && !is_login })
    }

    pub(super) fn fail(&mut self, failure: Failure) -> Result<Step, H::Error> {
        self.close()?;
        Ok(Step::Fail(failure))
    }
}
