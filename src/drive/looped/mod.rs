//! Requests on the thread of an event loop, without blocking it: sockets are asked what they are ready for, and never waited
//! for.
//!
//! A [`Reactor`] belongs to one event loop. The loop watches [`Reactor::descriptor`], and calls [`Reactor::turn`] when it is
//! readable and when [`Reactor::next_alarm`] has come; what came of the requests meanwhile is taken by [`Reactor::replies`],
//! all at once. Where a loop cannot watch a descriptor, a [`Watcher`] says when. Each call ([`Reactor::send`], [`Reactor::give`], [`Reactor::pull`]) has one reply, with the key of
//! its request.
//!
//! Dropped in the child of a fork a reactor closes the child's copies of its sockets, and says nothing on them.

mod connecting;
mod evictor;
mod line;
mod names;
mod reply;
mod request;
pub(crate) mod sock;
pub(crate) mod timers;
mod transfer;
mod turning;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};

use mio::{Events, Poll, Token, Waker};
use slab::Slab;

pub use self::evictor::Evictor;
use self::line::Line;
use self::names::Names;
pub use self::names::Wake;
use self::reply::SERIAL;
pub use self::reply::{Answer, Key, Moved, Reply};
use self::request::{Phase, Task};
use self::timers::Timers;
use self::watch::Watch;
pub use self::watch::{Found, Watcher};
use super::order::Order;
use super::{is_login_refused, now};
use crate::wire::channel::Channel;
use crate::wire::connections::{Bounds, Connections, Counts, Leaving, Ticket};
use crate::wire::error::Error;

/// The connection of a request: its socket, and what is spoken on it.
struct Idle {
    line: usize,
    channel: Channel,
}

/// Sends requests for one event loop.
pub struct Reactor {
    watch: Watch,
    events: Option<Events>,
    names: Names,
    lines: Slab<Line>,
    tasks: Slab<Task>,
    serial: u64,
    connections: Connections<Idle>,
    /// Requests for which there was no room, in order.
    waiting: VecDeque<Key>,
    is_admitting: bool,
    /// Requests that had more to move than a turn allows.
    unfinished: Vec<Key>,
    timers: Timers,
    replies: Vec<(Key, Reply, Moved)>,
    buffer: Vec<u8>,
}

/// Of the waker, which no line has.
const WAKER: Token = Token(usize::MAX);
/// Bytes that are read at a time, and that a stream has in stock at most before it stops to read.
const PIECE: usize = 64 << 10;
/// Nanoseconds after which a look-up is asked for again, where too many were under way.
const ASK_AGAIN: u64 = 10_000_000;
/// Events that are taken at a time.
const EVENTS: usize = 256;

impl Reactor {
    /// A reactor without connections.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(bounds: Bounds) -> io::Result<Self> {
        let poll = Poll::new()?;
        let names = Names::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            watch: Watch::Own(poll),
            events: Some(Events::with_capacity(EVENTS)),
            names,
            lines: Slab::new(),
            tasks: Slab::new(),
            serial: 0,
            connections: Connections::new(bounds),
            waiting: VecDeque::new(),
            is_admitting: false,
            unfinished: Vec::new(),
            timers: Timers::default(),
            replies: Vec::new(),
            buffer: vec![0; PIECE],
        })
    }

    /// Readable when there is something to be done; `None` where a [`Watcher`] says so.
    #[cfg(unix)]
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        match &self.watch {
            Watch::Own(poll) => Some(poll.as_raw_fd()),
            Watch::Apart(..) => None,
        }
    }

    /// Sends a request. The reply is an answer, a wish for its body, or a failure.
    pub fn send(&mut self, order: Order) -> Key {
        self.take(order, false)
    }

    /// Opens the TCP connection of a request, a new one if its order says so. The reply is [`Reply::Opened`], where the request
    /// waits for [`Reactor::proceed`], or a failure.
    pub fn open(&mut self, order: Order) -> Key {
        self.take(order, true)
    }

    /// Sends a request whose connection was opened by [`Reactor::open`]; all of it must be over at `deadline`, in nanoseconds of
    /// the steady clock. The reply is as that of [`Reactor::send`].
    pub fn proceed(&mut self, key: Key, deadline: Option<u64>) {
        let now = now();
        let Some(task) = self.task(key) else { return };
        if !task.let_go(deadline, now) {
            return;
        }
        match task.fly(None, now) {
            Ok(()) => self.go_on(key),
            Err(error) => self.fail(key, error),
        }
    }

    fn take(&mut self, order: Order, holds: bool) -> Key {
        self.serial = (self.serial + 1) & ((1 << SERIAL) - 1);
        let serial = self.serial;
        let number = self.tasks.insert(Task::new(order, serial, holds, now()));
        let key = Key { number, serial };
        self.begin(key, holds);
        key
    }

    /// Gives a piece of a request's body that was wished for, of any size; `None` after the last. The reply is as that of
    /// [`Reactor::send`].
    pub fn give(&mut self, key: Key, piece: Option<&[u8]>) {
        let Some(task) = self.task(key) else { return };
        let given = task.give(piece, now());
        match given {
            // It was over before the piece came.
            Ok(()) if task.line.is_none() => self.reply(key),
            Ok(()) => self.go_on(key),
            Err(error) => self.fail(key, error),
        }
    }

    /// Asks for the next piece of an answer's body: the reply is a piece, the end, or a failure.
    pub fn pull(&mut self, key: Key) {
        let Some(task) = self.tasks.get_mut(key.number).filter(|task| task.serial == key.serial) else { return };
        task.pull(now());
        self.timers.set(key.number, task.ends());
        if task.is_done() || task.line.is_none() {
            self.reply(key);
        } else {
            // There is room for more of the body again.
            self.go_on(key);
        }
    }

    /// Ends a request; its connection is closed unless the answer was read to its end. There is no reply. The bytes since
    /// its last one.
    pub fn cancel(&mut self, key: Key) -> Moved {
        let Some(task) = self.task(key) else { return Moved::default() };
        let moved = task.take_moved();
        self.end(key);
        moved
    }

    /// Whether a request is under way, or has something to be pulled.
    #[must_use]
    pub fn is_open(&self, key: Key) -> bool {
        self.tasks.get(key.number).is_some_and(|task| task.serial == key.serial)
    }

    /// The replies since the last time, each with the bytes that its request has moved since the one before.
    pub fn replies(&mut self) -> Vec<(Key, Reply, Moved)> {
        std::mem::take(&mut self.replies)
    }

    /// Closes idle connections, and lets those in use be closed when they are done: `change` says which.
    pub fn evict(&mut self, change: impl FnOnce(&mut Evictor<'_>)) {
        let mut leaving = Leaving::new();
        change(&mut Evictor { connections: &mut self.connections, leaving: &mut leaving });
        self.close_lines(leaving);
        self.admit_waiting();
    }

    /// How many connections there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.connections.counts()
    }

    fn task(&mut self, key: Key) -> Option<&mut Task> {
        self.tasks.get_mut(key.number).filter(|task| task.serial == key.serial)
    }

    /// Does what a request can do now.
    fn go_on(&mut self, key: Key) {
        let Self { tasks, lines, buffer, .. } = self;
        let Some(task) = tasks.get_mut(key.number).filter(|task| task.serial == key.serial) else { return };
        let Some(line) = task.line.and_then(|line| lines.get_mut(line)) else { return };
        if let Phase::Connecting(_) = task.phase {
            match line.connected() {
                None => return,
                Some(Ok(())) if task.hold() => return self.reply(key),
                Some(Ok(())) => {
                    if let Err(error) = task.fly(None, now()) {
                        return self.fail(key, error);
                    }
                }
                Some(Err(error)) => {
                    task.failed_address(error);
                    self.drop_line(key);
                    return self.connect(key);
                }
            }
        }
        match task.run(line, buffer) {
            Ok(is_finished) => {
                self.timers.set(key.number, task.ends());
                if !is_finished && !std::mem::replace(&mut task.is_unfinished, true) {
                    self.unfinished.push(key);
                    self.names.wake();
                }
                self.reply(key);
            }
            Err(error) => self.fail(key, error),
        }
    }

    /// Hands a request's reply over, if it has one and one is awaited.
    fn reply(&mut self, key: Key) {
        let Some(task) = self.task(key) else { return };
        if is_login_refused(&task.order.route, task.head(), None) {
            // Before its own connection is given back, which is not kept either.
            let identity = task.order.route.identity().clone();
            self.evict(|those| those.identity(&identity));
        }
        if self.task(key).is_some_and(|task| task.is_done()) {
            self.give_back(key);
        }
        let Some(task) = self.task(key) else { return };
        if let Some(reply) = task.take_reply() {
            let is_over = task.is_over();
            let moved = task.take_moved();
            self.replies.push((key, reply, moved));
            if is_over {
                self.end(key);
            }
        }
    }

    /// Gives the connection of an answer that is whole back.
    fn give_back(&mut self, key: Key) {
        let Some(task) = self.task(key) else { return };
        let Some((ticket, line, channel)) = task.take_connection() else { return };
        let mut leaving = Leaving::new();
        match channel {
            Some(channel) if self.lines.get_mut(line).is_some_and(Line::rest) => {
                let place = self.connections.put_back(ticket, Idle { line, channel }, now(), &mut leaving);
                if let Some(line) = self.lines.get_mut(line) {
                    line.place = place;
                }
            }
            _ => {
                self.lines.try_remove(line);
                self.connections.close(ticket);
            }
        }
        self.close_lines(leaving);
        self.admit_waiting();
    }

    fn drop_line(&mut self, key: Key) {
        if let Some(line) = self.task(key).and_then(|task| task.line.take()) {
            self.lines.try_remove(line);
        }
    }

    /// A request has failed; or its connection was stale, and it goes over a new one.
    fn fail(&mut self, key: Key, error: Error) {
        let Some(task) = self.task(key) else { return };
        let is_refused = is_login_refused(&task.order.route, None, Some(&error));
        let is_stale = task.is_stale(&error);
        let is_again = is_stale && task.may_go_again(&error);
        let identity = task.order.route.identity().clone();
        if is_stale {
            self.connections.note_stale(&identity, now());
        }
        self.hang_up(key);
        if is_refused {
            self.evict(|those| those.identity(&identity));
        }
        if is_again {
            if let Some(task) = self.task(key) {
                task.restart();
            }
            return self.begin(key, true);
        }
        let Some(task) = self.task(key) else { return };
        task.fail(error.with_stale(is_stale));
        self.reply(key);
        self.admit_waiting();
    }

    /// Closes the connection of a request.
    fn hang_up(&mut self, key: Key) {
        self.drop_line(key);
        if let Some(ticket) = self.task(key).and_then(|task| task.ticket.take()) {
            self.connections.close(ticket);
        }
    }

    /// Forgets a request.
    fn end(&mut self, key: Key) {
        self.hang_up(key);
        self.tasks.try_remove(key.number);
        self.admit_waiting();
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reactor({} requests)", self.tasks.len())
    }
}

/// What a request holds of the connections.
type Held = (Ticket, usize, Option<Channel>);
