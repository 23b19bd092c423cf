//! Sockets as Windows has them: no flag keeps a call from waiting, so a socket never waits by itself, and WSAPoll does.

use std::io::{self, Read};
use std::os::windows::io::AsRawSocket;
use std::time::Duration;

use smallvec::SmallVec;
use socket2::Socket;
use windows_sys::Win32::Networking::WinSock::{
    MSG_PEEK, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SOCKET, WSAPOLLFD, WSAPoll,
};

use super::Ready;
use crate::wire::connections::SWEPT;

pub(super) const SENT_AT_ONCE: i32 = 0;
pub(super) const PEEKED_AT_ONCE: i32 = MSG_PEEK;
const BROKEN: i16 = POLLERR | POLLHUP | POLLNVAL;

/// Whether connecting goes on.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Nothing is to be set: [`receive`] waits before it reads.
pub(super) fn let_reads_wait(_: &Socket, _: Duration) -> io::Result<()> {
    Ok(())
}

pub(super) fn receive(mut socket: &Socket, buffer: &mut [u8], time: Duration) -> io::Result<usize> {
    match socket.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let millis = time.as_millis().try_into().unwrap_or(i32::MAX);
            wait(socket, Ready { read: true, write: false }, millis)?;
            socket.read(buffer)
        }
        result => result,
    }
}

pub(super) fn wait(socket: &Socket, want: Ready, millis: i32) -> io::Result<Ready> {
    let mut events = 0;
    if want.read {
        events |= POLLRDNORM;
    }
    if want.write {
        events |= POLLWRNORM;
    }
    let mut poll = entry(socket, events);
    // SAFETY: one entry is passed, which lives across the call, with a socket that is open for its length.
    let count = unsafe { WSAPoll(&raw mut poll, 1, millis) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    // The next read or write shows errors and the end of the stream.
    let other = poll.revents & BROKEN != 0;
    Ok(Ready {
        read: want.read && (other || poll.revents & POLLRDNORM != 0),
        write: want.write && (other || poll.revents & POLLWRNORM != 0),
    })
}

pub(super) fn have_ended<'a>(sockets: impl Iterator<Item = &'a Socket>) -> u64 {
    let mut polls: SmallVec<[WSAPOLLFD; SWEPT]> = sockets.take(SWEPT).map(|socket| entry(socket, 0)).collect();
    // SAFETY: as many entries are passed as there are, which live across the call; the sockets are borrowed for its length.
    let count = unsafe { WSAPoll(polls.as_mut_ptr(), polls.len() as u32, 0) };
    if count <= 0 {
        // None, or it could not be found out: the next look will.
        return 0;
    }
    let ended = polls.iter().enumerate().filter(|(_, poll)| poll.revents & BROKEN != 0);
    ended.fold(0, |ended, (index, _)| ended | 1 << index)
}

fn entry(socket: &Socket, events: i16) -> WSAPOLLFD {
    WSAPOLLFD { fd: socket.as_raw_socket() as SOCKET, events, revents: 0 }
}
