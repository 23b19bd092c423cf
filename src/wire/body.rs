//! Where the body of an answer ends (RFC 9112, 6 and 7): pieces of any size come in, and slices of them go out.

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
#[derive(Debug)]
pub struct BodyReader {
    frame: Frame,
    received: u64,
    limit: u64,
}

#[derive(Debug)]
enum Frame {
    Length { left: u64, of: u64 },
    Chunked,
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
            Framing::Length(of) => Frame::Length { left: of, of },
            Framing::Chunked => Frame::Chunked,
            Framing::UntilClose => Frame::UntilClose,
        };
        if matches!(frame, Frame::Length { of, .. } if of > limits.body) {
            return Err(too_large());
        }
        Ok(Self { frame, received: 0, limit: limits.body })
    }

    /// Reads on, and moves the input behind what it has used.
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`], [`Kind::TooLarge`]
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Error> {
        if matches!(self.frame, Frame::Length { left: 0, .. }) {
            return Ok(Piece::End);
        }
        let most = usize::try_from(self.direct()).unwrap_or(usize::MAX).min(input.len());
        if most == 0 {
            return Ok(Piece::More);
        }
        let (data, rest) = input.split_at(most);
        *input = rest;
        self.passed(most as u64)?;
        Ok(Piece::Data(data))
    }

    /// Bytes that come next and are the body's.
    #[must_use]
    pub fn direct(&self) -> u64 {
        match self.frame {
            Frame::Length { left, .. } => left,
            Frame::Chunked => 0,
            Frame::UntilClose => u64::MAX,
        }
    }

    /// So many of those were read elsewhere.
    ///
    /// # Errors
    /// [`Kind::TooLarge`]
    pub fn passed(&mut self, bytes: u64) -> Result<(), Error> {
        self.received += bytes;
        if let Frame::Length { left, .. } = &mut self.frame {
            *left -= bytes;
        }
        if self.received > self.limit { Err(too_large()) } else { Ok(()) }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// [`Kind::RemoteProtocol`]: before the body did.
    pub fn ended(&self) -> Result<(), Error> {
        match self.frame {
            Frame::Length { left: 0, .. } | Frame::UntilClose => Ok(()),
            Frame::Length { of, .. } => Err(cut_off(format!("received {} bytes, expected {of}", self.received))),
            Frame::Chunked => Err(cut_off("incomplete chunked read".to_owned())),
        }
    }
}

/// As h11 says it.
fn cut_off(how: String) -> Error {
    let text = format!("peer closed connection without sending complete message body ({how})");
    Error::new(Kind::RemoteProtocol, Stage::Body, text)
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge(Excess::Body), Stage::Body, "the body is longer than the limit")
}
