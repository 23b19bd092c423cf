//! One request over one connection, from "TCP is connected" to the answer's end, without I/O: [`Channel`],
//! `opening` and [`Exchange`] put together.
//!
//! A driver has a socket and does this, in any order:
//! - it writes [`Flight::outgoing`], and says how much by [`Flight::wrote`];
//! - while [`Flight::wants_body`] and nothing is outgoing, it gives pieces of the request's body;
//! - it reads, also while it writes, and hands over what came by [`Flight::received`], the end of the stream by
//!   [`Flight::ended`]; a driver whose caller does not take the body's pieces does not read;
//! - what the socket says is wrong goes through [`Flight::broken`];
//! - when [`Flight::ends`] has passed, the request has failed with [`Flight::timed_out`].
//!
//! Before the flight the driver looks up the name and opens TCP, with the same [`Allowance`]. When [`Flight::is_done`], the
//! connection is put back if [`Flight::into_channel`] gives it out.

use std::io;

use super::allowance::{Allowance, Timeouts};
use super::channel::{Channel, Fault, Received};
use super::error::{Error, Kind, Stage, text_of_io};
use super::exchange::{self, Exchange};
use super::limits::Limits;
use super::opening::Opening;
use super::request::{Headers, Request};
use super::route::{Route, Way};
use crate::net::http1::ResponseHead;

/// What of the answer was received.
#[derive(Debug)]
pub enum Event<'a> {
    /// Its head; once, and first.
    Head(ResponseHead),
    /// A piece of its body as it is on the wire; not empty.
    Data(&'a [u8]),
    /// Its end; once, and last.
    End,
}

/// Takes the events; an error ends the request.
pub type Sink<'a> = dyn FnMut(Event<'_>) -> Result<(), Error> + 'a;

/// A request under way.
pub struct Flight {
    channel: Channel,
    opening: Option<Opening>,
    exchange: Exchange,
    allowance: Allowance,
    stage: Stage,
    is_reused: bool,
    /// Whether bytes were written when the request's may have been among them.
    is_sent: bool,
    has_head: bool,
    body_given: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flight({:?})", self.stage)
    }
}

impl Flight {
    /// Begins over a connection: a new one, or one that [`Flight::into_channel`] gave.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: the request cannot be sent as it is. [`Kind::Proxy`]: the proxy's protocol cannot say where it
    /// is to go. [`Kind::Connect`]: no certificate has such a name.
    pub fn begin(
        route: &Route,
        request: &Request,
        connection: Option<Channel>,
        limits: Limits,
        allowance: Allowance,
        now: u64,
    ) -> Result<Self, Error> {
        let exchange = if route.way() == Way::Forward {
            let mut first = Headers::new();
            if let Some(value) = route.authorization() {
                first.push(b"Proxy-Authorization", &value);
            }
            Exchange::new(request, &route.onward(), &first, limits)?
        } else {
            Exchange::new(request, "", &Headers::new(), limits)?
        };
        let is_reused = connection.is_some();
        let mut channel = connection.unwrap_or_default();
        let bytes_received = channel.take_silent();
        let opening = if is_reused { None } else { Opening::begin(route, &mut channel)? };
        let mut flight = Self {
            channel,
            opening,
            exchange,
            allowance,
            stage: Stage::Pool,
            is_reused,
            is_sent: false,
            has_head: false,
            body_given: 0,
            bytes_sent: 0,
            bytes_received,
        };
        flight.update_stage(now);
        Ok(flight)
    }

    /// How far the request has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What is to be written now; empty while there is nothing.
    pub fn outgoing(&mut self) -> &[u8] {
        if self.opening.is_some() {
            return self.channel.outgoing();
        }
        if self.channel.is_plain() {
            // What the handshake wrote goes first.
            return if self.channel.has_outgoing() { self.channel.outgoing() } else { self.exchange.outgoing() };
        }
        while !self.exchange.outgoing().is_empty() {
            let count = self.channel.write(self.exchange.outgoing());
            if count == 0 {
                break;
            }
            self.exchange.wrote(count);
        }
        self.channel.outgoing()
    }

    /// So many bytes of [`Flight::outgoing`] were written.
    pub fn wrote(&mut self, count: usize, now: u64) {
        self.bytes_sent += count as u64;
        if self.opening.is_some() || self.channel.has_outgoing() {
            self.channel.transmitted(count);
        } else {
            self.exchange.wrote(count);
        }
        if self.opening.is_none() && count > 0 && self.exchange.is_sent() {
            self.is_sent = true;
        }
        self.allowance.progress(now, 0);
        self.update_stage(now);
    }

    /// Whether a piece of the request's body is wanted: the way is open, and what was given is written.
    #[must_use]
    pub fn wants_body(&mut self) -> bool {
        self.opening.is_none() && self.exchange.wants_body() && self.outgoing().is_empty()
    }

    /// Whether the way is open: the request itself is written now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opening.is_none()
    }

    /// Whether something is still to be written.
    #[must_use]
    pub fn is_writing(&mut self) -> bool {
        self.opening.is_none() && (self.exchange.wants_body() || !self.outgoing().is_empty())
    }

    /// Whether more of the request's body is to come, now or later; not when an answer says that the rest is not wanted.
    #[must_use]
    pub fn owes_body(&self) -> bool {
        self.exchange.wants_body()
    }

    /// Whether no piece of the request's body was given, and one will be wanted.
    #[must_use]
    pub fn has_unsent_body(&self) -> bool {
        self.body_given == 0 && self.exchange.wants_body()
    }

    /// Bytes of the request's body that were given.
    #[must_use]
    pub fn body_given(&self) -> u64 {
        self.body_given
    }

    /// Takes a piece of the request's body, of any size.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: more than the headers say.
    pub fn push(&mut self, piece: &[u8], now: u64) -> Result<(), Error> {
        self.allowance.progress(now, 0);
        self.body_given += piece.len() as u64;
        self.exchange.push(piece).map_err(|error| error.with_sent(self.is_sent))
    }

    /// The request's body is whole.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: less than the headers say.
    pub fn finish(&mut self, now: u64) -> Result<(), Error> {
        self.exchange.finish().map_err(|error| error.with_sent(self.is_sent))?;
        self.update_stage(now);
        Ok(())
    }

    /// Takes what was read.
    ///
    /// # Errors
    /// What is wrong with it, and what the sink says. A fault of TLS leaves an alert in [`Flight::outgoing`].
    pub fn received(&mut self, bytes: &[u8], now: u64, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.bytes_received += bytes.len() as u64;
        self.allowance.progress(now, bytes.len());
        if self.opening.is_some() {
            return self.open(bytes, now);
        }
        let Self { channel, exchange, has_head, .. } = self;
        let received = channel.receive(bytes, &mut |plain| feed(exchange, plain, has_head, sink));
        match received {
            Ok(Received::Open) => {}
            Ok(Received::Closed) => return self.ended(now, sink),
            Err(Fault::Sink(error)) => return Err(error.with_sent(self.is_sent)),
            Err(Fault::Tls(error)) => {
                return Err(Error::new(Kind::Read, self.stage, error.to_string()).with_sent(self.is_sent));
            }
        }
        self.update_stage(now);
        Ok(())
    }

    /// Goes on with the opening.
    fn open(&mut self, bytes: &[u8], now: u64) -> Result<(), Error> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        let stage = opening.stage();
        let mut plain = Vec::new();
        let received = self.channel.receive::<std::convert::Infallible>(bytes, &mut |piece| {
            plain.extend_from_slice(piece);
            Ok(())
        });
        match received {
            Ok(state) => {
                if opening.advance(&mut self.channel, &plain)? {
                    self.opening = None;
                } else if state == Received::Closed {
                    return Err(opening.closed());
                }
            }
            Err(Fault::Tls(error)) => return Err(opening.tls_fault(stage, &error)),
            Err(Fault::Sink(never)) => match never {},
        }
        self.update_stage(now);
        Ok(())
    }

    /// The stream has ended: nothing more can be read.
    ///
    /// # Errors
    /// The answer is not whole.
    pub fn ended(&mut self, now: u64, sink: &mut Sink<'_>) -> Result<(), Error> {
        if let Some(opening) = &self.opening {
            return Err(opening.closed());
        }
        let was_ended = self.exchange.is_ended();
        self.exchange.ended().map_err(|error| error.with_sent(self.is_sent))?;
        if !was_ended {
            sink(Event::End).map_err(|error| error.with_sent(self.is_sent))?;
        }
        self.update_stage(now);
        Ok(())
    }

    /// The socket says that something is wrong, with writing or with reading. After a fault in writing the driver reads on:
    /// the other side may have answered before it closed, and if not, reading fails.
    ///
    /// # Errors
    /// The request has failed.
    pub fn broken(&mut self, error: &io::Error, is_write: bool) -> Result<(), Error> {
        let kind = match self.stage {
            Stage::Write | Stage::Head | Stage::Body if is_write && !self.has_head => Kind::Write,
            Stage::Write | Stage::Head | Stage::Body => Kind::Read,
            _ => Kind::Connect,
        };
        if is_write && self.opening.is_none() && self.write_failure_may_hide_an_answer(error) {
            self.exchange.stop_writing();
            self.is_sent = true;
            return Ok(());
        }
        let text = match self.stage {
            Stage::ProxyTls => format!("{} while starting TLS with the proxy", text_of_io(error)),
            Stage::Handshake => format!("{} while talking to the proxy", text_of_io(error)),
            _ => text_of_io(error),
        };
        let mut broken = Error::new(kind, self.stage, text).with_sent(self.is_sent);
        broken.errno = error.raw_os_error();
        Err(broken)
    }

    fn write_failure_may_hide_an_answer(&self, error: &io::Error) -> bool {
        let closed = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        // A connection that was closed while idle has no answer: another one is dialled.
        closed && self.is_sent
    }

    /// When the operation under way must be over; `None` for never.
    #[must_use]
    pub fn ends(&self) -> Option<u64> {
        self.allowance.ends()
    }

    /// The error of a request whose time is up.
    #[must_use]
    pub fn timed_out(&self, now: u64) -> Error {
        self.allowance.error(now).with_sent(self.is_sent)
    }

    /// Other bounds for the rest of a body that the caller reads.
    pub fn renew(&mut self, timeouts: Timeouts, deadline: Option<u64>, now: u64) {
        self.allowance.renew(timeouts, deadline, now);
    }

    /// Whether the answer is whole. What is left of the request is not sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.opening.is_none() && self.exchange.is_ended()
    }

    /// Whether the head of the answer has come.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.has_head
    }

    /// Whether a connection that was idle turned out to be closed, which is its other side's right: the error comes before
    /// the first byte of an answer. The request may go over a new connection if it may be sent twice, or was not sent.
    #[must_use]
    pub fn is_stale(&self, error: &Error) -> bool {
        self.is_reused
            && self.exchange.is_untouched()
            && matches!(error.kind, Kind::Read | Kind::Write | Kind::RemoteProtocol)
    }

    /// Whether a byte of the request may have reached the site.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// Bytes that went through the socket, TLS and what was said to the proxy included: sent, and received.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_sent, self.bytes_received)
    }

    /// The connection, if it can carry another request.
    #[must_use]
    pub fn into_channel(mut self) -> Option<Channel> {
        let is_reusable = self.opening.is_none() && self.exchange.is_reusable() && self.outgoing().is_empty();
        is_reusable.then_some(self.channel)
    }

    fn update_stage(&mut self, now: u64) {
        let stage = match &self.opening {
            Some(opening) => opening.stage(),
            None if self.has_head => Stage::Body,
            None if self.exchange.wants_body()
                || !self.exchange.outgoing().is_empty()
                || self.channel.has_outgoing() =>
            {
                Stage::Write
            }
            None => Stage::Head,
        };
        if stage != self.stage {
            self.stage = stage;
            self.allowance.enter(stage, now);
        }
    }
}

fn feed(exchange: &mut Exchange, plain: &[u8], has_head: &mut bool, sink: &mut Sink<'_>) -> Result<(), Error> {
    let was_ended = exchange.is_ended();
    let mut input = plain;
    loop {
        match exchange.received(&mut input)? {
            exchange::Event::More => return Ok(()),
            exchange::Event::Head(head) => {
                *has_head = true;
                sink(Event::Head(head))?;
            }
            exchange::Event::Data(data) => sink(Event::Data(data))?,
            exchange::Event::End => return if was_ended { Ok(()) } else { sink(Event::End) },
        }
    }
}
