//! The body of an answer, as its caller takes it.

use super::answer::Cost;
use super::socket::{Ready, Socket};
use super::store::{Claim, Store};
use super::transfer::{Halt, give_back, receive};
use super::{Patience, now, slice};
use crate::sync::Arc;
use crate::wire::allowance::Timeouts;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::flight::{Event, Flight};

/// A body that is read when its caller asks for it, as it is on the wire, without the framing of chunks. Dropped before its
/// end, it closes its connection.
pub struct Stream {
    store: Arc<Store>,
    connection: Option<Box<(Claim, Socket, Flight)>>,
    /// What was received and is not taken yet.
    pending: Vec<u8>,
    cost: Cost,
    /// The bytes of the exchange that its caller knows of.
    told: (u64, u64),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.connection.is_some() { "Stream(open)" } else { "Stream(ended)" })
    }
}

impl Stream {
    pub(super) fn new(
        store: Arc<Store>,
        claim: Option<Claim>,
        socket: Socket,
        flight: Flight,
        pending: Vec<u8>,
    ) -> Self {
        let told = flight.bytes();
        let mut stream = Self {
            store,
            connection: claim.map(|claim| Box::new((claim, socket, flight))),
            pending,
            cost: Cost::default(),
            told,
        };
        stream.give_back_if_done();
        stream
    }

    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// [`Error`]: the connection is closed then.
    pub fn next(
        &mut self,
        timeouts: Timeouts,
        deadline: Option<u64>,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let begun = now();
        let mut patience = Patience::new(interrupted, begun);
        if let Some(connection) = &mut self.connection {
            connection.2.renew(timeouts, deadline, begun);
        }
        if self.connection.as_ref().is_some_and(|connection| !Store::is_own(&connection.0)) {
            self.close();
            let text = "the body belongs to the process that this one was forked from";
            return Err(Error::new(Kind::Read, Stage::Body, text).with_sent(true));
        }
        loop {
            if !self.pending.is_empty() {
                return Ok(Some(std::mem::take(&mut self.pending)));
            }
            let result = match self.connection.as_deref_mut() {
                None => return Ok(None),
                Some((_, socket, flight)) => read(socket, flight, &mut self.pending, &mut patience),
            };
            if let Err(error) = result {
                self.close();
                return Err(error);
            }
            self.give_back_if_done();
        }
    }

    /// Closes the connection, unless the body was read to its end.
    pub fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            let (claim, socket, flight) = *connection;
            self.count(&flight);
            drop(socket);
            self.store.close(claim, false);
        }
        self.pending = Vec::new();
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.connection.is_none() && self.pending.is_empty()
    }

    /// Bytes of the whole exchange so far.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        match &self.connection {
            Some(connection) => connection.2.bytes(),
            None => (self.cost.sent, self.cost.received),
        }
    }

    /// Bytes sent and received since the last call, and before the first one since the reply.
    pub fn take_bytes(&mut self) -> (u64, u64) {
        let (sent, received) = self.bytes();
        let before = std::mem::replace(&mut self.told, (sent, received));
        (sent.saturating_sub(before.0), received.saturating_sub(before.1))
    }

    fn count(&mut self, flight: &Flight) {
        (self.cost.sent, self.cost.received) = flight.bytes();
    }

    fn give_back_if_done(&mut self) {
        if self.connection.as_ref().is_some_and(|connection| connection.2.is_done())
            && let Some(connection) = self.connection.take()
        {
            let (claim, socket, flight) = *connection;
            self.count(&flight);
            give_back(&self.store, claim, socket, flight);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

/// Reads once, or waits for a slice.
fn read(socket: &Socket, flight: &mut Flight, pending: &mut Vec<u8>, patience: &mut Patience<'_>) -> Result<(), Error> {
    let now = now();
    if flight.ends().is_some_and(|ends| ends <= now) {
        return Err(flight.timed_out(now));
    }
    patience.check(now, Stage::Body).map_err(|error| error.with_sent(true))?;
    let mut sink = |event: Event<'_>| {
        if let Event::Data(data) = event {
            pending.extend_from_slice(data);
        }
        Ok(())
    };
    match receive(socket, flight, Ready { read: true, write: false }, slice(flight.ends(), now), &mut sink) {
        Ok(()) => Ok(()),
        Err(Halt::Signal) => patience.ask(now, Stage::Body).map_err(|error| error.with_sent(true)),
        Err(Halt::Error(error)) => Err(error),
    }
}
