//! Where the body of an answer ends (RFC 9112, 6): pieces of any size come in, and slices of them go out.

use super::chunked::Chunked;
use super::error::{Error, Excess, Kind, Stage};
use super::limits::Limits;
use crate::net::http1::Framing;

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The input is used up.
    More,
    /// Bytes of the body; at least one.
    Data(&'a [u8]),
    /// The body is whole.
    End,
}

/// Reads one body.
pub struct BodyReader {
    frame: Frame,
    received: u64,
    limit: u64,
}

enum Frame {
    Length { left: u64, of: u64 },
    Chunked(Chunked),
    UntilClose,
}

impl BodyReader {
    /// Reads a body that is framed so.
    ///
    /// # Errors
    /// [`Kind::TooLarge`]: its length is above the limit.
    pub fn new(framing: Framing, limits: &Limits) -> Result<Self, Error> {
        let frame = match framing {
            Framing::Empty => Frame::Length { left: 0, of: 0 },
            Framing::Length(of) if of > limits.body => return Err(too_large()),
            Framing::Length(of) => Frame::Length { left: of, of },
            Framing::Chunked => Frame::Chunked(Chunked::new(limits)),
            Framing::UntilClose => Frame::UntilClose,
        };
        Ok(Self { frame, received: 0, limit: limits.body })
    }

    /// Reads on, and moves the input behind what it has used.
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`], [`Kind::TooLarge`]
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Error> {
        if let Frame::Chunked(chunked) = &mut self.frame {
            chunked.pass_framing(input)?;
        }
        if self.is_whole() {
            return Ok(Piece::End);
        }
        let most = usize::try_from(self.left()).unwrap_or(usize::MAX).min(input.len());
        if most == 0 {
            return Ok(Piece::More);
        }
        let (data, rest) = input.split_at(most);
        *input = rest;
        self.passed(most as u64)?;
        Ok(Piece::Data(data))
    }

    fn is_whole(&self) -> bool {
        match &self.frame {
            Frame::Length { left, .. } => *left == 0,
            Frame::Chunked(chunked) => chunked.is_whole(),
            Frame::UntilClose => false,
        }
    }

    /// Bytes that come next and are the body's.
    fn left(&self) -> u64 {
        match &self.frame {
            Frame::Length { left, .. } => *left,
            Frame::Chunked(chunked) => chunked.left(),
            Frame::UntilClose => u64::MAX,
        }
    }

    /// So many of those are gone.
    fn passed(&mut self, bytes: u64) -> Result<(), Error> {
        self.received = self.received.saturating_add(bytes);
        match &mut self.frame {
            Frame::Length { left, .. } => *left = left.saturating_sub(bytes),
            Frame::Chunked(chunked) => chunked.passed(bytes),
            Frame::UntilClose => {}
        }
        if self.received > self.limit { Err(too_large()) } else { Ok(()) }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`]: before the body did.
    pub fn ended(&self) -> Result<(), Error> {
        match &self.frame {
            Frame::UntilClose => Ok(()),
            _ if self.is_whole() => Ok(()),
            Frame::Length { of, .. } => Err(cut_off(&format!("received {} bytes, expected {of}", self.received))),
            Frame::Chunked(chunked) if chunked.is_inside_line() => Err(bad("peer unexpectedly closed connection")),
            Frame::Chunked(_) => Err(cut_off("incomplete chunked read")),
        }
    }
}

/// As h11 says it.
fn cut_off(how: &str) -> Error {
    let text = format!("peer closed connection without sending complete message body ({how})");
    Error::new(Kind::RemoteProtocol, Stage::Body, text)
}

pub(super) fn bad(text: &'static str) -> Error {
    Error::new(Kind::RemoteProtocol, Stage::Body, text)
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge(Excess::Body), Stage::Body, "the body is longer than the limit")
}
