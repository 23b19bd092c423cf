//! Requests on the caller's thread: a socket that waits, in slices, so that Ctrl-C is noticed.
//!
//! A [`Wire`] is shared by threads. No lock is held while a socket is read or written, nor while the caller is called.

use std::cell::Cell;
use std::time::Duration;

use super::answer::{Answer, Cost};
use super::collected::Collected;
use super::order::{Order, OrderBody};
use super::socket::{Ready, Socket};
use super::store::{Claim, Connection, Store};
use super::stream::Stream;
use super::{Patience, dial, now, slice};
use crate::net::http1::ResponseHead;
use crate::sync::Arc;
use crate::wire::allowance::Allowance;
use crate::wire::connections::{Bounds, Counts};
use crate::wire::error::{Error, Kind};
use crate::wire::flight::{Flight, Sink};
use crate::wire::route::Identity;

/// The connections of one rotator or client, and what sends requests over them; cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Wire {
    store: Arc<Store>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// The caller breaks off. What it was is the caller's to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort;

/// Gives the next piece of a request's body; `None` at its end.
pub type Pull<'a> = dyn FnMut() -> Result<Option<Vec<u8>>, Abort> + 'a;

/// What came back: a whole answer, or its head and the way to the body.
#[derive(Debug)]
pub enum Reply {
    /// The order wanted the whole.
    Whole(Answer),
    /// It did not.
    Stream(ResponseHead, Stream),
}

/// Bytes of one read.
const READ: usize = 64 << 10;
/// Bytes of a body in memory that are written at once.
const PIECE: usize = 256 << 10;
/// Bytes of an answer that are kept while its request is still being written.
const AHEAD: usize = 1 << 20;

thread_local! {
    // Taken out while it is used: what the caller is asked may send another request on this thread.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Runs work with a buffer to read into.
pub(super) fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; READ].into());
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}

impl Wire {
    /// Without connections yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { store: Arc::new(Store::new(bounds)) }
    }

    /// Sends a request, and waits for the answer. `pull` gives the body of an order that says so; `interrupted` is asked at
    /// least every 100 ms. What it took is added to `cost`, whatever comes out.
    ///
    /// # Errors
    /// [`Error`]: what happened, where, and whether the request may have reached the site.
    pub fn send(
        &self,
        order: &Order,
        pull: Option<&mut Pull<'_>>,
        interrupted: &mut dyn FnMut() -> bool,
        cost: &mut Cost,
    ) -> Result<Reply, Error> {
        let begun = now();
        let mut patience = Patience::new(interrupted, begun);
        let mut source = Source { body: &order.body, pull, has_pulled: false };
        let mut is_first = true;
        loop {
            let mut attempt = Attempt { store: &self.store, order, cost, begun, patience: &mut patience };
            match attempt.run(&mut source, !is_first) {
                Ok(reply) => return Ok(reply),
                Err(Failure { error, is_stale: true })
                    if is_first && !source.has_pulled && (order.is_repeatable || !error.sent) =>
                {
                    is_first = false;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Closes the idle connections of one identity, and keeps none that is in use.
    pub fn evict(&self, identity: &Identity) {
        self.store.change(|connections, leaving| connections.evict(identity, leaving));
    }

    /// The same, of a proxy.
    pub fn evict_proxy(&self, id: u128) {
        self.store.change(|connections, leaving| connections.evict_proxy(id, leaving));
    }

    /// The same, of a session.
    pub fn evict_owner(&self, owner: u64) {
        self.store.change(|connections, leaving| connections.evict_owner(owner, leaving));
    }

    /// The same, of all.
    pub fn evict_all(&self) {
        self.store.change(|connections, leaving| connections.evict_all(leaving));
    }

    /// Closes connections that have been idle for too long. Sending does so, too.
    pub fn expire(&self) {
        self.store.change(|connections, leaving| connections.expire(now(), leaving));
    }
}

struct Failure {
    error: Error,
    is_stale: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_stale: false }
    }
}

/// Where the request's body comes from.
struct Source<'a, 'b> {
    body: &'a OrderBody,
    pull: Option<&'a mut Pull<'b>>,
    has_pulled: bool,
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

struct Attempt<'a, 'b> {
    store: &'a Arc<Store>,
    order: &'a Order,
    cost: &'a mut Cost,
    begun: u64,
    patience: &'a mut Patience<'b>,
}

impl<'a> Attempt<'a, '_> {
    fn run(&mut self, source: &mut Source<'_, '_>, fresh: bool) -> Result<Reply, Failure> {
        let order = self.order;
        let mut allowance = Allowance::new(order.timeouts, order.deadline, order.is_whole);
        let (mut held, idle) = self.check_out(fresh, &mut allowance)?;
        let begun = now();
        let is_new = idle.is_none();
        let (socket, channel) = match idle {
            Some(Connection { socket, channel }) => (socket, Some(channel)),
            None => (dial::dial(&order.route, &mut allowance, self.patience)?, None),
        };
        let mut flight = Flight::begin(&order.route, &order.request, channel, order.limits, allowance, now())?;
        let mut collected = Collected::default();
        let ended = self.fly(&socket, &mut flight, source, &mut collected, is_new.then_some(begun));
        let (sent, received) = flight.bytes();
        self.cost.sent += sent;
        self.cost.received += received;
        self.cost.head = collected.head_at.map(|at| Duration::from_nanos(at.saturating_sub(self.begun)));
        if let Err(error) = ended {
            held.is_stale = flight.is_stale(&error);
            if !flight.outgoing().is_empty() && matches!(error.kind, Kind::Connect | Kind::Read) {
                // An alert says to the other side what is wrong; it does not matter whether it arrives.
                let _ = socket.send(flight.outgoing());
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
            let is_blocked = write(socket, flight, source, now)?;
            let is_written = !is_blocked && !flight.is_writing();
            if flight.is_done() || (!is_whole && flight.has_head() && is_written) {
                return Ok(());
            }
            now = super::now();
            if flight.ends().is_some_and(|ends| ends <= now) {
                return Err(flight.timed_out(now));
            }
            let reads = is_whole || !flight.has_head() || collected.pending.len() < AHEAD;
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

impl Source<'_, '_> {
    /// Gives a body of few bytes, to be written together with the head.
    fn give_short(&self, flight: &mut Flight, now: u64) -> Result<(), Error> {
        match self.body {
            OrderBody::Bytes(bytes) if (**bytes).as_ref().len() <= READ && flight.has_unsent_body() => {
                flight.push((**bytes).as_ref(), now)?;
                flight.finish(now)
            }
            _ => Ok(()),
        }
    }

    /// Gives the next piece; the flight wants one.
    fn give(&mut self, flight: &mut Flight, at: &mut usize, now: u64) -> Result<(), Error> {
        match self.body {
            OrderBody::Empty => flight.finish(now),
            OrderBody::Bytes(bytes) => {
                let bytes = (**bytes).as_ref();
                let end = bytes.len().min(*at + PIECE);
                flight.push(&bytes[*at..end], now)?;
                *at = end;
                if end == bytes.len() { flight.finish(now) } else { Ok(()) }
            }
            OrderBody::Pulled => {
                let Some(pull) = self.pull.as_mut() else { return flight.finish(now) };
                self.has_pulled = true;
                let stage = flight.stage();
                let is_sent = flight.is_sent();
                match pull() {
                    // The caller may have taken its time.
                    Ok(Some(piece)) => flight.push(&piece, super::now()),
                    Ok(None) => flight.finish(super::now()),
                    Err(Abort) => {
                        Err(Error::new(Kind::Interrupted, stage, "the request's body was broken off")
                            .with_sent(is_sent))
                    }
                }
            }
        }
    }
}

/// Writes what can be written without waiting, and takes pieces of the body as they are wanted; whether the socket has no
/// room. Before each piece but the first it is left for a look at what was answered.
fn write(socket: &Socket, flight: &mut Flight, source: &mut Source<'_, '_>, mut now: u64) -> Result<bool, Error> {
    loop {
        let outgoing = flight.outgoing();
        if outgoing.is_empty() {
            if !flight.wants_body() {
                return Ok(false);
            }
            let mut at = usize::try_from(flight.body_given()).unwrap_or(usize::MAX);
            if at > 0 && socket.has_something() {
                return Ok(false);
            }
            source.give(flight, &mut at, now)?;
            now = super::now();
            continue;
        }
        match socket.send(outgoing) {
            Ok(count) => flight.wrote(count, now),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                flight.broken(&error, true)?;
                return Ok(false);
            }
        }
    }
}

/// Why nothing was received.
pub(super) enum Halt {
    /// A signal came.
    Signal,
    Error(Error),
}

/// Waits for a slice at most, and takes what has come meanwhile.
pub(super) fn receive(
    socket: &Socket,
    flight: &mut Flight,
    want: Ready,
    time: Duration,
    sink: &mut Sink<'_>,
) -> Result<(), Halt> {
    // A read alone waits for a slice by itself.
    if !want.read || want.write || time < super::SLICE {
        match socket.wait(want, time) {
            Ok(ready) if ready.read => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Err(Halt::Signal),
            Err(error) => return flight.broken(&error, false).map_err(Halt::Error),
        }
    }
    with_buffer(|buffer| match socket.receive(buffer) {
        Ok(0) => flight.ended(now(), sink).map_err(Halt::Error),
        Ok(count) => flight.received(&buffer[..count], now(), sink).map_err(Halt::Error),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Halt::Signal),
        Err(error) => flight.broken(&error, false).map_err(Halt::Error),
    })
}

/// Whether an idle connection can be used: the other side has neither closed it nor said anything. Tickets of TLS are
/// nothing said.
fn is_alive(connection: &mut Connection) -> bool {
    loop {
        if connection.socket.is_silent() {
            return true;
        }
        if connection.channel.is_plain() {
            return false;
        }
        let is_ticket = with_buffer(|buffer| match connection.socket.receive(buffer) {
            Ok(0) | Err(_) => false,
            Ok(count) => connection.channel.takes_silently(&buffer[..count]),
        });
        if !is_ticket {
            return false;
        }
    }
}

/// Puts a connection back, if it can serve another request, and closes it if not.
pub(super) fn give_back(store: &Store, claim: Claim, socket: Socket, flight: Flight) {
    match flight.into_channel() {
        Some(channel) => store.put_back(claim, Connection { socket, channel }),
        None => {
            drop(socket);
            store.close(claim, false);
        }
    }
}
