//! The framing of chunks (RFC 9112, 7.1), as strict as h11: a size has 1 to 20 hexadecimal digits and a line ends in CR LF.

use memchr::memchr;

use super::body::bad;
use super::error::Error;
use super::limits::Limits;
use crate::net::http1;

/// Digits of a size. A number of 20 digits that fits into 64 bits has leading zeros.
const DIGITS: u8 = 20;

/// Passes the framing of chunks, and says how many bytes of data come next.
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions, and of blanks behind sizes, that may still come.
    extensions: usize,
    trailers: Vec<u8>,
    lines: usize,
    limits: http1::Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size {
        size: u64,
        digits: u8,
    },
    /// In an extension, of which nothing is kept.
    Extension {
        size: u64,
    },
    /// In blanks behind a size.
    Blank {
        size: u64,
    },
    /// Before the line feed behind a size.
    SizeEnd {
        size: u64,
    },
    /// So many bytes of data come next.
    Data(u64),
    /// Before the carriage return behind the data.
    DataEnd,
    /// Before the line feed behind that.
    DataEndFeed,
    Trailers,
    Whole,
}

const START: State = State::Size { size: 0, digits: 0 };

impl Chunked {
    pub(super) fn new(limits: &Limits) -> Self {
        let (extensions, limits) = (limits.extensions, limits.head);
        Self { state: START, extensions, trailers: Vec::new(), lines: 0, limits }
    }

    /// Moves the input behind all framing that comes next: to data, to the end of the body, or to the end of the input.
    pub(super) fn pass_framing(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        while !matches!(self.state, State::Data(_) | State::Whole) {
            if self.state == State::Trailers {
                return self.pass_trailers(input);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(()) };
            *input = rest;
            self.state = self.next(byte)?;
        }
        Ok(())
    }

    fn next(&mut self, byte: u8) -> Result<State, Error> {
        let after = match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < DIGITS => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = size.checked_mul(16).ok_or_else(illegal)? + digit;
                return Ok(State::Size { size, digits: digits + 1 });
            }
            (State::Size { digits: 0, .. }, _) => return Err(illegal()),
            (State::Size { size, .. }, b';') => State::Extension { size },
            (State::Size { size, .. } | State::Blank { size }, b' ' | b'\t') => State::Blank { size },
            (State::Size { size, .. } | State::Blank { size } | State::Extension { size }, b'\r') => {
                return Ok(State::SizeEnd { size });
            }
            (State::Extension { .. }, b'\n') => return Err(illegal()),
            (State::Extension { size }, _) => State::Extension { size },
            (State::SizeEnd { size: 0 }, b'\n') => return Ok(State::Trailers),
            (State::SizeEnd { size }, b'\n') => return Ok(State::Data(size)),
            (State::DataEnd, b'\r') => return Ok(State::DataEndFeed),
            (State::DataEndFeed, b'\n') => return Ok(START),
            (State::DataEnd | State::DataEndFeed, _) => return Err(bad("malformed chunk footer")),
            _ => return Err(illegal()),
        };
        self.extensions = self.extensions.checked_sub(1).ok_or_else(|| bad("Receive buffer too long"))?;
        Ok(after)
    }

    /// Nothing is kept of trailers, as in httpx; that they are headers is checked when they are whole.
    fn pass_trailers(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        loop {
            let end = memchr(b'\n', input).map(|at| at + 1);
            let (line, rest) = input.split_at(end.unwrap_or(input.len()));
            *input = rest;
            self.trailers.extend_from_slice(line);
            if self.trailers.len() > self.limits.bytes {
                return Err(bad("Receive buffer too long"));
            }
            if end.is_none() {
                return Ok(());
            }
            let is_last =
                matches!(*self.trailers, [b'\n'] | [b'\r', b'\n'] | [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n']);
            if is_last {
                if !http1::are_headers(&self.trailers) {
                    return Err(bad("illegal header line"));
                }
                self.state = State::Whole;
                return Ok(());
            }
            self.lines += 1;
            if self.lines > self.limits.headers {
                return Err(bad("too many headers"));
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Bytes of data that come next.
    pub(super) fn left(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }

    /// So many of those are gone.
    pub(super) fn passed(&mut self, bytes: u64) {
        if let State::Data(left) = self.state {
            let left = left.saturating_sub(bytes);
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        }
    }

    /// Whether a part of a line was received.
    pub(super) fn is_inside_line(&self) -> bool {
        match self.state {
            State::Size { digits, .. } => digits > 0,
            State::Extension { .. } | State::Blank { .. } | State::SizeEnd { .. } => true,
            State::Trailers => !self.trailers.is_empty(),
            State::Data(_) | State::DataEnd | State::DataEndFeed | State::Whole => false,
        }
    }
}

fn illegal() -> Error {
    bad("illegal chunk header")
}
