//! The turns of a reactor: what the poll reports, and alarms.

use std::io;
use std::time::Duration;

use mio::Events;

use super::request::Late;
use super::watch::Ready;
use super::{Key, Reactor, WAKER, Wake};
use crate::drive::now;
use crate::wire::connections::Leaving;

impl Reactor {
    /// Does what can be done now.
    ///
    /// # Errors
    /// The system refuses to say what is ready.
    pub fn turn(&mut self) -> io::Result<()> {
        self.turn_within(Duration::ZERO)
    }

    /// The same, where there is something to be done within that time: for a thread that does nothing else. Alarms and
    /// [`Wake`] end the wait.
    ///
    /// # Errors
    /// The system refuses to say what is ready.
    pub fn turn_within(&mut self, most: Duration) -> io::Result<()> {
        let most = match self.next_alarm() {
            Some(_) if most.is_zero() => most,
            Some(at) => most.min(Duration::from_nanos(at.saturating_sub(now()))),
            None => most,
        };
        // The events are lent out of the reactor, which the requests change.
        let Some(mut events) = self.events.take() else { return Ok(()) };
        let polled = self.turn_with(&mut events, most);
        self.events = Some(events);
        polled?;
        let now = now();
        while let Some(number) = self.timers.due(now) {
            self.alarm(number, now);
        }
        let mut leaving = Leaving::new();
        self.connections.expire(now, &mut leaving);
        self.close_lines(leaving);
        Ok(())
    }

    fn turn_with(&mut self, events: &mut Events, most: Duration) -> io::Result<()> {
        let unfinished = std::mem::take(&mut self.unfinished);
        let told = match self.watch.poll(events, most) {
            Ok(told) => told,
            Err(error) => {
                self.unfinished = unfinished;
                return Err(error);
            }
        };
        let mut leaving = Leaving::new();
        // Events beyond these keep the descriptor readable: the loop has its turn in between.
        for ready in events.iter().map(Ready::from).chain(told) {
            if ready.token == WAKER {
                for (key, found) in self.names.take() {
                    self.found(key, found);
                }
            } else if let Some(line) = self.lines.get_mut(ready.token.0) {
                line.note(ready);
                if let Some(key) = line.user {
                    self.go_on(key);
                } else if line.has_ended
                    && let Some(place) = line.place.take()
                {
                    // An idle connection that the other side has closed.
                    self.connections.close_idle(place, &mut leaving);
                }
            }
        }
        self.close_lines(leaving);
        for key in unfinished {
            if let Some(task) = self.task(key) {
                task.is_unfinished = false;
                self.go_on(key);
            }
        }
        Ok(())
    }

    /// Has a thread that sleeps in [`Reactor::turn_within`] wake up.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.names.handle()
    }

    /// When [`Reactor::turn`] has to be called at the latest; nanoseconds of the steady clock.
    #[must_use]
    pub fn next_alarm(&self) -> Option<u64> {
        self.timers.next().into_iter().chain(self.connections.next_expiry()).min()
    }

    fn alarm(&mut self, number: usize, now: u64) {
        let Some(task) = self.tasks.get_mut(number) else { return };
        let key = Key { number, serial: task.serial };
        match task.ends() {
            Some(at) if at <= now => match task.out_of_time(now) {
                Late::Failed(error) => self.fail(key, error),
                Late::Address => {
                    self.drop_line(key);
                    self.connect(key);
                }
                Late::Name => self.look_up(key),
            },
            later => self.timers.set(number, later),
        }
    }
}
