//! An open tunnel: bytes both ways. What one side does not take is not read from the other.

use std::io;
use std::net::Shutdown;

use super::conn::{Conn, Pending, State};
use super::server::{Server, nanos, now};
use super::{Told, add};
use crate::drive::looped::sock::Sock;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::tunnel::Tunnel;

/// Reads in one direction before others have their turn.
const ROUNDS: usize = 16;

/// See the module.
pub(super) struct Splice {
    pub(super) up: Sock,
    tunnel: Tunnel,
    to_up: Pending,
    /// Whether the proxy was told that no more comes, and the client.
    is_up_shut: bool,
    is_client_shut: bool,
    has_up_ended: bool,
    sent: u64,
    received: u64,
    /// How much of both was told.
    told: (u64, u64),
}

/// What went wrong, and on which side.
enum Broken {
    Client,
    Proxy(Error),
}

fn of_proxy(error: &io::Error) -> Broken {
    Broken::Proxy(Error::of_io(Kind::Read, Stage::Body, error).with_sent(true))
}

impl Splice {
    pub(super) fn new(up: Sock, tunnel: Tunnel, received: u64) -> Self {
        Self {
            up,
            tunnel,
            to_up: Pending::default(),
            is_up_shut: false,
            is_client_shut: false,
            has_up_ended: false,
            sent: 0,
            received,
            told: (0, 0),
        }
    }

    /// Bytes sent and received that were not told yet.
    pub(super) fn take_moved(&mut self) -> (u64, u64) {
        let moved = (self.sent - self.told.0, self.received - self.told.1);
        self.told = (self.sent, self.received);
        moved
    }

    /// Whether nothing is to be done any more.
    fn is_over(&self) -> bool {
        self.is_up_shut && self.is_client_shut
    }

    /// Of a tunnel that ended on the proxy's side: whether it has never carried a byte back, though something was sent. It may
    /// be the site's doing as well.
    fn was_useless(&self) -> bool {
        self.received == 0 && self.sent > 0
    }

    /// What waits for the proxy; whether all of it is written.
    fn flush_up(&mut self) -> Result<bool, Broken> {
        let Self { up, tunnel, to_up, .. } = self;
        if tunnel.is_bare() {
            to_up.flush(up).map_err(|error| of_proxy(&error))?;
            return Ok(to_up.is_empty());
        }
        while !tunnel.outgoing().is_empty() && up.is_writable() {
            if let Some(count) = up.write(tunnel.outgoing()).map_err(|error| of_proxy(&error))? {
                tunnel.wrote(count);
            }
        }
        Ok(tunnel.outgoing().is_empty())
    }

    /// Sends bytes of the client; how many were taken.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if !self.tunnel.is_bare() {
            return Ok(self.tunnel.push(bytes));
        }
        let written =
            if self.up.is_writable() { self.up.write(bytes).map_err(|error| of_proxy(&error))? } else { None };
        self.to_up.push(&bytes[written.unwrap_or(0)..]);
        Ok(bytes.len())
    }

    /// From the client to the proxy; whether there may be more at once.
    fn pump_up(&mut self, conn: &mut Conn, buffer: &mut [u8]) -> Result<bool, Broken> {
        for _ in 0..ROUNDS {
            if !self.flush_up()? {
                return Ok(false);
            }
            if !conn.input.is_empty() {
                // What came before the tunnel was open, or did not fit.
                let input = std::mem::take(&mut conn.input);
                let taken = self.send(&input)?;
                self.sent += taken as u64;
                conn.input.extend_from_slice(&input[taken..]);
                continue;
            }
            if conn.has_ended {
                if !self.is_up_shut {
                    self.tunnel.finish();
                    self.is_up_shut = self.flush_up()?;
                    self.up.shut(Shutdown::Write);
                }
                return Ok(false);
            }
            if !conn.sock.is_readable() {
                return Ok(false);
            }
            match conn.sock.read(buffer).map_err(|_| Broken::Client)? {
                None => return Ok(false),
                Some(0) => conn.has_ended = true,
                Some(count) => {
                    let taken = self.send(&buffer[..count])?;
                    self.sent += taken as u64;
                    conn.input.extend_from_slice(&buffer[taken..count]);
                }
            }
        }
        Ok(true)
    }

    /// From the proxy to the client; whether there may be more at once.
    fn pump_down(&mut self, conn: &mut Conn, buffer: &mut [u8]) -> Result<bool, Broken> {
        for _ in 0..ROUNDS {
            conn.output.flush(&mut conn.sock).map_err(|_| Broken::Client)?;
            if !conn.output.is_empty() {
                return Ok(false);
            }
            if self.has_up_ended {
                if !self.is_client_shut {
                    self.is_client_shut = true;
                    conn.sock.shut(Shutdown::Write);
                }
                return Ok(false);
            }
            if !self.up.is_readable() {
                return Ok(false);
            }
            match self.up.read(buffer).map_err(|error| of_proxy(&error))? {
                None => return Ok(false),
                Some(0) => self.has_up_ended = true,
                Some(count) if self.tunnel.is_bare() => {
                    self.received += count as u64;
                    let piece = &buffer[..count];
                    let written = if conn.sock.is_writable() {
                        conn.sock.write(piece).map_err(|_| Broken::Client)?
                    } else {
                        None
                    };
                    conn.output.push(&piece[written.unwrap_or(0)..]);
                }
                Some(count) => {
                    let before = conn.output.buffer().len();
                    self.has_up_ended |=
                        self.tunnel.received(&buffer[..count], conn.output.buffer()).map_err(Broken::Proxy)?;
                    self.received += (conn.output.buffer().len() - before) as u64;
                }
            }
        }
        Ok(true)
    }
}

impl Server {
    /// Moves what can be moved.
    pub(super) fn go_on_open(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        // The tunnel is lent out of the connection, whose client it moves bytes of.
        let State::Open(mut splice) = std::mem::replace(&mut conn.state, State::Leaving) else { return };
        let before = (splice.sent, splice.received);
        let up = splice.pump_up(conn, &mut self.buffer);
        let down = splice.pump_down(conn, &mut self.buffer);
        if before != (splice.sent, splice.received) {
            conn.ends = now() + nanos(self.settings.idle);
            add(&self.counts.sent, splice.sent - before.0);
            add(&self.counts.received, splice.received - before.1);
        }
        let (is_over, is_useless) = (splice.is_over(), splice.was_useless());
        let has_quit = splice.has_up_ended && is_useless && !conn.has_ended;
        conn.state = State::Open(splice);
        match (up, down) {
            // Writing may fail while there is something to be read still: only what reading says ends a tunnel then.
            (_, Err(Broken::Proxy(error))) | (Err(Broken::Proxy(error)), Ok(false)) => {
                self.end_open(number, is_useless.then_some(error));
            }
            (_, Err(Broken::Client)) | (Err(Broken::Client), _) => self.drop_conn(number),
            _ if is_over => {
                let text = "the tunnel was closed without a byte";
                let error = has_quit.then(|| Error::new(Kind::Read, Stage::Body, text).with_sent(true));
                self.end_open(number, error);
            }
            (Ok(true), _) | (_, Ok(true)) => self.again.push(number),
            _ => {}
        }
    }

    fn end_open(&mut self, number: usize, broken: Option<Error>) {
        self.forget(number, broken);
        self.drop_conn(number);
    }

    pub(super) fn tell_moved(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        if let State::Open(splice) = &mut conn.state {
            let moved = splice.take_moved();
            if moved != (0, 0) {
                self.tell(ticket, Told::Moved, moved);
            }
        }
    }

    /// Nothing has gone through a tunnel for long.
    pub(super) fn late_open(&mut self, number: usize) {
        let Some(conn) = self.conns.get(number) else { return };
        let State::Open(splice) = &conn.state else { return };
        let error = Error::new(Kind::ReadTimeout, Stage::Body, "nothing came through the tunnel").with_sent(true);
        let broken = splice.was_useless().then_some(error);
        self.end_open(number, broken);
    }
}
