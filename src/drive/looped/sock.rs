//! A socket with what it is ready for, which is never waited for.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::watch::Ready;

/// A connected socket, or one that connects. The poll reports changes only, so readiness is kept.
#[derive(Debug)]
pub(crate) struct Sock {
    stream: TcpStream,
    is_readable: bool,
    is_writable: bool,
    /// Whether the other side has closed it, or it is broken.
    pub(crate) has_ended: bool,
}

impl Sock {
    /// Begins to connect.
    pub(crate) fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        Self::watched(TcpStream::connect(address)?, registry, token)
    }

    /// Takes a connection that was accepted.
    pub(crate) fn accepted(stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Self::watched(stream, registry, token)
    }

    fn watched(mut stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, is_readable: false, is_writable: false, has_ended: false })
    }

    /// Says to the other side that no more comes, or that nothing more is read either. A socket that is broken already has no
    /// use for it.
    pub(crate) fn shut(&self, how: Shutdown) {
        let _ = self.stream.shutdown(how);
    }

    /// Keeps what the poll reports.
    pub(crate) fn note(&mut self, ready: Ready) {
        self.has_ended |= ready.is_read_closed || ready.is_broken;
        self.is_readable |= ready.is_readable || self.has_ended;
        self.is_writable |= ready.is_writable || ready.is_broken;
    }

    /// How connecting went; `None` while it goes on.
    pub(crate) fn connected(&self) -> Option<io::Result<()>> {
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
    pub(crate) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether reading is worth a try.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// Nothing more can be written.
    pub(crate) fn stop_writing(&mut self) {
        self.is_writable = false;
    }

    /// Writes what there is room for; `None` for nothing.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
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
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
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
}
