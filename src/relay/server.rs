//! The thread that moves the bytes: accepts, and does what each connection can do now.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::mpsc::Sender;
use std::time::Duration;

use ahash::AHashMap;
use mio::net::TcpListener;
use mio::{Events, Poll, Token};
use slab::Slab;

use super::back::Back;
use super::conn::{Conn, Front, Pending, State};
use super::http::own_answer;
use super::socks::{reply4, reply5};
use super::{Counts, News, Settings, Ticket, Told, Verdict, add};
use crate::clock::{Clock, SystemClock};
use crate::drive::looped::sock::Sock;
use crate::drive::looped::watch::Ready;
use crate::drive::looped::{Key, Reactor};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::wire::error::Error;
use crate::wire::tls::Profile;

pub(super) const LISTENER: Token = Token(usize::MAX - 1);
pub(super) const WAKER: Token = Token(usize::MAX - 2);
pub(super) const REACTOR: Token = Token(usize::MAX - 3);
const EVENTS: usize = 1024;
/// Bytes that are read at a time.
pub(super) const PIECE: usize = 64 << 10;
/// Between two looks at what is late.
const SWEEP: u64 = 100_000_000;
/// How long a connection that is being left may take.
const LINGER: u64 = 2_000_000_000;

pub(super) fn now() -> u64 {
    SystemClock.steady()
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// Milliseconds since then.
pub(super) fn since(begun: u64) -> f64 {
    now().saturating_sub(begun) as f64 / 1e6
}

/// See the module.
pub(super) struct Server {
    pub(super) poll: Poll,
    pub(super) listener: Option<TcpListener>,
    pub(super) reactor: Reactor,
    /// Whose requests those of the reactor are.
    pub(super) keys: AHashMap<Key, Ticket>,
    pub(super) conns: Slab<Conn>,
    pub(super) serial: u64,
    pub(super) news: Sender<News>,
    pub(super) back: Arc<Back>,
    pub(super) counts: Arc<Counts>,
    pub(super) settings: Settings,
    pub(super) tls: Arc<Profile>,
    pub(super) buffer: Vec<u8>,
    /// Connections that have more to do than a turn allows.
    pub(super) again: Vec<usize>,
    /// When it has to be closed; zero for never. Set from outside.
    pub(super) closing: Arc<AtomicU64>,
    /// Whether connections may wait to be accepted.
    pub(super) may_accept: bool,
    /// When the next look at what is late is due.
    pub(super) look_at: u64,
}

impl Server {
    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_over() {
            let most = self.sleep();
            match self.poll.poll(&mut events, Some(most)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The poll itself is broken: nothing can be done any more.
                Err(_) => break,
            }
            let again = std::mem::take(&mut self.again);
            for event in &events {
                match event.token() {
                    LISTENER => self.may_accept = true,
                    WAKER | REACTOR => {}
                    token => self.note(token.0, Ready::from(event)),
                }
            }
            self.accept();
            self.take_back();
            for number in again {
                self.go_on(number);
            }
            self.turn_reactor();
            let now = now();
            if now >= self.look_at {
                self.look_at = now + SWEEP;
                self.sweep(now);
                self.turn_reactor();
            }
        }
        let numbers: Vec<usize> = self.conns.iter().map(|(number, _)| number).collect();
        for number in numbers {
            self.drop_conn(number);
        }
    }

    /// How long nothing has to be done by itself.
    fn sleep(&self) -> Duration {
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        if self.conns.is_empty() && self.closing.load(Ordering::Relaxed) == 0 {
            return Duration::from_secs(60);
        }
        let at = self.reactor.next_alarm().map_or(self.look_at, |at| at.min(self.look_at));
        Duration::from_nanos(at.saturating_sub(now()))
    }

    /// Whether it has to end: it was told to, and no client is left, or time is up.
    fn is_over(&mut self) -> bool {
        let at = self.closing.load(Ordering::Acquire);
        if at == 0 {
            return false;
        }
        if let Some(mut listener) = self.listener.take() {
            // A listener that is not watched any more is closed all the same.
            let _ = self.poll.registry().deregister(&mut listener);
            self.look_at = 0;
            let idle: Vec<usize> = self.conns.iter().filter(|(_, conn)| conn.is_idle()).map(|(at, _)| at).collect();
            for number in idle {
                self.drop_conn(number);
            }
        }
        self.conns.is_empty() || at <= now()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.listener.is_none()
    }

    fn accept(&mut self) {
        while self.may_accept && self.conns.len() < self.settings.most {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, _)) => {
                    let entry = self.conns.vacant_entry();
                    let number = entry.key();
                    // A connection that broke at once is none.
                    let Ok(sock) = Sock::accepted(stream, self.poll.registry(), Token(2 * number)) else { continue };
                    self.serial += 1;
                    entry.insert(Conn {
                        serial: self.serial,
                        sock,
                        input: Vec::new(),
                        output: Pending::default(),
                        state: State::Start,
                        front: Front::Http,
                        ends: now() + nanos(self.settings.greeting),
                        has_ended: false,
                        is_used: false,
                    });
                    add(&self.counts.accepted, 1);
                    self.counts.open.store(self.conns.len() as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.may_accept = false,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // No descriptors are left: the next sweep tries again.
                Err(_) => return,
            }
        }
    }

    /// A socket is ready for something.
    fn note(&mut self, token: usize, ready: Ready) {
        let number = token / 2;
        let Some(conn) = self.conns.get_mut(number) else { return };
        if token.is_multiple_of(2) {
            conn.sock.note(ready);
        } else {
            match &mut conn.state {
                State::Dialling(dialling) => dialling.note(ready),
                State::Open(splice) => splice.up.note(ready),
                _ => return,
            }
        }
        self.go_on(number);
    }

    /// Does what a connection can do now.
    pub(super) fn go_on(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        if !matches!(conn.state, State::Open(_)) && conn.output.flush(&mut conn.sock).is_err() {
            return self.drop_conn(number);
        }
        match conn.state {
            State::Start | State::Login | State::Target(_) => self.greet(number),
            State::Dialling(_) => self.go_on_dialling(number),
            State::Open(_) => self.go_on_open(number),
            State::Forward(_) => self.go_on_forward(number),
            State::Leaving => self.go_on_leaving(number),
        }
    }

    /// Verdicts and addresses.
    fn take_back(&mut self) {
        let (verdicts, names) = self.back.take();
        for (ticket, found) in names {
            if self.is_there(ticket) {
                self.found(ticket.number, found);
            }
        }
        for (ticket, verdict) in verdicts {
            if let Verdict::Renew(proxy) = verdict {
                self.reactor.evict(|those| those.proxy(proxy));
            } else if self.is_there(ticket) {
                self.obey(ticket.number, verdict);
            }
        }
    }

    fn is_there(&self, ticket: Ticket) -> bool {
        self.conns.get(ticket.number).is_some_and(|conn| conn.serial == ticket.serial)
    }

    fn obey(&mut self, number: usize, verdict: Verdict) {
        let conn = &self.conns[number];
        match (&conn.state, verdict) {
            (State::Dialling(_), Verdict::Send { proxy, time_left }) => self.dial(number, proxy, time_left),
            (State::Dialling(_), Verdict::Pause(seconds)) => self.pause_dialling(number, seconds),
            (State::Forward(_), Verdict::Send { proxy, time_left }) => self.send(number, proxy, time_left),
            (State::Forward(_), Verdict::Pause(seconds)) => self.pause_forward(number, seconds),
            (State::Forward(_), Verdict::Deliver) => self.deliver(number),
            (State::Dialling(_) | State::Forward(_), Verdict::Refuse { status, text }) => {
                add(&self.counts.failed, 1);
                self.refuse(number, status, &text);
            }
            // It has gone on meanwhile.
            _ => {}
        }
    }

    /// Says when something has to be done at the latest.
    pub(super) fn look_by(&mut self, at: u64) {
        self.look_at = self.look_at.min(at);
    }

    fn turn_reactor(&mut self) {
        loop {
            if !self.keys.is_empty() || self.reactor.counts().open > 0 {
                // It fails only as the poll of this thread does.
                let _ = self.reactor.turn();
            }
            let replies = self.reactor.replies();
            if replies.is_empty() {
                return;
            }
            for (key, reply, moved) in replies {
                add(&self.counts.sent, moved.sent);
                add(&self.counts.received, moved.received);
                let Some(ticket) = self.keys.get(&key).copied() else { continue };
                if self.is_there(ticket) {
                    self.replied(ticket.number, key, reply, moved);
                }
            }
        }
    }

    fn sweep(&mut self, now: u64) {
        self.may_accept = !self.is_closing();
        self.accept();
        let late: Vec<usize> = self.conns.iter().filter(|(_, conn)| conn.ends <= now).map(|(at, _)| at).collect();
        for number in late {
            let Some(conn) = self.conns.get_mut(number) else { continue };
            match &conn.state {
                State::Start if !conn.input.is_empty() => self.refuse(number, 408, "the request did not come in time"),
                State::Start | State::Login | State::Target(_) | State::Leaving => self.drop_conn(number),
                State::Dialling(_) => self.late_dialling(number),
                State::Open(_) => self.late_open(number),
                State::Forward(_) => self.late_forward(number),
            }
        }
        // What went through long tunnels is told now and then.
        let open: Vec<usize> =
            self.conns.iter().filter(|(_, conn)| matches!(conn.state, State::Open(_))).map(|(at, _)| at).collect();
        for number in open {
            self.tell_moved(number);
        }
    }

    /// Says no, in the protocol of the client, and closes the connection when that is said.
    pub(super) fn refuse(&mut self, number: usize, status: u16, text: &str) {
        self.forget(number, None);
        let Some(conn) = self.conns.get_mut(number) else { return };
        match conn.front {
            Front::Http => conn.output.push(&own_answer(status, text)),
            Front::Socks5 => conn.output.push(&reply5(status)),
            Front::Socks4 => conn.output.push(&reply4(false)),
        }
        self.leave(number);
    }

    /// Closes the connection when what waits is written.
    pub(super) fn leave(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        conn.state = State::Leaving;
        conn.input = Vec::new();
        conn.ends = now() + LINGER;
        self.again.push(number);
    }

    /// A close with unread input would be a reset, which the client may see before the answer: what comes is thrown away until
    /// the client has closed too.
    fn go_on_leaving(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        if !conn.output.is_empty() {
            return;
        }
        conn.sock.shut(Shutdown::Write);
        while conn.sock.is_readable() {
            match conn.sock.read(&mut self.buffer) {
                Ok(Some(0)) | Err(_) => return self.drop_conn(number),
                Ok(_) => {}
            }
        }
    }

    /// Ends what a connection has under way.
    pub(super) fn forget(&mut self, number: usize, broken: Option<Error>) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        match std::mem::replace(&mut conn.state, State::Leaving) {
            State::Dialling(_) => self.tell(ticket, Told::Dropped, (0, 0)),
            State::Open(mut splice) => {
                splice.up.shut(Shutdown::Both);
                let moved = splice.take_moved();
                self.tell(ticket, Told::Ended(broken), moved);
            }
            State::Forward(mut forward) => {
                if let Some(key) = forward.key.take() {
                    self.keys.remove(&key);
                    self.reactor.cancel(key);
                }
                let told = if forward.is_delivered() { Told::Ended(broken) } else { Told::Dropped };
                self.tell(ticket, told, forward.take_moved());
            }
            State::Start | State::Login | State::Target(_) | State::Leaving => {}
        }
    }

    /// Closes a connection at once.
    pub(super) fn drop_conn(&mut self, number: usize) {
        self.forget(number, None);
        let Some(conn) = self.conns.try_remove(number) else { return };
        // A child of a fork may have the descriptor still.
        conn.sock.shut(Shutdown::Both);
        self.counts.open.store(self.conns.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, ticket: Ticket, told: Told, (sent, received): (u64, u64)) {
        // Sending fails once the other thread has ended, which it does after this one only.
        let _ = self.news.send(News { ticket, told, sent, received });
    }
}
