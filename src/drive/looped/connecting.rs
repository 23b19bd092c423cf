//! How a request of a reactor comes by its connection: an idle one, a new one, or a place in the queue for one.

use std::net::SocketAddr;

use mio::Token;

use super::line::Line;
use super::request::Phase;
use super::{ASK_AGAIN, Idle, Key, Reactor};
use crate::drive::now;
use crate::wire::connections::{Checkout, Leaving};
use crate::wire::error::Error;

impl Reactor {
    /// Takes a connection for a request; `fresh`: a new one.
    pub(super) fn begin(&mut self, key: Key, fresh: bool) {
        let mut leaving = Leaving::new();
        loop {
            let now = now();
            let Some(task) = self.tasks.get_mut(key.number) else { break };
            match self.connections.check_out(task.order.route.identity(), fresh, now, &mut leaving) {
                Checkout::Idle(ticket, mut idle) => {
                    let Idle { line, channel } = &mut idle;
                    if !self.lines.get_mut(*line).is_some_and(|line| line.is_silent(channel, &mut self.buffer)) {
                        self.connections.note_stale(ticket.identity(), now);
                        self.connections.close(ticket);
                        leaving.push(idle);
                        continue;
                    }
                    self.lines[idle.line].user = Some(key);
                    task.take(ticket, idle.line);
                    match task.fly(Some(idle.channel), now) {
                        Ok(()) => self.go_on(key),
                        Err(error) => self.fail(key, error),
                    }
                }
                Checkout::Room(ticket) => {
                    task.ticket = Some(ticket);
                    self.dial(key);
                }
                Checkout::Full => {
                    task.wait(now);
                    self.timers.set(key.number, task.ends());
                    self.waiting.push_back(key);
                }
            }
            break;
        }
        self.close_lines(leaving);
    }

    /// Closes the sockets of connections that have left.
    pub(super) fn close_lines(&mut self, leaving: Leaving<Idle>) {
        for idle in leaving {
            self.lines.try_remove(idle.line);
        }
    }

    /// There may be room for those that wait.
    pub(super) fn admit_waiting(&mut self) {
        // A request that fails at once makes room for the next, which this loop goes on to: a call within the call would take
        // as much of the stack as there are requests.
        if std::mem::replace(&mut self.is_admitting, true) {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else { break };
            if self.task(key).is_some_and(|task| matches!(task.phase, Phase::Waiting)) {
                // It goes to the end of the queue again, or on its way.
                self.begin(key, false);
                if self.waiting.back() == Some(&key) {
                    // Those behind it may want another proxy; its own place is kept.
                    self.waiting.rotate_right(1);
                    break;
                }
            }
        }
        self.is_admitting = false;
    }

    /// Looks up where the connection goes to.
    pub(super) fn dial(&mut self, key: Key) {
        let Some(task) = self.tasks.get_mut(key.number) else { return };
        let dialled = task.dial(now());
        match dialled {
            Ok(Some(addresses)) => self.found(key, Ok(addresses)),
            Ok(None) => self.look_up(key),
            Err(error) => self.fail(key, error),
        }
    }

    pub(super) fn look_up(&mut self, key: Key) {
        let Some(task) = self.tasks.get_mut(key.number) else { return };
        let (host, port) = task.order.route.first_hop();
        match self.names.ask(key, host, port) {
            Ok(is_asked) => {
                task.phase = Phase::Resolving { ask_again: (!is_asked).then(|| now() + ASK_AGAIN) };
                self.timers.set(key.number, task.ends());
            }
            Err(error) => self.fail(key, error),
        }
    }

    pub(super) fn found(&mut self, key: Key, found: Result<Vec<SocketAddr>, Error>) {
        let Some(task) = self.task(key).filter(|task| matches!(task.phase, Phase::Resolving { .. })) else { return };
        match found.map(|addresses| task.found(addresses, now())) {
            Ok(()) => self.connect(key),
            Err(error) => self.fail(key, error),
        }
    }

    /// Begins to connect to the next address.
    pub(super) fn connect(&mut self, key: Key) {
        loop {
            let Some(task) = self.tasks.get_mut(key.number) else { return };
            let address = match task.next_address(now()) {
                Ok(address) => address,
                Err(error) => return self.fail(key, error),
            };
            let entry = self.lines.vacant_entry();
            match Line::connect(address, self.watch.registry(), Token(entry.key()), key) {
                Ok(line) => {
                    task.line = Some(entry.key());
                    self.timers.set(key.number, task.ends());
                    entry.insert(line);
                    return;
                }
                Err(error) => task.failed_address(error),
            }
        }
    }
}
