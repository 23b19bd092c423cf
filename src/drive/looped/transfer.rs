//! Bytes between a socket and the request that it serves.

use std::time::Duration;

use super::PIECE;
use super::line::Line;
use super::request::{Phase, Task};
use crate::drive::now;
use crate::drive::order::OrderBody;
use crate::wire::error::Error;
use crate::wire::flight::{Event, Flight};

/// Bytes that a request moves in one turn at most: a peer that is faster than this side must not keep the event loop from its
/// other work, nor from its alarms.
const TURN: usize = 1 << 20;

impl Task {
    /// Writes and reads what can be written and read now; `false` where there is more to be done at once.
    pub(super) fn run(&mut self, line: &mut Line, buffer: &mut [u8]) -> Result<bool, Error> {
        let Phase::Flying(flight) = &mut self.phase else { return Ok(true) };
        let Self { order, cost, collected, began, dial_began, .. } = self;
        let is_whole = order.is_whole;
        let mut moved = 0;
        let is_finished = loop {
            let moved_before = moved;
            while line.is_writable() && moved < TURN {
                if flight.outgoing().is_empty() && !feed(flight, &order.body)? {
                    break;
                }
                match line.write(flight.outgoing()) {
                    Ok(Some(count)) => {
                        flight.wrote(count, now());
                        moved += count;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        flight.broken(&error, true)?;
                        line.stop_writing();
                    }
                }
            }
            if let Some(dialled) = &mut cost.dialled
                && dialled.is_zero()
                && flight.is_open()
            {
                *dialled = Duration::from_nanos(now().saturating_sub(*dial_began).max(1));
            }
            // Reading has a turn of its own: an answer before the end of the body may say that the rest is not wanted.
            let mut read = 0;
            while line.is_readable()
                && !flight.is_done()
                && collected.whole.is_none()
                && (is_whole || collected.pending.len() < PIECE)
                && read < TURN
            {
                let now = now();
                let mut sink = |event: Event<'_>| collected.take(order, event);
                match line.read(buffer) {
                    Ok(None) => {}
                    Ok(Some(0)) => flight.ended(now, &mut sink)?,
                    Ok(Some(count)) => {
                        flight.received(&buffer[..count], now, &mut sink)?;
                        read += count;
                    }
                    Err(error) => flight.broken(&error, false)?,
                }
            }
            moved += read;
            if moved == moved_before || flight.is_done() || collected.whole.is_some() {
                break true;
            }
            if moved >= TURN {
                break false;
            }
        };
        cost.head = collected.head_at.map(|at| Duration::from_nanos(at.saturating_sub(*began)));
        Ok(is_finished)
    }
}

/// Goes on with the body of a request; whether there is something to be written.
fn feed(flight: &mut Flight, body: &OrderBody) -> Result<bool, Error> {
    if !flight.wants_body() {
        return Ok(false);
    }
    let now = now();
    match body {
        OrderBody::Pulled => return Ok(false),
        OrderBody::Empty => flight.finish(now)?,
        OrderBody::Bytes(bytes) => {
            let bytes = (**bytes).as_ref();
            let given = usize::try_from(flight.body_given()).map_or(bytes.len(), |given| given.min(bytes.len()));
            let end = bytes.len().min(given + PIECE);
            flight.push(&bytes[given..end], now)?;
            if end == bytes.len() {
                flight.finish(now)?;
            }
        }
    }
    Ok(!flight.outgoing().is_empty())
}
