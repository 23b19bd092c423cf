//! Sockets as Unix has them: a read waits by itself, which spares a call of poll(2), and a flag keeps a call from waiting.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::Duration;

use smallvec::SmallVec;
use socket2::Socket;

use super::Ready;
use crate::wire::connections::SWEPT;

/// A broken connection is an error, and no signal. Where the flag is not known, the socket has an option for it, set by
/// `socket2`.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: libc::c_int = 0;

/// The other side sends no more: Linux tells it apart from data that has come, others report it as a hang-up.
#[cfg(target_os = "linux")]
const NO_MORE: libc::c_short = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const NO_MORE: libc::c_short = libc::POLLHUP;
const BROKEN: libc::c_short = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;

pub(super) const SENT_AT_ONCE: libc::c_int = libc::MSG_DONTWAIT | NO_SIGNAL;
pub(super) const PEEKED_AT_ONCE: libc::c_int = libc::MSG_PEEK | libc::MSG_DONTWAIT;

/// Whether connecting goes on.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

pub(super) fn let_reads_wait(socket: &Socket, time: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(time))?;
    socket.set_nonblocking(false)
}

pub(super) fn receive(mut socket: &Socket, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
    socket.read(buffer)
}

pub(super) fn wait(socket: &Socket, want: Ready, millis: i32) -> io::Result<Ready> {
    let mut events = 0;
    if want.read {
        events |= libc::POLLIN;
    }
    if want.write {
        events |= libc::POLLOUT;
    }
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: one entry is passed, which lives across the call, with a descriptor that the socket owns.
    let count = unsafe { libc::poll(&raw mut poll, 1, millis) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    // The next read or write shows errors and the end of the stream.
    let other = poll.revents & BROKEN != 0;
    Ok(Ready {
        read: want.read && (other || poll.revents & libc::POLLIN != 0),
        write: want.write && (other || poll.revents & libc::POLLOUT != 0),
    })
}

pub(super) fn have_ended<'a>(sockets: impl Iterator<Item = &'a Socket>) -> u64 {
    let mut polls: SmallVec<[libc::pollfd; SWEPT]> = sockets
        .take(SWEPT)
        .map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: NO_MORE, revents: 0 })
        .collect();
    // SAFETY: as many entries are passed as there are, which live across the call; the sockets are borrowed for its length.
    let count = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, 0) };
    if count <= 0 {
        // None, or it could not be found out: the next look will.
        return 0;
    }
    let ended = polls.iter().enumerate().filter(|(_, poll)| poll.revents & (NO_MORE | BROKEN) != 0);
    ended.fold(0, |ended, (index, _)| ended | 1 << index)
}
