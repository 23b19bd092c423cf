//! What a rotation asks of its driver, and what the driver answers.

use crate::clock::Clock;
use crate::judge::outcome::{Judgement, Outcome};
use crate::proxy::Id;
use crate::rotation::policy::Policy;

/// What a rotation needs of the program that drives it: its leases, the way they end, and the time.
///
/// The methods return at once. What takes time is a [`Step`].
pub trait Host {
    /// One proxy, taken for one attempt; or the way to the target without a proxy.
    type Lease;
    /// What came instead of an answer, or instead of a lease.
    type Fault;
    /// What a method of the host may fail with. The rotation is over then, and its open lease is released.
    type Error;

    /// The time.
    fn clock(&self) -> &dyn Clock;

    /// Identifier of the proxy; `None` for a request without a proxy.
    fn id(&self, lease: &Self::Lease) -> Option<Id>;

    /// Whether another connection through the proxy leaves by another exit address. `is_held`: the site has named a time,
    /// so that a proxy that is merely alone is not taken for a gateway.
    fn has_exits(&self, lease: &Self::Lease, is_held: bool) -> bool;

    /// Ends a lease with an outcome.
    ///
    /// # Errors
    /// As the host has them.
    fn finish(&mut self, outcome: Outcome, attempt: &Attempt<Self>) -> Result<(), Self::Error>;

    /// Ends a lease whose failure may be the site's fault as well as the proxy's.
    ///
    /// # Errors
    /// As the host has them.
    fn suspect(&mut self, attempt: &Attempt<Self>) -> Result<(), Self::Error>;

    /// Decides what the suspects were, in this order. `answered_by`: the lease that the site's answer came through.
    ///
    /// # Errors
    /// As the host has them.
    fn conclude(
        &mut self,
        suspects: &[&Attempt<Self>],
        answered_by: Option<&Self::Lease>,
    ) -> Result<Vec<Outcome>, Self::Error>;

    /// Gives a lease back as if the proxy had never been chosen.
    ///
    /// # Errors
    /// As the host has them.
    fn release(&mut self, lease: &Self::Lease) -> Result<(), Self::Error>;

    /// Makes the lease of a request without a proxy; `None` where that is not allowed. Asked once.
    ///
    /// # Errors
    /// As the host has them.
    fn direct(&mut self) -> Result<Option<Self::Lease>, Self::Error>;

    /// Reports the end of an attempt, which is the `number`th.
    ///
    /// # Errors
    /// As the host has them.
    fn report(&mut self, attempt: &Attempt<Self>, number: u32) -> Result<(), Self::Error>;

    /// Seconds to pause after a failure, counted from 0, where the pause before that lasted `previous`.
    ///
    /// # Errors
    /// As the host has them.
    fn delay(&mut self, policy: &Policy, pauses: u32, previous: Option<f64>) -> Result<f64, Self::Error> {
        Ok(policy.backoff.draw(pauses, previous, &policy.random))
    }
}

/// One attempt, and how it ended.
pub struct Attempt<H: Host + ?Sized> {
    /// The proxy that it went through.
    pub lease: H::Lease,
    /// What is known of it by itself.
    pub outcome: Judgement,
    /// Milliseconds to the answer or to the failure; `None` is the age of the lease.
    pub elapsed_ms: Option<f64>,
    /// Seconds for which the site asks to be left alone.
    pub hold: Option<f64>,
    /// Status of the answer.
    pub status: Option<u16>,
    /// What came instead of an answer.
    pub fault: Option<H::Fault>,
}

impl<H: Host + ?Sized> Attempt<H> {
    /// Whether no more is known than that the proxy carried an answer, as after a block that was left without a report. That
    /// is good of the proxy; what the site said is not known.
    #[must_use]
    pub fn is_merely_carried(&self) -> bool {
        self.outcome == Outcome::Success.into() && self.status.is_none() && self.fault.is_none()
    }
}

/// The request, as far as it matters to a rotation.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Whether the method may reach the site twice without harm (RFC 9110, 9.2.2).
    pub is_idempotent: bool,
    /// Whether the body can be sent a second time.
    pub is_replayable: bool,
    /// Whether the caller reads the body: the lease is then open after [`Step::Deliver`].
    pub is_streaming: bool,
    /// Whether a final answer that is a ban or a rate limit is an error.
    pub raise_on_ban: bool,
    /// Seconds that the attempts may wait for proxies, all together; `None` is without a bound.
    pub patience: Option<f64>,
    /// Seconds until everything must be over; by default the policy's timeout.
    pub time_left: Option<f64>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            is_idempotent: true,
            is_replayable: true,
            is_streaming: false,
            raise_on_ban: false,
            patience: Some(0.0),
            time_left: None,
        }
    }
}

/// Methods that may reach the site twice without harm (RFC 9110, 9.2.2).
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE" | "PUT" | "TRACE")
}

/// The methods for which a retry around a function of the user's calls it again unasked: those above that its documentation
/// lists, which are all but TRACE.
#[must_use]
pub fn may_call_again(method: &str) -> bool {
    is_idempotent(method) && method != "TRACE"
}

/// What the driver does next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Take a lease, and wait for one at most this long; `None` is without a bound.
    Admit {
        /// Proxies not to take.
        exclude: Vec<Id>,
        /// Seconds.
        seconds: Option<f64>,
    },
    /// Send the request through the lease.
    Send {
        /// Seconds left until the deadline.
        time_left: Option<f64>,
    },
    /// Let that many seconds pass.
    Wait(f64),
    /// Free what the last answer holds: another attempt follows.
    Discard,
    /// Close the connections of the lease's proxy, those in use at their end: the next ones leave by another exit.
    Renew,
    /// Hand the last answer to the caller.
    Deliver {
        /// Its outcome.
        outcome: Judgement,
        /// Whether the lease is still open. The driver ends it with the body.
        is_open: bool,
    },
    /// Raise an error.
    Fail(Failure),
}

/// Why a rotation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No attempt is left; the last one says why.
    Attempts {
        /// The last attempt was refused, and the caller wants that as an error.
        is_ban: bool,
        /// The proxy refused the credentials.
        is_login: bool,
        /// Whether the error carries the last answer.
        has_answer: bool,
    },
    /// The deadline has passed, or would pass in a pause.
    Deadline,
    /// There is no proxy: the fault that the driver has answered with.
    NoProxy,
    /// The request is at fault: the fault of the last attempt.
    Request,
}

/// What became of a step.
#[derive(Debug)]
pub enum Event<L, F> {
    /// It is done: a pause, a renewal, a discarded answer.
    Done,
    /// There is a lease.
    Admitted(L),
    /// No proxy is eligible, and none became so in time.
    Empty(F),
    /// A limit of the caller's refuses the request.
    Refused(F),
    /// An answer came.
    Answered(Answer),
    /// No usable answer came.
    Failed(Fault<F>),
}

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// What is known of the attempt by itself.
    pub outcome: Judgement,
    /// The status; `None` where no more is known than that the proxy carried an answer.
    pub status: Option<u16>,
    /// Milliseconds from sending to the end of the head.
    pub elapsed_ms: Option<f64>,
    /// Whether it came through a tunnel, so that the proxy cannot have made it up.
    pub is_tunnelled: bool,
    /// Seconds for which it asks to be left alone.
    pub retry_after: Option<f64>,
}

/// A failed attempt.
#[derive(Debug)]
pub struct Fault<F> {
    /// What is known of the attempt by itself.
    pub outcome: Judgement,
    /// What happened.
    pub error: F,
    /// Whether part of the request can have reached the site.
    pub is_sent: bool,
    /// Milliseconds from sending to the failure.
    pub elapsed_ms: Option<f64>,
    /// Whether a timeout ended it.
    pub is_timeout: bool,
    /// Seconds for which the proxy asks to be left alone.
    pub retry_after: Option<f64>,
}
