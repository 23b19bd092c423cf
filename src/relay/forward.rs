//! A request that is passed on: its body is kept as far as it may have to be sent again, and its answer is passed back as it
//! comes.

use std::hash::{BuildHasher, RandomState};

use super::conn::State;
use super::http::{self, Passing};
use super::server::{PIECE, Server, nanos, now, since};
use super::{Ask, Told, Wishes, add};
use crate::drive::looped::{Key, Moved, Reply};
use crate::drive::order::{Order, OrderBody};
use crate::net::http1::{Framing, ResponseHead};
use crate::sync::{Arc, OnceLock};
use crate::wire::allowance::Timeouts;
use crate::wire::body::{BodyReader, Piece};
use crate::wire::error::Error;
use crate::wire::limits::Limits;
use crate::wire::request::Request;
use crate::wire::route::{Origin, Proxy, Route, RouteOptions};

/// Bytes of a body that are kept. A longer one is sent as it comes, and once.
const KEPT: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The body comes.
    Gathering,
    /// The director is asked.
    Asked,
    /// A pause.
    Paused,
    /// It is sent.
    Away,
    /// Its answer is passed on.
    Delivered,
}

/// See the module.
pub(super) struct Forward {
    request: Request,
    origin: (String, u16),
    ask: Ask,
    /// Of the session that has its connections to itself.
    owner: Option<u64>,
    reader: BodyReader,
    body: Arc<Vec<u8>>,
    /// Whether all of the body has come.
    is_whole: bool,
    /// Whether a part of it was sent that is not kept.
    is_given: bool,
    /// Whether the next part is wanted.
    is_wanted: bool,
    phase: Phase,
    begun: u64,
    pub(super) key: Option<Key>,
    /// The head of the answer that is held.
    head: Option<ResponseHead>,
    passing: Passing,
    keeps: bool,
    is_1_0: bool,
    moved: Moved,
    /// Whether a piece of the answer was asked for.
    is_pulling: bool,
}

/// A number for a session, by which its connections are told from others.
fn owner_of(session: &str) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(session)
}

impl Forward {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        request: Request,
        framing: Framing,
        origin: (String, u16),
        url: String,
        wishes: Wishes,
        keeps: bool,
        is_1_0: bool,
    ) -> Result<Self, Error> {
        let reader = BodyReader::new(framing, &Limits::streamed())?;
        let owner = wishes.session.as_deref().map(owner_of);
        let ask = Ask { method: request.method().into(), url, wishes, is_replayable: true };
        Ok(Self {
            request,
            origin,
            ask,
            owner,
            reader,
            body: Arc::default(),
            is_whole: false,
            is_given: false,
            is_wanted: false,
            phase: Phase::Gathering,
            begun: 0,
            key: None,
            head: None,
            passing: Passing::Plain,
            keeps,
            is_1_0,
            moved: Moved::default(),
            is_pulling: false,
        })
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.phase == Phase::Delivered
    }

    /// Bytes sent and received that were not told yet.
    pub(super) fn take_moved(&mut self) -> (u64, u64) {
        let moved = std::mem::take(&mut self.moved);
        (moved.sent, moved.received)
    }

    fn body_mut(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.body)
    }

    /// Takes the body out of what has come; how much of that it was.
    fn gather(&mut self, input: &[u8]) -> Result<usize, Error> {
        let mut rest = input;
        while !self.is_whole {
            match self.reader.read(&mut rest)? {
                Piece::More => break,
                Piece::Data(data) => Arc::make_mut(&mut self.body).extend_from_slice(data),
                Piece::End => self.is_whole = true,
            }
        }
        Ok(input.len() - rest.len())
    }
}

impl Server {
    fn forward(&mut self, number: usize) -> Option<&mut Forward> {
        match &mut self.conns.get_mut(number)?.state {
            State::Forward(forward) => Some(forward),
            _ => None,
        }
    }

    pub(super) fn go_on_forward(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let State::Forward(forward) = &mut conn.state else { return };
        match forward.phase {
            Phase::Gathering => self.gather(number),
            Phase::Delivered if conn.output.is_empty() && !forward.is_pulling => self.pull(number),
            _ if forward.is_wanted => self.provide(number),
            // A client that has closed does not wait for an answer.
            _ if conn.sock.has_ended && forward.is_whole => self.drop_conn(number),
            _ => {}
        }
    }

    /// Takes what has come of the body; whether the client has broken off.
    fn read_body(&mut self, number: usize) -> Result<(), ()> {
        let Some(conn) = self.conns.get_mut(number) else { return Err(()) };
        conn.fill(&mut self.buffer, PIECE).map_err(drop)?;
        let State::Forward(forward) = &mut conn.state else { return Err(()) };
        let used = forward.gather(&conn.input).map_err(drop)?;
        let is_cut = conn.has_ended && !forward.is_whole && used == conn.input.len();
        conn.used(used);
        if used > 0 {
            conn.ends = now() + nanos(self.settings.read);
        }
        if is_cut { Err(()) } else { Ok(()) }
    }

    fn gather(&mut self, number: usize) {
        loop {
            if self.read_body(number).is_err() {
                return self.drop_conn(number);
            }
            let Some(conn) = self.conns.get_mut(number) else { return };
            let ticket = conn.ticket(number);
            let State::Forward(forward) = &mut conn.state else { return };
            if forward.is_whole || forward.body.len() >= KEPT {
                forward.phase = Phase::Asked;
                forward.ask.is_replayable = forward.is_whole;
                conn.ends = u64::MAX;
                let ask = forward.ask.clone();
                return self.tell(ticket, Told::Begin(ask), (0, 0));
            }
            if !conn.sock.is_readable() {
                return;
            }
        }
    }

    /// Sends the request through a proxy; an answer that is held is dropped.
    pub(super) fn send(&mut self, number: usize, proxy: Arc<Proxy>, time_left: Option<f64>) {
        self.drop_answer(number);
        let (tls, read, connect) = (Arc::clone(&self.tls), self.settings.read, self.settings.connect);
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Forward(forward) = &mut conn.state else { return };
        let origin = Origin { tls: false, host: forward.origin.0.as_str().into(), port: forward.origin.1 };
        let route = Route::new(RouteOptions { owner: forward.owner, ..RouteOptions::new(Some(proxy), origin, tls) });
        let body = match forward.body.len() {
            _ if !forward.is_whole || forward.is_given => OrderBody::Pulled,
            0 => OrderBody::Empty,
            _ => {
                let body: Arc<dyn AsRef<[u8]> + Send + Sync> = forward.body.clone();
                OrderBody::Bytes(body)
            }
        };
        forward.begun = now();
        let order = Order {
            body,
            timeouts: Timeouts { connect: Some(connect), read: Some(read), write: Some(read), pool: None },
            deadline: time_left.map(|seconds| forward.begun + (seconds * 1e9) as u64),
            limits: Limits::streamed(),
            is_repeatable: crate::rotation::step::is_idempotent(forward.request.method()) && !forward.is_given,
            is_whole: false,
            ..Order::new(route, forward.request.clone())
        };
        let key = self.reactor.send(order);
        forward.key = Some(key);
        forward.phase = Phase::Away;
        conn.ends = u64::MAX;
        self.keys.insert(key, ticket);
    }

    fn drop_answer(&mut self, number: usize) {
        let Some(forward) = self.forward(number) else { return };
        forward.head = None;
        forward.is_wanted = false;
        if let Some(key) = forward.key.take() {
            self.keys.remove(&key);
            self.reactor.cancel(key);
        }
    }

    /// The reactor has something.
    pub(super) fn replied(&mut self, number: usize, key: Key, reply: Reply, moved: Moved) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Forward(forward) = &mut conn.state else { return };
        if forward.key != Some(key) {
            return;
        }
        forward.moved.sent += moved.sent;
        forward.moved.received += moved.received;
        match reply {
            Reply::Opened => {}
            Reply::WantsBody => {
                forward.is_wanted = true;
                self.provide(number);
            }
            Reply::Answer(answer) => {
                let about_pauses =
                    |name: &[u8]| ["retry-after", "date"].iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let pauses = answer.head.headers().filter(|(name, _)| about_pauses(name));
                let headers = pauses.map(|(name, value)| (text(name), text(value))).collect();
                let (status, elapsed_ms) = (answer.head.status, since(forward.begun));
                forward.head = Some(answer.head);
                let moved = forward.take_moved();
                self.tell(ticket, Told::Answered { status, headers, elapsed_ms }, moved);
            }
            Reply::Piece(piece) => {
                forward.is_pulling = false;
                http::write_piece(conn.output.buffer(), &piece, forward.passing);
                self.go_on(number);
            }
            Reply::End => self.finish(number),
            Reply::Failed(error) => self.failed(number, error),
        }
    }

    /// Gives the next part of the body.
    fn provide(&mut self, number: usize) {
        let Some(forward) = self.forward(number) else { return };
        if forward.body.is_empty() && !forward.is_whole && self.read_body(number).is_err() {
            return self.drop_conn(number);
        }
        let Some(forward) = self.forward(number) else { return };
        let (Some(key), true) = (forward.key, forward.is_wanted) else { return };
        if forward.body.is_empty() && !forward.is_whole {
            return;
        }
        forward.is_wanted = false;
        let part = std::mem::take(forward.body_mut());
        if part.is_empty() {
            self.reactor.give(key, None);
        } else {
            forward.is_given = true;
            self.reactor.give(key, Some(&part));
        }
    }

    fn failed(&mut self, number: usize, error: Error) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Forward(forward) = &mut conn.state else { return };
        if let Some(key) = forward.key.take() {
            self.keys.remove(&key);
        }
        if forward.phase == Phase::Delivered {
            // The client sees that the answer is cut off.
            self.forget(number, Some(error));
            return self.drop_conn(number);
        }
        forward.phase = Phase::Asked;
        forward.head = None;
        let sent = error.sent || forward.is_given;
        let (elapsed_ms, moved) = (since(forward.begun), forward.take_moved());
        self.tell(ticket, Told::Failed { error: error.with_sent(sent), elapsed_ms }, moved);
        add(&self.counts.retried, 1);
    }

    pub(super) fn pause_forward(&mut self, number: usize, seconds: f64) {
        let at = now() + (seconds.max(0.0) * 1e9) as u64;
        if let Some(conn) = self.conns.get_mut(number)
            && let State::Forward(forward) = &mut conn.state
        {
            forward.phase = Phase::Paused;
            conn.ends = at;
            self.look_by(at);
        }
    }

    pub(super) fn late_forward(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Forward(forward) = &mut conn.state else { return };
        match forward.phase {
            Phase::Gathering => self.refuse(number, 408, "the body of the request did not come in time"),
            Phase::Paused => {
                forward.phase = Phase::Asked;
                conn.ends = u64::MAX;
                self.tell(ticket, Told::Done, (0, 0));
            }
            Phase::Delivered => self.drop_conn(number),
            // The reactor and the director have times of their own.
            Phase::Asked | Phase::Away => conn.ends = u64::MAX,
        }
    }

    /// Passes the answer on that is held.
    pub(super) fn deliver(&mut self, number: usize) {
        let is_closing = self.is_closing();
        let Some(conn) = self.conns.get_mut(number) else { return };
        let State::Forward(forward) = &mut conn.state else { return };
        let framing = forward.head.as_ref().and_then(|head| head.framing(forward.request.method() == "HEAD").ok());
        let (Some(head), Some(framing)) = (forward.head.take(), framing) else {
            return self.refuse(number, 502, "the answer of the site cannot be passed on");
        };
        forward.keeps &= forward.is_whole && !is_closing;
        forward.passing = http::write_answer(conn.output.buffer(), &head, framing, forward.is_1_0, forward.keeps);
        forward.keeps &= forward.passing != Passing::UntilClose;
        forward.phase = Phase::Delivered;
        add(&self.counts.answers, 1);
        self.pull(number);
    }

    /// Asks for the next piece of the answer. What the client takes bounds what is read: a client that takes nothing is left.
    fn pull(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let State::Forward(forward) = &mut conn.state else { return };
        conn.ends = now() + nanos(self.settings.idle);
        let Some(key) = forward.key else { return };
        forward.is_pulling = true;
        self.reactor.pull(key);
    }

    /// The answer is whole.
    fn finish(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Forward(forward) = &mut conn.state else { return };
        if forward.passing == Passing::Chunked {
            conn.output.push(b"0\r\n\r\n");
        }
        let (keeps, moved) = (forward.keeps, forward.take_moved());
        if let Some(key) = forward.key.take() {
            self.keys.remove(&key);
        }
        self.tell(ticket, Told::Ended(None), moved);
        if !keeps {
            return self.leave(number);
        }
        let Some(conn) = self.conns.get_mut(number) else { return };
        conn.state = State::Start;
        conn.ends = now() + nanos(self.settings.idle);
        // What waits is written, and the next request may be there already.
        self.again.push(number);
    }
}
