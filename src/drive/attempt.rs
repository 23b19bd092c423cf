//! One try of a request: a connection, idle or new, and the flight over it.

use std::time::Duration;

use super::answer::{Answer, Cost};
use super::blocking::Reply;
use super::collected::Collected;
use super::order::Order;
use super::socket::{Ready, Socket};
use super::source::Source;
use super::store::{Claim, Connection, Store};
use super::stream::Stream;
use super::transfer::{Halt, give_back, is_alive, receive, write};
use super::{Patience, dial, is_login_refused, now, slice};
use crate::sync::Arc;
use crate::wire::allowance::Allowance;
use crate::wire::error::{Error, Kind};
use crate::wire::flight::Flight;

/// Bytes of an answer that are kept while its request is still being written.
const AHEAD: usize = 1 << 20;

/// Why a try failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether an idle connection was found closed.
    pub(super) is_stale: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_stale: false }
    }
}

/// A claim that is given up if nothing else becomes of it.
struct Held<'a> {
    store: &'a Store,
    claim: Option<Claim>,
    is_stale: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.store.close(claim, self.is_stale);
        }
    }
}

/// One try.
pub(super) struct Attempt<'a, 'b> {
    pub(super) store: &'a Arc<Store>,
    pub(super) order: &'a Order,
    pub(super) cost: &'a mut Cost,
    /// When the caller asked for the answer.
    pub(super) begun: u64,
    pub(super) patience: &'a mut Patience<'b>,
}

impl<'a> Attempt<'a, '_> {
    /// Sends the request; `fresh`: over a new connection.
    pub(super) fn run(&mut self, source: &mut Source<'_, '_>, fresh: bool) -> Result<Reply, Failure> {
        let order = self.order;
        let mut allowance = Allowance::new(order.timeouts, order.deadline, order.is_whole);
        if allowance.is_over(now()) {
            return Err(allowance.error(now()).into());
        }
        let (mut held, idle) = self.check_out(fresh, &mut allowance)?;
        let begun = now();
        let is_new = idle.is_none();
        let (socket, channel) = match idle {
            Some(Connection { socket, channel }) => (socket, Some(channel)),
            None => (dial::dial(order, &mut allowance, self.patience)?, None),
        };
        let mut flight = Flight::begin(&order.route, &order.request, channel, order.limits, allowance, now())?;
        let mut collected = Collected::default();
        let ended = self.fly(&socket, &mut flight, source, &mut collected, is_new.then_some(begun));
        let (sent, received) = flight.bytes();
        self.cost.sent += sent;
        self.cost.received += received;
        self.cost.head = collected.head_at.map(|at| Duration::from_nanos(at.saturating_sub(self.begun)));
        if is_login_refused(&order.route, collected.head.as_ref(), ended.as_ref().err()) {
            // Connections that were opened with that login are not used any more.
            self.store.change(|connections, leaving| connections.evict(order.route.identity(), leaving));
        }
        if let Err(error) = ended {
            held.is_stale = flight.is_stale(&error);
            if !flight.outgoing().is_empty() && matches!(error.kind, Kind::Connect | Kind::Read) {
                // An alert says to the other side what is wrong; it does not matter whether it arrives.
                self.cost.sent += socket.send(flight.outgoing()).unwrap_or(0) as u64;
            }
            return Err(Failure { error, is_stale: held.is_stale });
        }
        let Some(head) = collected.head.take() else {
            // Only a head ends a flight without an error.
            return Err(Error::new(Kind::RemoteProtocol, flight.stage(), "no answer").into());
        };
        let claim = held.claim.take();
        if order.is_whole {
            if let Some(claim) = claim {
                give_back(self.store, claim, socket, flight);
            }
            let body = collected.whole.unwrap_or_default();
            return Ok(Reply::Whole(Answer { head, body, cost: *self.cost }));
        }
        let stream = Stream::new(Arc::clone(self.store), claim, socket, flight, collected.pending);
        Ok(Reply::Stream(head, stream))
    }

    /// Takes a connection that is not known to be closed, or the right to open one.
    fn check_out(&mut self, fresh: bool, allowance: &mut Allowance) -> Result<(Held<'a>, Option<Connection>), Error> {
        let (store, identity): (&'a Store, _) = (self.store, self.order.route.identity());
        loop {
            let (claim, idle) = store.check_out(identity, fresh, allowance, self.patience)?;
            let mut held = Held { store, claim: Some(claim), is_stale: false };
            let Some(mut connection) = idle else { return Ok((held, None)) };
            if is_alive(&mut connection) {
                return Ok((held, Some(connection)));
            }
            held.is_stale = true;
        }
    }

    /// Moves bytes until the answer is there: all of it, or as much as the order wants at once.
    fn fly(
        &mut self,
        socket: &Socket,
        flight: &mut Flight,
        source: &mut Source<'_, '_>,
        collected: &mut Collected,
        dialling_since: Option<u64>,
    ) -> Result<(), Error> {
        let is_whole = self.order.is_whole;
        let mut dialling = dialling_since;
        let mut now = now();
        if flight.is_open() {
            // A short body goes out with the head.
            source.give_short(flight, now)?;
        }
        loop {
            if flight.is_open()
                && let Some(since) = dialling.take()
            {
                self.cost.dialled = Some(Duration::from_nanos(now.saturating_sub(since)));
                source.give_short(flight, now)?;
            }
            self.patience.check(now, flight.stage()).map_err(|error| error.with_sent(flight.is_sent()))?;
            let reads = is_whole || !flight.has_head() || collected.pending.len() < AHEAD;
            let is_blocked = write(socket, flight, source, reads, now)?;
            let is_written = !is_blocked && !flight.is_writing();
            if flight.is_done() || collected.whole.is_some() || (!is_whole && flight.has_head() && is_written) {
                return Ok(());
            }
            now = super::now();
            if flight.ends().is_some_and(|ends| ends <= now) {
                return Err(flight.timed_out(now));
            }
            let time = slice(flight.ends(), now);
            // A body that is still pulled is looked away from only where something has come.
            let time = if is_written || is_blocked { time } else { Duration::ZERO };
            match receive(socket, flight, Ready { read: reads, write: is_blocked }, time, &mut |event| {
                collected.take(self.order, event)
            }) {
                Ok(()) => {}
                Err(Halt::Signal) => {
                    self.patience.ask(now, flight.stage()).map_err(|error| error.with_sent(flight.is_sent()))?
                }
                Err(Halt::Error(error)) => return Err(error),
            }
            now = super::now();
        }
    }
}
