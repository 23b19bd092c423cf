//! One connection of a client.

use std::io;

use super::Ticket;
use super::dial::Dialling;
use super::forward::Forward;
use super::splice::Splice;
use crate::drive::looped::sock::Sock;

/// How it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Http,
    Socks4,
    Socks5,
}

/// Where it stands.
pub(super) enum State {
    /// Says what it wants.
    Start,
    /// SOCKS5: says who it is.
    Login,
    /// SOCKS5: says where it wants to go.
    Target(super::Wishes),
    /// Its tunnel is being opened.
    Dialling(Box<Dialling>),
    /// Its tunnel is open.
    Open(Box<Splice>),
    /// Its request is passed on.
    Forward(Box<Forward>),
    /// What is left to be said is written, and the connection closed.
    Leaving,
}

/// Bytes that wait to be written.
#[derive(Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    at: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// To write behind what waits.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes what there is room for.
    pub(super) fn flush(&mut self, sock: &mut Sock) -> io::Result<()> {
        while !self.is_empty() && sock.is_writable() {
            if let Some(count) = sock.write(&self.bytes[self.at..])? {
                self.at += count;
            }
        }
        if self.is_empty() {
            // An idle connection holds no memory for it.
            (self.bytes, self.at) = (Vec::new(), 0);
        }
        Ok(())
    }
}

/// One connection of a client.
pub(super) struct Conn {
    pub(super) serial: u64,
    pub(super) sock: Sock,
    /// What has come and was not looked at.
    pub(super) input: Vec<u8>,
    pub(super) output: Pending,
    pub(super) state: State,
    pub(super) front: Front,
    /// When it is closed unless something happens; nanoseconds of the steady clock.
    pub(super) ends: u64,
    /// Whether it will send nothing more.
    pub(super) has_ended: bool,
    /// Whether it has had a request before.
    pub(super) is_used: bool,
}

impl Conn {
    pub(super) fn ticket(&self, number: usize) -> Ticket {
        Ticket { number, serial: self.serial }
    }

    /// Whether nothing would be lost if it were closed.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Start) && self.input.is_empty() && self.output.is_empty()
    }

    /// Reads, as long as no more than so many bytes wait to be looked at.
    pub(super) fn fill(&mut self, buffer: &mut [u8], most: usize) -> io::Result<()> {
        while self.input.len() < most && self.sock.is_readable() && !self.has_ended {
            let room = (most - self.input.len()).min(buffer.len());
            match self.sock.read(&mut buffer[..room])? {
                None => {}
                Some(0) => self.has_ended = true,
                Some(count) => self.input.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(())
    }

    /// Forgets what was looked at.
    pub(super) fn used(&mut self, count: usize) {
        if count >= self.input.len() {
            self.input = Vec::new();
        } else {
            self.input.drain(..count);
        }
    }
}
