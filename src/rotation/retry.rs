//! The rotation of one request: the loop that chooses, sends, judges and tries again, as a state machine without I/O.
//!
//! [`Rotation::start`] and [`Rotation::next`] return a [`Step`]; the driver carries it out and answers with an [`Event`]. What
//! carries the bytes is not known here.
//!
//! How often is a request tried? `max_attempts` is a hard bound where the user has set it. Left at its default it bounds the
//! attempts that the site may have failed, and the timeouts; proxies that refuse, or are refused, are passed by until one
//! carries the request: each once, ten attempts in all.
//!
//! Many a failure may be the site's fault as well as the proxy's: a refused CONNECT, a reset inside a tunnel, a 502 through a
//! forward proxy. Such an attempt is a suspect until the request is over, and the evidence of the other attempts decides:
//! answered through another proxy, the suspects are to blame; failed through several, the site is. Up to five proxies are
//! tried, since several broken ones may come in a row.
//!
//! A proxy with many exits (a gateway), or the only one, is used again over a new connection when a site refuses it: another
//! exit answers.
//!
//! When is there a pause? Moving on to a proxy that the request has not tried is immediate: another proxy is the remedy. The
//! delays of the policy come when the same proxy must be used again, and when the site itself has failed more than once.

mod progress;
mod seek;
mod settle;

use crate::judge::outcome::{Judgement, Outcome};
use crate::rotation::policy::Policy;
use crate::rotation::retry::progress::{Count, Tried};
use crate::rotation::step::{Answer, Attempt, Event, Failure, Fault, Host, Job, Step};
use crate::sync::Arc;

/// What the machine waits for.
#[derive(Debug, Clone, Copy)]
enum Phase {
    New,
    FirstLease,
    Sent,
    Renewing(Then),
    Pausing(Then),
    Seeking,
    SeekingExit,
    SeekingAgain,
    Discarding,
    Over,
}

/// What follows a renewal or a pause.
#[derive(Debug, Clone, Copy)]
enum Then {
    Seek,
    Take,
    TakeAgain,
    Deliver(Answer),
    GiveUp,
}

/// One request on its way through as many proxies as it takes and the policy allows. Dropped before its end it leaves its open
/// lease to the lease's own drop; [`Rotation::close`] releases it at once.
pub struct Rotation<H: Host> {
    host: H,
    job: Job,
    policy: Arc<Policy>,
    phase: Phase,
    deadline: Option<f64>,
    lease: Option<H::Lease>,
    delivered: Option<Attempt<H>>,
    // Attempts that failed, in order.
    failed: Vec<Attempt<H>>,
    // Indices of those among them that evidence has to decide.
    suspects: Vec<usize>,
    tried: Tried,
    count: Count,
    pauses: u32,
    delay: Option<f64>,
    has_paused: bool,
    // Whether a proxy that failed may be used again.
    again: bool,
    may_go_direct: bool,
    // Whether the driver holds an answer that was not discarded.
    has_answer: bool,
    waited: f64,
    waiting_since: f64,
    fault: Option<H::Fault>,
}

impl<H: Host> Rotation<H> {
    /// A rotation that has not begun.
    pub fn new(host: H, job: Job, policy: Arc<Policy>) -> Self {
        Self {
            host,
            job,
            policy,
            phase: Phase::New,
            deadline: None,
            lease: None,
            delivered: None,
            failed: Vec::new(),
            suspects: Vec::new(),
            tried: Tried::default(),
            count: Count::default(),
            pauses: 0,
            delay: None,
            has_paused: false,
            again: false,
            may_go_direct: true,
            has_answer: false,
            waited: 0.0,
            waiting_since: 0.0,
            fault: None,
        }
    }

    /// The host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The host.
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The request.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Attempts so far, the one under way included.
    pub fn attempts(&self) -> u32 {
        self.count.attempts
    }

    /// The lease of the attempt under way, or of the last one.
    pub fn lease(&self) -> Option<&H::Lease> {
        let ended = || self.delivered.as_ref().or(self.failed.last()).map(|attempt| &attempt.lease);
        self.lease.as_ref().or_else(ended)
    }

    /// The lease of the attempt under way only: those of ended attempts belong to [`Self::attempts_made`].
    pub fn open_lease(&self) -> Option<&H::Lease> {
        self.lease.as_ref()
    }

    /// Begins to wait for the lease of a [`Step::Admit`], and returns how many of its `seconds` are left: a driver may carry
    /// out the step long after it was made, and that time is not spent waiting.
    pub fn begin_wait(&mut self, seconds: Option<f64>) -> Option<f64> {
        let now = self.now();
        self.waiting_since = now;
        let Some(deadline) = self.deadline else { return seconds };
        let left = (deadline - now).max(0.0);
        Some(seconds.map_or(left, |seconds| seconds.min(left)))
    }

    /// The attempts that have ended, in order.
    pub fn attempts_made(&self) -> impl Iterator<Item = &Attempt<H>> {
        self.failed.iter().chain(&self.delivered)
    }

    /// The last attempt that failed.
    pub fn last_failure(&self) -> Option<&Attempt<H>> {
        self.failed.last()
    }

    /// The fault that came instead of a lease, after [`Failure::NoProxy`].
    pub fn fault(&self) -> Option<&H::Fault> {
        self.fault.as_ref()
    }

    /// Whether nothing follows any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether an answer is awaited.
    pub fn is_sent(&self) -> bool {
        matches!(self.phase, Phase::Sent)
    }

    /// The first step.
    ///
    /// # Errors
    /// What a method of the host fails with.
    pub fn start(&mut self) -> Result<Step, H::Error> {
        debug_assert!(matches!(self.phase, Phase::New), "a rotation begins once");
        if let Some(seconds) = self.job.time_left.or(self.policy.timeout) {
            self.deadline = Some(self.now() + seconds);
        }
        let seconds = self.patience();
        Ok(self.admit(Phase::FirstLease, Vec::new(), seconds))
    }

    /// The step after what became of the one before.
    ///
    /// # Errors
    /// What a method of the host fails with; the rotation is over then.
    pub fn next(&mut self, event: Event<H::Lease, H::Fault>) -> Result<Step, H::Error> {
        let step = self.advance(event);
        if step.is_err() {
            // The first error counts.
            let _ = self.close();
        }
        step
    }

    fn advance(&mut self, event: Event<H::Lease, H::Fault>) -> Result<Step, H::Error> {
        match (self.phase, event) {
            (Phase::Sent, Event::Answered(answer)) => self.answered(answer),
            (Phase::Sent, Event::Failed(fault)) => self.failed(fault),
            (Phase::FirstLease, event) => {
                self.note_wait();
                match event {
                    Event::Admitted(lease) => self.begin(lease),
                    Event::Empty(fault) => match self.direct()? {
                        Some(lease) => self.begin(lease),
                        None => self.no_proxy(fault),
                    },
                    Event::Refused(fault) => self.no_proxy(fault),
                    _ => out_of_turn(),
                }
            }
            (Phase::Seeking | Phase::SeekingExit | Phase::SeekingAgain, event) => {
                self.note_wait();
                match event {
                    Event::Admitted(lease) => self.go_on(lease),
                    Event::Empty(_) => self.found_none(),
                    Event::Refused(fault) if self.is_word_held() => {
                        drop(fault);
                        self.give_up()
                    }
                    Event::Refused(fault) => self.no_proxy(fault),
                    _ => out_of_turn(),
                }
            }
            (Phase::Renewing(then), Event::Done) => self.then(then),
            (Phase::Pausing(then), Event::Done) => {
                self.has_paused = true;
                self.then(then)
            }
            (Phase::Discarding, Event::Done) => Ok(self.send()),
            _ => out_of_turn(),
        }
    }

    fn then(&mut self, then: Then) -> Result<Step, H::Error> {
        match then {
            Then::Seek => self.seek(),
            Then::Take => self.take(),
            Then::TakeAgain => Ok(self.take_again()),
            Then::Deliver(answer) => self.deliver(answer),
            Then::GiveUp => self.give_up(),
        }
    }

    fn begin(&mut self, lease: H::Lease) -> Result<Step, H::Error> {
        self.lease = Some(lease);
        if self.is_late(0.0) { self.fail(Failure::Deadline) } else { Ok(self.send()) }
    }

    fn go_on(&mut self, lease: H::Lease) -> Result<Step, H::Error> {
        self.lease = Some(lease);
        if self.is_late(0.0) {
            return self.give_up_late();
        }
        if !std::mem::take(&mut self.has_answer) {
            return Ok(self.send());
        }
        self.phase = Phase::Discarding;
        Ok(Step::Discard)
    }

    fn send(&mut self) -> Step {
        self.count.attempts += 1;
        self.phase = Phase::Sent;
        Step::Send { time_left: self.time_left() }
    }

    /// Seconds until the deadline, and never none: the driver notices a timeout of its own.
    pub fn time_left(&self) -> Option<f64> {
        self.deadline.map(|deadline| (deadline - self.now()).max(0.001))
    }

    /// Whether an answer is delivered at once: it is not tried again, and costs the proxy no connection.
    pub fn delivers(&self, answer: &Answer) -> bool {
        let is_tried_again = answer.status.is_some_and(|status| status >= 400 && self.policy.retries(status));
        !answer.outcome.spends_connections() && !is_tried_again
    }

    fn answered(&mut self, answer: Answer) -> Result<Step, H::Error> {
        let outcome = answer.outcome;
        let is_login = outcome == Judgement::Known(Outcome::ProxyAuth);
        if outcome != Judgement::Ambiguous && !is_login {
            self.conclude(true)?;
        }
        self.has_answer = true;
        if self.delivers(&answer) {
            return self.deliver(answer);
        }
        if !outcome.spends_connections() {
            self.count.fault(outcome, answer.is_tunnelled);
        }
        // A 407 comes before anything is forwarded: any method may move on.
        let may_go_on = if is_login { self.job.is_replayable } else { self.may_repeat() };
        let tries_again = may_go_on && self.count.has_left(&self.policy, outcome, false);
        if !tries_again && outcome.is_sites_word() && !self.job.raise_on_ban {
            return Ok(self.renew(Then::Deliver(answer)));
        }
        if !may_go_on && !is_login && !outcome.is_sites_word() {
            return self.deliver(answer);
        }
        let hold = outcome.hold(|| answer.retry_after);
        self.end_attempt(outcome, answer.elapsed_ms, hold, answer.status, None)?;
        let then = if tries_again { Then::Seek } else { Then::GiveUp };
        if outcome.spends_connections() { Ok(self.renew(then)) } else { self.then(then) }
    }

    fn failed(&mut self, fault: Fault<H::Fault>) -> Result<Step, H::Error> {
        let Fault { outcome, error, is_sent, elapsed_ms, is_timeout, retry_after } = fault;
        if outcome == Judgement::Ambiguous {
            self.count.fault(outcome, true);
        }
        let hold = outcome.hold(|| retry_after);
        self.end_attempt(outcome, elapsed_ms, hold, None, Some(error))?;
        if outcome == Judgement::Known(Outcome::ClientFault) {
            return self.fail(Failure::Request);
        }
        if self.is_late(0.0) {
            return self.fail(Failure::Deadline);
        }
        let may_go_on = !is_sent || self.may_repeat();
        if !may_go_on || !self.count.has_left(&self.policy, outcome, is_timeout) {
            return self.fail_after_attempts();
        }
        if outcome.spends_connections() { Ok(self.renew(Then::Seek)) } else { self.seek() }
    }

    fn renew(&mut self, then: Then) -> Step {
        self.phase = Phase::Renewing(then);
        Step::Renew
    }

    /// Whether the request may reach the site twice.
    pub fn may_repeat(&self) -> bool {
        self.job.is_replayable && (self.job.is_idempotent || self.policy.retry_non_idempotent)
    }

    fn now(&self) -> f64 {
        self.host.clock().steady() as f64 / 1e9
    }

    fn is_late(&self, ahead: f64) -> bool {
        self.deadline.is_some_and(|deadline| self.now() + ahead >= deadline)
    }
}

#[cold]
fn out_of_turn() -> ! {
    panic!("the driver of a rotation has answered another step than the last");
}
