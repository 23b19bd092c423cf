//! A TCP socket of one thread at a time: sends without waiting, waits for at most a slice.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket as Raw, Type};

use super::SLICE;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// A connected socket, or one that connects.
#[derive(Debug)]
pub(super) struct Socket(Raw);

/// What can be done without waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Socket {
    /// Begins to connect; when the socket is ready for writing, [`Socket::connected`] says how it went.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let raw = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        raw.set_nonblocking(true)?;
        match raw.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if system::is_under_way(&error) => {}
            // Connecting goes on after a signal.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(Self(raw))
    }

    /// Ends connecting.
    pub(super) fn connected(&self) -> io::Result<()> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        // A request is written at once, and must not wait for the acknowledgement of the one before.
        self.0.set_tcp_nodelay(true)?;
        system::let_reads_wait(&self.0, SLICE)
    }

    /// Waits until something can be done, or time is up. A signal ends the wait with an error.
    pub(super) fn wait(&self, want: Ready, time: Duration) -> io::Result<Ready> {
        // Rounded up: a wait that ends too early is one round more.
        let millis = time.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
        system::wait(&self.0, want, millis)
    }

    /// Sends what there is room for, without waiting.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_with_flags(bytes, system::SENT_AT_ONCE)
    }

    /// Receives; waits for a slice at most, and then fails with `WouldBlock`.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        system::receive(&self.0, buffer, SLICE)
    }

    /// Whether something has come since the last read, the end of the stream included.
    pub(super) fn has_something(&self) -> bool {
        !self.is_silent()
    }

    /// Whether nothing has come since the last read, the end of the stream included.
    pub(super) fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.0.recv_with_flags(&mut byte, system::PEEKED_AT_ONCE);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Which of up to 64 sockets the other side has closed, a bit for each; asked for all at once, without waiting.
    pub(super) fn have_ended<'a>(sockets: impl Iterator<Item = &'a Self>) -> u64 {
        system::have_ended(sockets.map(|socket| &socket.0))
    }
}
