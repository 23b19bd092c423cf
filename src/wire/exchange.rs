//! One request and its answer over one connection, without I/O.
//!
//! The driver writes [`Exchange::outgoing`], feeds what it reads to [`Exchange::received`] until that wants more, and
//! gives pieces of the request's body while [`Exchange::wants_body`]. It may do so in any order, and reads while it writes:
//! a server may answer before it has read the whole request.
//!
//! ```
//! use proxywhirl::wire::exchange::{Event, Exchange};
//! use proxywhirl::wire::limits::Limits;
//! use proxywhirl::wire::request::{Headers, Request};
//!
//! let request = Request::new("GET", "/", Headers::from_iter([("Host", "shop.test")])).unwrap();
//! let mut exchange = Exchange::new(&request, "", &Headers::new(), Limits::default()).unwrap();
//! assert_eq!(exchange.outgoing(), b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
//! exchange.wrote(exchange.outgoing().len());
//! let mut input = &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..];
//! assert!(matches!(exchange.received(&mut input).unwrap(), Event::Head(head) if head.status == 200));
//! assert!(matches!(exchange.received(&mut input).unwrap(), Event::Data(b"hello")));
//! assert!(matches!(exchange.received(&mut input).unwrap(), Event::End));
//! assert!(exchange.is_reusable());
//! ```

use std::fmt;

use super::body::{BodyReader, Piece};
use super::error::{Cut, Error, Kind, Stage};
use super::limits::Limits;
use super::request::{Framing, Headers, Request, local};
use crate::net::http1::{self, BadResponse, HeadReader, ResponseHead};

/// What was received.
#[derive(Debug)]
pub enum Event<'a> {
    /// The input is used up: read more.
    More,
    /// The head of the final answer; once, and first.
    Head(ResponseHead),
    /// A piece of the body as it is on the wire, content codings and all; not empty.
    Data(&'a [u8]),
    /// The answer is whole. What is left of the input is not the answer's.
    End,
}

/// What of the request's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Length(u64),
    Chunked,
    /// All of it is in the buffer, or was written.
    Whole,
    /// No more of it is sent, though it is not whole.
    Stopped,
}

enum Receiving {
    Head(HeadReader),
    Body(BodyReader),
    Ended,
}

/// One request and its answer.
pub struct Exchange {
    limits: Limits,
    outgoing: Vec<u8>,
    /// Bytes of the buffer that were written.
    gone: usize,
    sending: Sending,
    receiving: Receiving,
    is_head: bool,
    is_connect: bool,
    /// Whether another protocol was asked for, which 101 agrees to.
    asks_upgrade: bool,
    /// Whether the connection may carry another request after this one, by all that is known yet.
    is_kept: bool,
    written: u64,
    read: u64,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is written and read carries logins and cookies.
        let (written, read) = (self.written, self.read);
        write!(f, "Exchange({written} bytes written, {} to go, {read} read)", self.outgoing().len())
    }
}

impl Exchange {
    /// Prepares to send a request; `onward` and `first` as in [`Request::write_head`].
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: it would be read as something else.
    pub fn new(request: &Request, onward: &str, first: &Headers, limits: Limits) -> Result<Self, Error> {
        let mut outgoing = Vec::new();
        request.write_head(&mut outgoing, onward, first)?;
        Ok(Self {
            limits,
            outgoing,
            gone: 0,
            sending: match request.framing() {
                Framing::Length(0) => Sending::Whole,
                Framing::Length(length) => Sending::Length(length),
                Framing::Chunked => Sending::Chunked,
            },
            receiving: Receiving::Head(HeadReader::new(limits.head)),
            is_head: request.method() == "HEAD",
            is_connect: request.method() == "CONNECT",
            asks_upgrade: request.headers().values("upgrade").any(|value| !value.trim_ascii().is_empty()),
            is_kept: !says_close(request.headers().values("connection")),
            written: 0,
            read: 0,
        })
    }

    /// What is to be written next; empty while there is nothing.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.gone..]
    }

    /// So many bytes of [`Self::outgoing`] were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.gone += bytes;
        self.written += bytes as u64;
        if self.gone >= self.outgoing.len() {
            self.outgoing.clear();
            self.gone = 0;
        }
    }

    /// Whether more of the request's body is to come.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        matches!(self.sending, Sending::Length(_) | Sending::Chunked)
    }

    /// Takes a piece of the request's body, of any size. The caller waits until [`Self::outgoing`] is empty, so that memory
    /// stays flat. Without effect once no more is sent.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: more than the headers say.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        match &mut self.sending {
            Sending::Length(left) => {
                let Some(rest) = left.checked_sub(piece.len() as u64) else { return Err(self.local(TOO_MUCH)) };
                *left = rest;
                self.outgoing.extend_from_slice(piece);
                if rest == 0 {
                    self.sending = Sending::Whole;
                }
            }
            Sending::Chunked if !piece.is_empty() => {
                self.outgoing.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                self.outgoing.extend_from_slice(piece);
                self.outgoing.extend_from_slice(b"\r\n");
            }
            Sending::Whole if !piece.is_empty() => return Err(self.local(TOO_MUCH)),
            _ => {}
        }
        Ok(())
    }

    /// The request's body is whole.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: less than the headers say.
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.sending {
            Sending::Length(_) => return Err(self.local("Too little data for declared Content-Length")),
            Sending::Chunked => {
                self.outgoing.extend_from_slice(b"0\r\n\r\n");
                self.sending = Sending::Whole;
            }
            Sending::Whole | Sending::Stopped => {}
        }
        Ok(())
    }

    /// Nothing more can be written. A server that closes while it is written to may have answered before: the driver reads
    /// on, and only if nothing comes the write has failed.
    pub fn stop_writing(&mut self) {
        if self.sending != Sending::Whole || !self.outgoing().is_empty() {
            self.sending = Sending::Stopped;
            self.outgoing.clear();
            self.gone = 0;
        }
        self.is_kept = false;
    }

    /// Reads on in what was received, and moves the input behind what it has used. To be called until it says
    /// [`Event::More`] or [`Event::End`].
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`], [`Kind::TooLarge`]
    pub fn received<'a>(&mut self, input: &mut &'a [u8]) -> Result<Event<'a>, Error> {
        let before = input.len();
        let event = self.receive(input);
        self.read += (before - input.len()) as u64;
        event.map_err(|error| self.failed(error))
    }

    fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Result<Event<'a>, Error> {
        match &mut self.receiving {
            Receiving::Head(reader) => {
                let head = reader.take(input).map_err(bad_head)?;
                let Some(mut head) = head else { return Ok(Event::More) };
                self.begin_body(&head)?;
                head.normalize_framing();
                Ok(Event::Head(head))
            }
            Receiving::Body(body) => match body.read(input)? {
                Piece::More => Ok(Event::More),
                Piece::Data(data) => Ok(Event::Data(data)),
                Piece::End => {
                    self.receiving = Receiving::Ended;
                    self.is_kept &= input.is_empty();
                    Ok(Event::End)
                }
            },
            Receiving::Ended => {
                self.is_kept &= input.is_empty();
                Ok(Event::End)
            }
        }
    }

    fn begin_body(&mut self, head: &ResponseHead) -> Result<(), Error> {
        if head.status == 101 && !self.asks_upgrade {
            return Err(Error::new(Kind::RemoteProtocol, Stage::Head, "101, and no other protocol was asked for"));
        }
        let is_switched = head.status == 101 || (self.is_connect && (200..300).contains(&head.status));
        let framing = head.framing(self.is_head || is_switched).map_err(bad_head)?;
        let is_early = self.sending != Sending::Whole || !self.outgoing().is_empty();
        let is_ambiguous = framing == http1::Framing::Chunked && head.values("content-length").next().is_some();
        self.is_kept &= !(is_early
            || is_switched
            || is_ambiguous
            || head.is_http_1_0
            || says_close(head.values("connection"))
            || says_close(head.values("proxy-connection")));
        if is_early && head.status >= 400 {
            // The server does not want the rest.
            self.stop_writing();
        }
        self.receiving = Receiving::Body(BodyReader::new(framing, &self.limits)?);
        Ok(())
    }

    /// The connection has ended: nothing more is received.
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`]: the answer was cut off.
    pub fn ended(&mut self) -> Result<(), Error> {
        self.is_kept = false;
        match &self.receiving {
            Receiving::Head(reader) => {
                let text = "Server disconnected without sending a response.";
                let nothing = Error::new(Kind::RemoteProtocol, Stage::Head, text);
                let error = reader.ended().err().map_or(nothing, bad_head);
                let error = error.with_cut(if self.is_untouched() { Cut::Silent } else { Cut::Amid });
                Err(self.failed(error))
            }
            Receiving::Body(body) => {
                let ended = body.ended();
                self.receiving = Receiving::Ended;
                ended.map_err(|error| self.failed(error.with_cut(Cut::Amid)))
            }
            Receiving::Ended => Ok(()),
        }
    }

    /// Whether the answer is whole.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.receiving, Receiving::Ended)
    }

    /// Whether the connection may carry another request. Not before the answer is whole, and not after it where one side
    /// says close, the version is 1.0, the request was not written whole before it was answered, another protocol is spoken,
    /// two lengths were given, or bytes came that are not the answer's.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.is_kept && self.is_ended()
    }

    /// Whether not one byte was received: a connection that was used before may have been closed before the request came.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.read == 0
    }

    /// Whether a byte of the request was written.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.written > 0
    }

    /// Bytes received.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    fn failed(&mut self, error: Error) -> Error {
        self.is_kept = false;
        error.with_sent(self.is_sent())
    }

    fn local(&mut self, text: &'static str) -> Error {
        self.failed(local(text))
    }
}

const TOO_MUCH: &str = "Too much data for declared Content-Length";

fn says_close<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.any(|value| value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(b"close")))
}

fn bad_head(bad: BadResponse) -> Error {
    Error::new(Kind::RemoteProtocol, Stage::Head, bad.to_string())
}
