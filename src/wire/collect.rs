//! A whole body, held in memory.

use super::decode::{Decoder, Progress};
use super::error::Error;
use super::limits::Limits;
use crate::net::http1::{Framing, ResponseHead};

/// The most that is reserved because of a length that a server names; what is longer has to come first.
const RESERVED: u64 = 1 << 20;
/// Bytes that one call to the decoder makes.
const ROOM: usize = 256 << 10;

/// A whole body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes, with the content codings off that are known.
    pub decoded: Vec<u8>,
    /// Its bytes as they came, where it was coded and they were to be kept.
    pub coded: Option<Vec<u8>>,
    /// Its length on the wire.
    pub received: u64,
}

/// Collects the pieces of a body.
#[derive(Debug)]
pub struct Collector {
    body: Body,
    decoder: Option<Decoder>,
    /// Bytes to be reserved when the first come.
    expected: usize,
}

impl Collector {
    /// For the body of that answer. `keeps_coded` keeps what came beside what was decoded.
    ///
    /// # Errors
    /// [`Kind::Decoding`](super::error::Kind::Decoding): more content codings than the limit.
    pub fn new(head: &ResponseHead, limits: &Limits, keeps_coded: bool) -> Result<Self, Error> {
        let decoder = Decoder::new(head.values("content-encoding"), limits)?;
        let mut body = Body::default();
        let length = if let Ok(Framing::Length(length)) = head.framing(false) { length.min(RESERVED) } else { 0 };
        body.coded = (keeps_coded && decoder.is_some()).then(Vec::new);
        Ok(Self { body, decoder, expected: usize::try_from(length).unwrap_or(0) })
    }

    /// Takes a piece, as it is on the wire.
    ///
    /// # Errors
    /// [`Kind::Decoding`](super::error::Kind::Decoding), [`Kind::TooLarge`](super::error::Kind::TooLarge)
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        self.body.received += piece.len() as u64;
        self.body.decoded.reserve(std::mem::take(&mut self.expected));
        let Some(decoder) = &mut self.decoder else {
            self.body.decoded.extend_from_slice(piece);
            return Ok(());
        };
        if let Some(coded) = &mut self.body.coded {
            coded.extend_from_slice(piece);
        }
        while decoder.decode(&mut piece, &mut self.body.decoded, ROOM)? == Progress::Full {}
        Ok(())
    }

    /// The body is whole.
    ///
    /// # Errors
    /// [`Kind::Decoding`](super::error::Kind::Decoding): what is coded was cut off.
    pub fn finish(self) -> Result<Body, Error> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        Ok(self.body)
    }
}
