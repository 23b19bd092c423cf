//! A socket of a reactor, and the request that it serves.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use mio::{Registry, Token};

use super::Key;
use super::sock::Sock;
use crate::wire::channel::Channel;
use crate::wire::connections::Place;

/// One socket.
#[derive(Debug)]
pub(super) struct Line {
    sock: Sock,
    /// The request that it serves.
    pub(super) user: Option<Key>,
    /// Where it is among the idle ones, if it is one.
    pub(super) place: Option<Place>,
}

impl Deref for Line {
    type Target = Sock;

    fn deref(&self) -> &Sock {
        &self.sock
    }
}

impl DerefMut for Line {
    fn deref_mut(&mut self) -> &mut Sock {
        &mut self.sock
    }
}

impl Line {
    /// Begins to connect.
    pub(super) fn connect(address: SocketAddr, registry: &Registry, token: Token, user: Key) -> io::Result<Self> {
        Ok(Self { sock: Sock::connect(address, registry, token)?, user: Some(user), place: None })
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
