//! One request on its way: waiting for a connection, opening one, in flight.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Answer, Held, Moved, Reply};
use crate::drive::answer::Cost;
use crate::drive::collected::Collected;
use crate::drive::dial::{none_connected, share};
use crate::drive::names::{admit, literal};
use crate::drive::order::{Order, OrderBody};
use crate::net::http1::ResponseHead;
use crate::wire::allowance::Allowance;
use crate::wire::channel::Channel;
use crate::wire::connections::Ticket;
use crate::wire::error::{Error, Stage};
use crate::wire::flight::Flight;

/// Where a request stands.
pub(super) enum Phase {
    /// There was no room for its connection.
    Waiting,
    /// The name of its first hop is looked up; or asked for again at that moment.
    Resolving {
        ask_again: Option<u64>,
    },
    Connecting(Addresses),
    /// The connection is open, and the request waits for a word of its caller.
    Opened,
    Flying(Box<Flight>),
    /// The answer is whole, and the connection given back.
    Whole,
    Failed(Error),
    /// The last reply was taken.
    Over,
}

/// What to do when time is up.
pub(super) enum Late {
    Failed(Error),
    /// The address under way has had its share of the time.
    Address,
    /// Ask for the name again.
    Name,
}

/// Addresses, of which each gets an equal share of the time left.
pub(super) struct Addresses {
    all: Vec<SocketAddr>,
    next: usize,
    /// When the time of the one under way is over.
    until: Option<u64>,
    last: Option<io::Error>,
}

/// A request.
pub(super) struct Task {
    pub(super) order: Order,
    pub(super) serial: u64,
    pub(super) phase: Phase,
    /// Whether a reply is awaited.
    is_awaited: bool,
    pub(super) ticket: Option<Ticket>,
    pub(super) line: Option<usize>,
    /// Whether the caller wants to know when the connection is open.
    holds: bool,
    /// Whether a piece of the answer's body is asked for.
    pub(super) is_pulled: bool,
    allowance: Allowance,
    pub(super) began: u64,
    pub(super) dial_began: u64,
    pub(super) cost: Cost,
    /// Whether the caller was asked for a piece of the request's body and gave it, which it does once.
    has_given: bool,
    pub(super) collected: Collected,
    has_waited: bool,
    /// Whether it is among those that had more to move than a turn allows.
    pub(super) is_unfinished: bool,
    /// Bytes that went over a first connection, sent and received.
    pub(super) before: (u64, u64),
    /// Bytes that the caller knows of.
    told: (u64, u64),
    /// Whether it has gone over a second connection.
    is_second: bool,
}

/// A body of so many bytes is written together with its head.
const SMALL: usize = 16 << 10;

impl Task {
    pub(super) fn new(order: Order, serial: u64, holds: bool, now: u64) -> Self {
        let allowance = Allowance::new(order.timeouts, order.deadline, order.is_whole);
        Self {
            order,
            serial,
            phase: Phase::Waiting,
            is_awaited: true,
            ticket: None,
            line: None,
            holds,
            is_pulled: false,
            allowance,
            began: now,
            dial_began: now,
            cost: Cost::default(),
            has_given: false,
            collected: Collected::default(),
            has_waited: false,
            is_unfinished: false,
            before: (0, 0),
            told: (0, 0),
            is_second: false,
        }
    }

    /// There is no room for its connection.
    pub(super) fn wait(&mut self, now: u64) {
        // Its time goes on when it has to wait again.
        if !std::mem::replace(&mut self.has_waited, true) {
            self.allowance.enter(Stage::Pool, now);
        }
        self.phase = Phase::Waiting;
    }

    /// Takes an idle connection.
    pub(super) fn take(&mut self, ticket: Ticket, line: usize) {
        self.ticket = Some(ticket);
        self.line = Some(line);
    }

    /// Begins to dial: the addresses, if no name has to be looked up.
    pub(super) fn dial(&mut self, now: u64) -> Result<Option<Vec<SocketAddr>>, Error> {
        self.dial_began = now;
        self.allowance.enter(Stage::Resolve, now);
        self.phase = Phase::Resolving { ask_again: None };
        let literal = literal(&self.order.route)?.map(|address| vec![address]);
        Ok(self.order.addresses.as_ref().map(|known| known.to_vec()).or(literal))
    }

    /// Takes the addresses of its first hop.
    pub(super) fn found(&mut self, all: Vec<SocketAddr>, now: u64) {
        self.allowance.enter(Stage::Tcp, now);
        self.phase = Phase::Connecting(Addresses { all, next: 0, until: None, last: None });
    }

    /// The address to be tried next.
    pub(super) fn next_address(&mut self, now: u64) -> Result<SocketAddr, Error> {
        let Phase::Connecting(addresses) = &mut self.phase else { return Err(self.allowance.error(now)) };
        let Some(address) = addresses.all.get(addresses.next).copied() else {
            return Err(none_connected(&self.order.route, &self.allowance, addresses.last.take(), now));
        };
        admit(&self.order.route, address)?;
        addresses.until = share(&self.allowance, now, addresses.all.len() - addresses.next);
        addresses.next += 1;
        Ok(address)
    }

    /// The address under way cannot be connected to.
    pub(super) fn failed_address(&mut self, error: io::Error) {
        if let Phase::Connecting(addresses) = &mut self.phase {
            addresses.last = Some(error);
        }
    }

    /// TCP is open: whether the request waits for a word of its caller.
    pub(super) fn hold(&mut self) -> bool {
        if self.holds {
            self.phase = Phase::Opened;
        }
        self.holds
    }

    /// That word: everything must be over at `deadline` now. Whether it was waited for.
    pub(super) fn let_go(&mut self, deadline: Option<u64>, now: u64) -> bool {
        let is_held = self.holds && matches!(self.phase, Phase::Opened);
        if is_held {
            self.is_awaited = true;
            self.order.deadline = deadline;
            self.allowance.renew(self.order.timeouts, deadline, now);
        }
        is_held
    }

    /// Begins the flight, over a new connection or an idle one.
    pub(super) fn fly(&mut self, channel: Option<Channel>, now: u64) -> Result<(), Error> {
        let Order { route, request, limits, body, .. } = &self.order;
        let is_new = channel.is_none();
        let mut flight = Flight::begin(route, request, channel, *limits, self.allowance.clone(), now)?;
        if let OrderBody::Bytes(bytes) = body {
            let bytes = (**bytes).as_ref();
            if bytes.len() <= SMALL {
                flight.push(bytes, now)?;
                flight.finish(now)?;
            }
        }
        self.phase = Phase::Flying(Box::new(flight));
        self.cost.dialled = is_new.then_some(Duration::ZERO);
        Ok(())
    }

    /// Gives a piece of the request's body.
    pub(super) fn give(&mut self, piece: Option<&[u8]>, now: u64) -> Result<(), Error> {
        self.is_awaited = true;
        let Phase::Flying(flight) = &mut self.phase else { return Ok(()) };
        self.has_given = true;
        match piece {
            Some(piece) => flight.push(piece, now),
            None => flight.finish(now),
        }
    }

    /// The caller waits for a piece of the answer's body: from now on its time counts.
    pub(super) fn pull(&mut self, now: u64) {
        self.is_awaited = true;
        self.is_pulled = true;
        if let Phase::Flying(flight) = &mut self.phase {
            flight.renew(self.order.timeouts, self.order.deadline, now);
        }
    }

    /// When it has to be looked at. While nothing is awaited of it, its time does not count.
    pub(super) fn ends(&self) -> Option<u64> {
        if !self.is_awaited {
            return None;
        }
        match &self.phase {
            Phase::Waiting => self.allowance.ends(),
            Phase::Resolving { ask_again } => self.allowance.ends().into_iter().chain(*ask_again).min(),
            Phase::Connecting(addresses) => addresses.until,
            Phase::Flying(flight) => flight.ends(),
            Phase::Opened | Phase::Whole | Phase::Failed(_) | Phase::Over => None,
        }
    }

    /// The time that [`Task::ends`] has named has come.
    pub(super) fn out_of_time(&mut self, now: u64) -> Late {
        match &mut self.phase {
            Phase::Flying(flight) => Late::Failed(flight.timed_out(now)),
            Phase::Connecting(addresses) => {
                addresses.last = Some(io::ErrorKind::TimedOut.into());
                Late::Address
            }
            Phase::Resolving { ask_again: Some(_) } if !self.allowance.is_over(now) => Late::Name,
            _ => Late::Failed(self.allowance.error(now)),
        }
    }

    /// Whether the other side had closed an idle connection, which is its right.
    pub(super) fn is_stale(&self, error: &Error) -> bool {
        matches!(&self.phase, Phase::Flying(flight) if flight.is_stale(error))
    }

    /// Whether the request may be sent again over a new connection.
    pub(super) fn may_go_again(&self, error: &Error) -> bool {
        !self.is_second && !self.has_given && (self.order.is_repeatable || !error.sent)
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) {
        self.is_second = true;
        self.sum_up();
        self.before = (self.cost.sent, self.cost.received);
        self.collected = Collected::default();
        self.allowance = Allowance::new(self.order.timeouts, self.order.deadline, self.order.is_whole);
        self.phase = Phase::Waiting;
    }

    /// Sums up the bytes so far.
    pub(super) fn sum_up(&mut self) {
        if let Phase::Flying(flight) = &self.phase {
            let (sent, received) = flight.bytes();
            (self.cost.sent, self.cost.received) = (self.before.0 + sent, self.before.1 + received);
        }
    }

    /// The bytes since the last time.
    pub(super) fn take_moved(&mut self) -> Moved {
        self.sum_up();
        let now = (self.cost.sent, self.cost.received);
        let before = std::mem::replace(&mut self.told, now);
        Moved { sent: now.0 - before.0, received: now.1 - before.1 }
    }

    /// Has failed.
    pub(super) fn fail(&mut self, error: Error) {
        self.sum_up();
        self.phase = Phase::Failed(error);
    }

    /// Whether the answer is whole and the connection can be given back.
    pub(super) fn is_done(&self) -> bool {
        // Of a body that is cut off nothing more is read.
        matches!(&self.phase, Phase::Flying(flight) if flight.is_done() || self.collected.whole.is_some())
    }

    /// The head of the answer, until it is handed over.
    pub(super) fn head(&self) -> Option<&ResponseHead> {
        self.collected.head.as_ref()
    }

    /// Whether the last reply was taken.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What it holds of the connections, once it is done; the channel if it can serve another request.
    pub(super) fn take_connection(&mut self) -> Option<Held> {
        if !self.is_done() {
            return None;
        }
        self.sum_up();
        let Phase::Flying(flight) = std::mem::replace(&mut self.phase, Phase::Whole) else { return None };
        Some((self.ticket.take()?, self.line.take()?, flight.into_channel()))
    }

    /// The reply to the call under way, if there is one.
    pub(super) fn take_reply(&mut self) -> Option<Reply> {
        let reply = if self.is_awaited { self.next_reply() } else { None };
        self.is_awaited &= reply.is_none();
        reply
    }

    fn next_reply(&mut self) -> Option<Reply> {
        let is_whole = matches!(self.phase, Phase::Whole);
        self.sum_up();
        let cost = self.cost;
        if self.order.is_whole {
            if is_whole && let Some(head) = self.collected.head.take() {
                self.phase = Phase::Over;
                let body = self.collected.whole.take();
                return Some(Reply::Answer(Box::new(Answer { head, body, cost })));
            }
        } else {
            // A site that answers before it has the whole request may want the rest all the same.
            if !self.owes_pulled_body()
                && let Some(head) = self.collected.head.take()
            {
                return Some(Reply::Answer(Box::new(Answer { head, body: None, cost })));
            }
            if self.is_pulled && !self.collected.pending.is_empty() {
                self.is_pulled = false;
                return Some(Reply::Piece(std::mem::take(&mut self.collected.pending)));
            }
            if self.is_pulled && is_whole {
                self.phase = Phase::Over;
                return Some(Reply::End);
            }
        }
        match &mut self.phase {
            Phase::Opened => Some(Reply::Opened),
            Phase::Failed(_) => match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Failed(error) => Some(Reply::Failed(error)),
                _ => None,
            },
            Phase::Flying(flight) if matches!(self.order.body, OrderBody::Pulled) => {
                flight.wants_body().then_some(Reply::WantsBody)
            }
            _ => None,
        }
    }

    fn owes_pulled_body(&self) -> bool {
        let is_pulled = matches!(self.order.body, OrderBody::Pulled);
        is_pulled && matches!(&self.phase, Phase::Flying(flight) if flight.owes_body() && !flight.is_done())
    }
}
