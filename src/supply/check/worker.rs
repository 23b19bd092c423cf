//! One thread of a run, and the checks that it has under way.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ahash::AHashMap;
use slab::Slab;

use super::ask::is_shortage;
use super::inbox::Inbox;
use super::names::Lookup;
use super::report::{Failure, Report};
use super::shared::Shared;
use super::steps::{Check, Next};
use crate::clock::{Clock, SystemClock};
use crate::drive::looped::timers::Timers;
use crate::drive::looped::{Key, Reactor, Reply};
use crate::net::address::Protocol;
use crate::sync::Arc;
use crate::wire::connections::Bounds;

/// Nanoseconds after which a name is asked for again, where too many were looked up at once.
const ASK_AGAIN: u64 = 10_000_000;
/// Nanoseconds to wait for descriptors or ports; the check's own deadline ends it.
const SHORTAGE: u64 = 20_000_000;
/// The longest sleep. Whatever ends it earlier wakes the thread.
const LONG: Duration = Duration::from_secs(60);
/// Reports that are handed over at a time.
const BATCH: usize = 256;
/// Nanoseconds that a report may wait for others, while there are others to come: each batch wakes the thread that takes them.
const HAND_OVER: u64 = 3_000_000;

/// A check under way.
struct Slot {
    check: Check,
    state: State,
    /// Whether it counts at its host.
    has_turn: bool,
}

enum State {
    /// Waits for its turn at its host.
    Queued,
    /// Its name is looked up; or asked for again at that moment.
    Resolving { ask_again: Option<u64> },
    /// Waits for the reactor.
    Away(Key),
    /// Asks again at that moment.
    Pausing(u64),
    /// Is being worked on.
    Here,
}

/// Tells that a worker is at its end, however it got there.
struct Leaving(Arc<Shared>, usize);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// A thread's share of the checks.
pub(super) struct Worker {
    // Dropped in this order: the sockets are closed when it leaves.
    desk: Desk,
    slots: Slab<Slot>,
    timers: Timers,
    done: Vec<Report>,
    handed_over: u64,
    /// How many it has under way at most.
    most: usize,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    _leaving: Leaving,
}

/// A reactor, and whose its requests are.
pub(super) struct Desk {
    reactor: Reactor,
    numbers: AHashMap<Key, usize>,
}

impl Desk {
    pub(super) fn new() -> io::Result<Self> {
        // Each request has a connection of its own.
        let bounds = Bounds { idle_per_proxy: 0, keep_alive: Some(Duration::ZERO), ..Bounds::default() };
        Ok(Self { reactor: Reactor::new(bounds)?, numbers: AHashMap::new() })
    }

    /// What the reactor's thread is woken by.
    pub(super) fn inbox(&self) -> Inbox {
        Inbox::new(self.reactor.wake())
    }
}

impl Worker {
    /// One that has at most so many checks under way.
    pub(super) fn new(shared: &Arc<Shared>, number: usize, desk: Desk, most: usize) -> Self {
        Self {
            desk,
            slots: Slab::new(),
            timers: Timers::default(),
            done: Vec::new(),
            handed_over: 0,
            most,
            shared: Arc::clone(shared),
            inbox: Arc::clone(&shared.inboxes[number]),
            _leaving: Leaving(Arc::clone(shared), number),
        }
    }

    /// Works until nothing is left, or the run is cancelled.
    pub(super) fn run(mut self) {
        while self.turn() {}
    }

    fn turn(&mut self) -> bool {
        if self.shared.is_cancelled() {
            self.shared.put(&mut self.done);
            return false;
        }
        loop {
            self.fill();
            if !self.settle() {
                break;
            }
        }
        let now = self::now();
        let hand_over = self.handed_over + HAND_OVER;
        if self.slots.is_empty() || hand_over <= now {
            self.shared.put(&mut self.done);
            self.handed_over = now;
        }
        if self.slots.is_empty() && self.shared.is_exhausted() {
            return false;
        }
        let alarms = self.timers.next().into_iter().chain((!self.done.is_empty()).then_some(hand_over));
        let most = alarms.min().map_or(LONG, |at| LONG.min(Duration::from_nanos(at.saturating_sub(now))));
        let turned = catch_unwind(AssertUnwindSafe(|| self.desk.reactor.turn_within(most)));
        if !matches!(turned, Ok(Ok(()))) && !self.begin_anew() {
            return false;
        }
        for number in self.inbox.take() {
            self.look_at(number);
        }
        let now = self::now();
        while let Some(number) = self.timers.due(now) {
            self.alarm(number, now);
        }
        true
    }

    /// Begins as many checks as there is room for.
    fn fill(&mut self) {
        while self.slots.len() < self.most && self.shared.reports.has_room(self.done.len()) {
            let Some(index) = self.shared.next() else { return };
            let Some(address) = &self.shared.items[index].address else {
                let failure = Some(Failure::Format);
                self.hand_over(Report { failure, ..Report::new(index, Protocol::Http) });
                continue;
            };
            let (check, host) = (Check::new(index, address), address.host.clone());
            let has_turn = self.shared.hosts.is_none();
            let number = self.slots.insert(Slot { check, state: State::Queued, has_turn });
            if self.shared.hosts.as_ref().is_none_or(|hosts| hosts.enter(&host, &self.inbox, number)) {
                self.begin(number);
            }
        }
    }

    fn hand_over(&mut self, report: Report) {
        self.done.push(report);
        if self.done.len() >= BATCH {
            self.shared.put(&mut self.done);
        }
    }

    /// Goes on with those whose requests are over; whether there were any.
    fn settle(&mut self) -> bool {
        let replies = self.desk.reactor.replies();
        let were_any = !replies.is_empty();
        for (key, reply, moved) in replies {
            let Some(&number) = self.desk.numbers.get(&key) else { continue };
            match reply {
                Reply::Opened => self.step(number, |check, shared| check.opened(shared)),
                Reply::Answer(answer) => {
                    self.came_back(key, number);
                    self.step(number, |check, shared| check.answered(shared, *answer, moved.received));
                }
                Reply::Failed(error) => {
                    self.came_back(key, number);
                    if is_shortage(&error) {
                        self.pause(number);
                    } else {
                        self.step(number, |check, shared| check.failed(shared, &error, moved.received));
                    }
                }
                // Of a request without a body whose answer is read whole there are no others.
                Reply::WantsBody | Reply::Piece(_) | Reply::End => {}
            }
        }
        were_any
    }

    fn came_back(&mut self, key: Key, number: usize) {
        self.desk.numbers.remove(&key);
        if let Some(slot) = self.slots.get_mut(number) {
            slot.state = State::Here;
        }
    }

    /// Its turn has come.
    fn begin(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        slot.has_turn = true;
        slot.state = State::Here;
        let Slot { check, .. } = slot;
        match catch_unwind(AssertUnwindSafe(|| check.begin(&self.shared))) {
            Ok(Ok(())) => self.resolve(number),
            Ok(Err(failure)) => self.finish(number, Err(failure)),
            Err(_) => self.finish(number, Err(Failure::Internal)),
        }
    }

    fn resolve(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let host = &self.shared.address(slot.check.report.index).host;
        let ask_again = match self.shared.names.resolve(host, &self.inbox, number) {
            Lookup::Found(found) => return self.step(number, |check, shared| check.placed(shared, &found)),
            Lookup::Asked => None,
            Lookup::Busy => Some(now() + ASK_AGAIN),
        };
        slot.state = State::Resolving { ask_again };
        self.timers.set(number, Some(slot.check.deadline()));
        self.timers.set(number, ask_again);
    }

    /// Does what a check says.
    fn step(&mut self, number: usize, step: impl FnOnce(&mut Check, &Shared) -> Next) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let next = catch_unwind(AssertUnwindSafe(|| step(&mut slot.check, &self.shared)));
        let key = match next.unwrap_or(Next::Over(Err(Failure::Internal))) {
            Next::Open(order) => self.desk.reactor.open(order),
            Next::Send(order) => self.desk.reactor.send(order),
            Next::Proceed(deadline) => {
                if let State::Away(key) = slot.state {
                    self.desk.reactor.proceed(key, Some(deadline));
                }
                return;
            }
            Next::Over(outcome) => return self.finish(number, outcome),
        };
        slot.state = State::Away(key);
        self.desk.numbers.insert(key, number);
    }

    /// There are no descriptors left: others give theirs back.
    fn pause(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let now = now();
        if slot.check.deadline() <= now {
            return self.finish(number, Err(Failure::Timeout));
        }
        let until = slot.check.deadline().min(now + SHORTAGE);
        slot.state = State::Pausing(until);
        self.timers.set(number, Some(until));
    }

    /// Another thread says that there may be something to do.
    fn look_at(&mut self, number: usize) {
        match self.slots.get(number).map(|slot| &slot.state) {
            Some(State::Queued) => self.begin(number),
            Some(State::Resolving { .. }) => self.resolve(number),
            // That was for one before it.
            _ => {}
        }
    }

    fn alarm(&mut self, number: usize, now: u64) {
        let Some(slot) = self.slots.get(number) else { return };
        let deadline = slot.check.deadline();
        match slot.state {
            State::Resolving { .. } if deadline <= now => self.finish(number, Err(Failure::Timeout)),
            State::Resolving { ask_again: Some(at) } if at <= now => self.resolve(number),
            State::Resolving { ask_again } => self.timers.set(number, Some(ask_again.unwrap_or(deadline))),
            State::Pausing(until) if until <= now => self.step(number, |check, shared| check.again(shared)),
            State::Pausing(until) => self.timers.set(number, Some(until)),
            State::Queued | State::Away(_) | State::Here => {}
        }
    }

    /// A check is over.
    fn finish(&mut self, number: usize, outcome: Result<(), Failure>) {
        let Some(slot) = self.slots.try_remove(number) else { return };
        if let State::Away(key) = slot.state {
            self.desk.numbers.remove(&key);
            self.desk.reactor.cancel(key);
        }
        if let Some(hosts) = self.shared.hosts.as_ref().filter(|_| slot.has_turn) {
            hosts.leave(&self.shared.address(slot.check.report.index).host);
        }
        self.hand_over(slot.check.into_report(outcome));
    }

    /// After a fault of the reactor: its requests are lost, the others go on with a new one. Whether there is one.
    fn begin_anew(&mut self) -> bool {
        let away: Vec<usize> = self.desk.numbers.drain().map(|(_, number)| number).collect();
        let desk = Desk::new();
        let is_lost = desk.is_err();
        if let Ok(desk) = desk {
            self.inbox.replace(desk.reactor.wake());
            self.desk = desk;
        }
        let lost: Vec<usize> = if is_lost { self.slots.iter().map(|(number, _)| number).collect() } else { away };
        for number in lost {
            if let Some(slot) = self.slots.get_mut(number) {
                slot.state = State::Here;
            }
            self.finish(number, Err(Failure::Internal));
        }
        while let Some(index) = if is_lost { self.shared.next() } else { None } {
            self.hand_over(Report { failure: Some(Failure::Internal), ..Report::new(index, Protocol::Http) });
        }
        self.shared.put(&mut self.done);
        !is_lost
    }
}

fn now() -> u64 {
    SystemClock.steady()
}
