//! Where a request's body comes from.

use super::blocking::{Abort, Pull};
use super::order::OrderBody;
use crate::wire::error::{Error, Kind};
use crate::wire::flight::Flight;

/// Bytes of a body that are written together with the head.
const SHORT: usize = 64 << 10;
/// Bytes of a body in memory that are written at once.
const PIECE: usize = 256 << 10;

/// The body of one order.
pub(super) struct Source<'a, 'b> {
    pub(super) body: &'a OrderBody,
    pub(super) pull: Option<&'a mut Pull<'b>>,
    /// Whether the caller was asked for a piece, which it gives once.
    pub(super) has_pulled: bool,
}

impl Source<'_, '_> {
    /// Gives a body of few bytes, to be written together with the head.
    pub(super) fn give_short(&self, flight: &mut Flight, now: u64) -> Result<(), Error> {
        match self.body {
            OrderBody::Bytes(bytes) if (**bytes).as_ref().len() <= SHORT && flight.has_unsent_body() => {
                flight.push((**bytes).as_ref(), now)?;
                flight.finish(now)
            }
            _ => Ok(()),
        }
    }

    /// Gives the next piece; the flight wants one.
    pub(super) fn give(&mut self, flight: &mut Flight, at: &mut usize, now: u64) -> Result<(), Error> {
        match self.body {
            OrderBody::Empty => flight.finish(now),
            OrderBody::Bytes(bytes) => {
                let bytes = (**bytes).as_ref();
                let end = bytes.len().min(*at + PIECE);
                flight.push(&bytes[*at..end], now)?;
                *at = end;
                if end == bytes.len() { flight.finish(now) } else { Ok(()) }
            }
            OrderBody::Pulled => {
                let Some(pull) = self.pull.as_mut() else { return flight.finish(now) };
                self.has_pulled = true;
                let stage = flight.stage();
                let is_sent = flight.is_sent();
                match pull() {
                    // The caller may have taken its time.
                    Ok(Some(piece)) => flight.push(&piece, super::now()),
                    Ok(None) => flight.finish(super::now()),
                    Err(Abort) => {
                        Err(Error::new(Kind::Interrupted, stage, "the request's body was broken off")
                            .with_sent(is_sent))
                    }
                }
            }
        }
    }
}
