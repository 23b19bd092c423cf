//! Requests over real sockets: what [`wire`](crate::wire) says is to be written and read is written and read here.
//!
//! [`order`] is what a driver is asked to send, [`answer`] what comes back. [`blocking`] does it on the caller's
//! thread, [`looped`] on the thread of an event loop.

pub mod answer;
mod attempt;
pub mod blocking;
mod collected;
mod dial;
pub mod looped;
pub(crate) mod names;
pub mod order;
mod socket;
mod source;
mod store;
pub mod stream;
mod transfer;

use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::net::handshake::Refusal;
use crate::net::http1::ResponseHead;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::route::{Route, Way};

/// The longest wait without asking whether the caller was interrupted: Ctrl-C is noticed within it.
const SLICE: Duration = Duration::from_millis(100);

fn now() -> u64 {
    SystemClock.steady()
}

/// How long to wait now for something that must be over at `ends`: a slice at most.
fn slice(ends: Option<u64>, now: u64) -> Duration {
    let left = ends.map_or(SLICE, |ends| Duration::from_nanos(ends.saturating_sub(now)));
    left.min(SLICE)
}

/// Asks the caller now and then whether it was interrupted.
pub(crate) struct Patience<'a> {
    interrupted: &'a mut dyn FnMut() -> bool,
    asked: u64,
}

impl<'a> Patience<'a> {
    fn new(interrupted: &'a mut dyn FnMut() -> bool, now: u64) -> Self {
        Self { interrupted, asked: now }
    }

    /// To be called at least once in a slice.
    fn check(&mut self, now: u64, stage: Stage) -> Result<(), Error> {
        if now.saturating_sub(self.asked) < SLICE.as_nanos() as u64 { Ok(()) } else { self.ask(now, stage) }
    }

    /// After a signal.
    fn ask(&mut self, now: u64, stage: Stage) -> Result<(), Error> {
        self.asked = now;
        if (self.interrupted)() { Err(Error::new(Kind::Interrupted, stage, "interrupted")) } else { Ok(()) }
    }
}

/// Whether the proxy, not the site, asks for another login: then the connections that were opened with this one end.
fn is_login_refused(route: &Route, head: Option<&ResponseHead>, error: Option<&Error>) -> bool {
    match error.map(|error| &error.kind) {
        None => route.way() == Way::Forward && head.is_some_and(|head| head.status == 407),
        Some(Kind::Proxy(Some(refusal))) => matches!(&**refusal, Refusal::Connect(reply) if reply.status == 407),
        Some(_) => false,
    }
}
