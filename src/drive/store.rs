//! The connections that threads share, and the wait for one of them.
//!
//! They belong to one process. The child of a fork has copies of the descriptors: it closes those, says nothing on them,
//! and begins with none.

use std::thread::Thread;

use super::socket::Socket;
use super::{Patience, now, slice};
use crate::fork;
use crate::sync::Mutex;
use crate::wire::allowance::Allowance;
use crate::wire::channel::Channel;
use crate::wire::connections::{Bounds, Checkout, Connections, Counts, Leaving, SWEPT, Ticket};
use crate::wire::error::{Error, Stage};
use crate::wire::route::{Identity, Whose};

/// Nanoseconds between two looks at idle connections: at 64 of them each, 2,000 are looked at in three seconds.
const SWEEP: u64 = 100_000_000;

/// A connection between two requests.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) channel: Channel,
}

pub(super) struct Store {
    bounds: Bounds,
    state: Mutex<State>,
}

struct State {
    generation: u64,
    connections: Connections<Connection>,
    waiters: Vec<Waiter>,
    /// When idle connections are looked at next.
    next_sweep: u64,
}

struct Waiter {
    thread: Thread,
    whose: Whose,
}

/// The right to a connection, of this process.
pub(super) struct Claim {
    ticket: Ticket,
    generation: u64,
}

impl Store {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            generation: fork::generation(),
            connections: Connections::new(bounds),
            waiters: Vec::new(),
            next_sweep: 0,
        };
        Self { bounds, state: Mutex::new(state) }
    }

    /// Runs work under the lock. What it puts aside is closed outside of it.
    fn with<R>(&self, work: impl FnOnce(&mut State, &mut Leaving<Connection>) -> R) -> R {
        let mut leaving = Leaving::new();
        let mut inherited = None;
        let result = fork::inside(|| {
            let mut state = self.state.lock();
            let generation = fork::generation();
            if state.generation != generation {
                state.generation = generation;
                state.waiters.clear();
                inherited = Some(std::mem::replace(&mut state.connections, Connections::new(self.bounds)));
            }
            work(&mut state, &mut leaving)
        });
        drop(inherited);
        drop(leaving);
        result
    }

    /// Takes an idle connection, or the right to open one, and waits for that where there is no room.
    pub(super) fn check_out(
        &self,
        identity: &Identity,
        fresh: bool,
        allowance: &mut Allowance,
        patience: &mut Patience<'_>,
    ) -> Result<(Claim, Option<Connection>), Error> {
        let mut begun = now();
        let mut is_waiting = false;
        loop {
            let found = self.with(|state, leaving| {
                let found = state.connections.check_out(identity, fresh, begun, leaving);
                let generation = state.generation;
                match found {
                    Checkout::Idle(ticket, connection) => Some((Claim { ticket, generation }, Some(connection))),
                    Checkout::Room(ticket) => Some((Claim { ticket, generation }, None)),
                    Checkout::Full => {
                        if !is_waiting {
                            let thread = std::thread::current();
                            state.waiters.push(Waiter { thread, whose: identity.whose() });
                        }
                        None
                    }
                }
            });
            if let Some(found) = found {
                if is_waiting {
                    self.stop_waiting();
                }
                return Ok(found);
            }
            if !is_waiting {
                is_waiting = true;
                allowance.enter(Stage::Pool, begun);
            }
            begun = now();
            let checked =
                if allowance.is_over(begun) { Err(allowance.error(begun)) } else { patience.check(begun, Stage::Pool) };
            if let Err(error) = checked {
                self.stop_waiting();
                return Err(error);
            }
            std::thread::park_timeout(slice(allowance.ends(), begun));
            begun = now();
        }
    }

    /// The calling thread has what it waited for, or has given up. There may be room for the next in the queue.
    fn stop_waiting(&self) {
        let own = std::thread::current().id();
        self.with(|state, _| {
            if let Some(at) = state.waiters.iter().position(|waiter| waiter.thread.id() == own) {
                let waiter = state.waiters.remove(at);
                state.wake(waiter.whose);
            }
        });
    }

    /// Gives a connection back that can serve another request.
    pub(super) fn put_back(&self, claim: Claim, connection: Connection) {
        self.with(|state, leaving| {
            if state.generation != claim.generation {
                leaving.push(connection);
                return;
            }
            let whose = claim.ticket.identity().whose();
            let now = now();
            state.connections.put_back(claim.ticket, connection, now, leaving);
            state.sweep(now, leaving);
            state.wake(whose);
        });
    }

    /// A connection is closed; `is_stale`: the other side had closed it while it was idle.
    pub(super) fn close(&self, claim: Claim, is_stale: bool) {
        self.with(|state, _| {
            if state.generation != claim.generation {
                return;
            }
            if is_stale {
                state.connections.note_stale(claim.ticket.identity(), now());
            }
            let whose = claim.ticket.identity().whose();
            state.connections.close(claim.ticket);
            state.wake(whose);
        });
    }

    /// Whether a claim is of this process.
    pub(super) fn is_own(claim: &Claim) -> bool {
        claim.generation == fork::generation()
    }

    /// Changes the connections.
    pub(super) fn change(&self, change: impl FnOnce(&mut Connections<Connection>, &mut Leaving<Connection>)) {
        self.with(|state, leaving| {
            change(&mut state.connections, leaving);
            for waiter in &state.waiters {
                waiter.thread.unpark();
            }
        });
    }

    pub(super) fn counts(&self) -> Counts {
        self.with(|state, _| state.connections.counts())
    }
}

impl State {
    /// Closes idle connections that the other side has closed: a few at a time, and not often, so that no request pays
    /// for it. Without this their descriptors would stay until they are due for reuse.
    fn sweep(&mut self, now: u64, leaving: &mut Leaving<Connection>) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let have_ended = |idle: &[&Connection]| Socket::have_ended(idle.iter().map(|connection| &connection.socket));
        self.connections.sweep(SWEPT, have_ended, leaving);
    }

    /// Wakes the first that waits for this proxy, and the first of all: either bound may have been the one.
    fn wake(&self, whose: Whose) {
        if let Some(first) = self.waiters.first() {
            first.thread.unpark();
            if let Some(first) = self.waiters.iter().find(|waiter| waiter.whose == whose) {
                first.thread.unpark();
            }
        }
    }
}
