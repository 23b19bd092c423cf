//! A socket with what it is ready for, which is never waited for.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::Key;
use super::watch::Ready;
use crate::wire::channel::Channel;
use crate::wire::connections::Place;

/// One socket. The poll reports changes only, so readiness is kept.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    /// The request that it serves.
    pub(super) user: Option<Key>,
    is_readable: bool,
    is_writable: bool,
    /// Where it is among the idle ones, if it is one.
    pub(super) place: Option<Place>,
    /// Whether the other side has closed it, or it is broken.
    pub(super) has_ended: bool,
}

impl Line {
    /// Begins to connect.
    pub(super) fn connect(address: SocketAddr, registry: &Registry, token: Token, user: Key) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, user: Some(user), is_readable: false, is_writable: false, place: None, has_ended: false })
    }

    /// Keeps what the poll reports.
    pub(super) fn note(&mut self, ready: Ready) {
        self.has_ended |= ready.is_read_closed || ready.is_broken;
        self.is_readable |= ready.is_readable || self.has_ended;
        self.is_writable |= ready.is_writable || ready.is_broken;
    }

    /// How connecting went; `None` while it goes on.
    pub(super) fn connected(&self) -> Option<io::Result<()>> {
        if !self.is_writable {
            return None;
        }
        match self.stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
        }
        match self.stream.peer_addr() {
            // A request is written at once, and must not wait for the acknowledgement of the one before.
            Ok(_) => Some(self.stream.set_nodelay(true)),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether writing is worth a try.
    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether reading is worth a try.
    pub(super) fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// Nothing more can be written.
    pub(super) fn stop_writing(&mut self) {
        self.is_writable = false;
    }

    /// Writes what there is room for; `None` for nothing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.write(bytes) {
                Ok(count) => {
                    // Once the room is filled, the poll reports when there is more.
                    self.is_writable = count == bytes.len();
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what there is; `None` for nothing, zero for the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => {
                    // Fewer bytes than asked for were all; an end that was reported is still to be read.
                    self.is_readable = count == buffer.len() || (self.has_ended && count > 0);
                    self.has_ended |= count == 0;
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Serves no request any more. Whether it may serve another one.
    pub(super) fn rest(&mut self) -> bool {
        self.user = None;
        !self.has_ended
    }

    /// Whether an idle connection can be used: the other side has neither closed it nor said anything, up to this moment. Tickets
    /// of TLS are nothing said.
    pub(super) fn is_silent(&mut self, channel: &mut Channel, buffer: &mut [u8]) -> bool {
        while !self.has_ended {
            // The poll has not told yet of what has come since the last turn.
            match self.read(buffer) {
                Ok(None) => return true,
                Ok(Some(count)) if count > 0 && !channel.is_plain() && channel.takes_silently(&buffer[..count]) => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
        false
    }
}
