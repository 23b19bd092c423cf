//! A TCP socket of one thread at a time: sends without waiting, waits for at most a slice.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket as Raw, Type};

use super::SLICE;

/// A broken connection is an error, and no signal. Where the flag is not known, the socket has an option for it, set by
/// `socket2`.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: libc::c_int = 0;

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
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
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
        // A read waits by itself, which spares a call of poll(2).
        self.0.set_read_timeout(Some(SLICE))?;
        self.0.set_nonblocking(false)
    }

    /// Waits until something can be done, or time is up. A signal ends the wait with an error.
    pub(super) fn wait(&self, want: Ready, time: Duration) -> io::Result<Ready> {
        let mut events = 0;
        if want.read {
            events |= libc::POLLIN;
        }
        if want.write {
            events |= libc::POLLOUT;
        }
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events, revents: 0 };
        // Rounded up: a wait that ends too early is one round more.
        let millis = time.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
        // SAFETY: one entry is passed, which lives across the call, with a descriptor that this socket owns.
        let count = unsafe { libc::poll(&raw mut poll, 1, millis) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        // The next read or write shows errors and the end of the stream.
        let other = poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
        Ok(Ready {
            read: want.read && (other || poll.revents & libc::POLLIN != 0),
            write: want.write && (other || poll.revents & libc::POLLOUT != 0),
        })
    }

    /// Sends what there is room for, without waiting.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_with_flags(bytes, libc::MSG_DONTWAIT | NO_SIGNAL)
    }

    /// Receives; waits for a slice at most, and then fails with `WouldBlock`.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Whether something has come since the last read, the end of the stream included.
    pub(super) fn has_something(&self) -> bool {
        !self.is_silent()
    }

    /// Whether nothing has come since the last read, the end of the stream included.
    pub(super) fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.0.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}
