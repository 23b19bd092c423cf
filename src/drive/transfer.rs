//! Bytes between a socket and a flight.

use std::cell::Cell;
use std::io::ErrorKind;
use std::time::Duration;

use super::socket::{Ready, Socket};
use super::source::Source;
use super::store::{Claim, Connection, Store};
use super::{SLICE, now};
use crate::wire::error::Error;
use crate::wire::flight::{Flight, Sink};

/// Bytes of one read.
const READ: usize = 64 << 10;

thread_local! {
    // Taken out while it is used: what the caller is asked may send another request on this thread.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Runs work with a buffer to read into.
fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take().unwrap_or_else(|| vec![0; READ].into());
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}

/// Writes what can be written without waiting, and takes pieces of the body as they are wanted; whether the socket has no
/// room. Before each piece but the first it is left for a look at what was answered (if `reads`), and after a slice for one at
/// the time.
pub(super) fn write(
    socket: &Socket,
    flight: &mut Flight,
    source: &mut Source<'_, '_>,
    reads: bool,
    mut now: u64,
) -> Result<bool, Error> {
    let begun = now;
    loop {
        let outgoing = flight.outgoing();
        if outgoing.is_empty() {
            if !flight.wants_body() {
                return Ok(false);
            }
            let mut at = usize::try_from(flight.body_given()).unwrap_or(usize::MAX);
            let is_long = now.saturating_sub(begun) >= SLICE.as_nanos() as u64;
            if at > 0 && (is_long || (reads && socket.has_something())) {
                return Ok(false);
            }
            source.give(flight, &mut at, now)?;
            now = super::now();
            continue;
        }
        match socket.send(outgoing) {
            Ok(count) => flight.wrote(count, now),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                flight.broken(&error, true)?;
                return Ok(false);
            }
        }
    }
}

/// Why nothing was received.
pub(super) enum Halt {
    /// A signal came.
    Signal,
    Error(Error),
}

/// Waits for a slice at most, and takes what has come meanwhile.
pub(super) fn receive(
    socket: &Socket,
    flight: &mut Flight,
    want: Ready,
    time: Duration,
    sink: &mut Sink<'_>,
) -> Result<(), Halt> {
    // A read alone waits for a slice by itself.
    if !want.read || want.write || time < SLICE {
        match socket.wait(want, time) {
            Ok(ready) if ready.read => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Halt::Signal),
            Err(error) => return flight.broken(&error, false).map_err(Halt::Error),
        }
    }
    with_buffer(|buffer| match socket.receive(buffer) {
        Ok(0) => flight.ended(now(), sink).map_err(Halt::Error),
        Ok(count) => flight.received(&buffer[..count], now(), sink).map_err(Halt::Error),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(Halt::Signal),
        Err(error) => flight.broken(&error, false).map_err(Halt::Error),
    })
}

/// Whether an idle connection can be used: the other side has neither closed it nor said anything. Tickets of TLS are
/// nothing said.
pub(super) fn is_alive(connection: &mut Connection) -> bool {
    loop {
        if connection.socket.is_silent() {
            return true;
        }
        if connection.channel.is_plain() {
            return false;
        }
        let is_ticket = with_buffer(|buffer| match connection.socket.receive(buffer) {
            Ok(0) | Err(_) => false,
            Ok(count) => connection.channel.takes_silently(&buffer[..count]),
        });
        if !is_ticket {
            return false;
        }
    }
}

/// Puts a connection back, if it can serve another request, and closes it if not.
pub(super) fn give_back(store: &Store, claim: Claim, socket: Socket, flight: Flight) {
    match flight.into_channel() {
        Some(channel) => store.put_back(claim, Connection { socket, channel }),
        None => {
            drop(socket);
            store.close(claim, false);
        }
    }
}
