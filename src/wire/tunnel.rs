//! A tunnel through a proxy for bytes of any kind, without I/O: what a driver that relays the connections of others opens.
//!
//! The driver writes [`Tunnel::outgoing`], and hands over what it has read to [`Tunnel::received`]. In a tunnel that
//! [`Tunnel::is_bare`] the bytes on the socket are those of the tunnel, and need not pass through here.

use std::convert::Infallible;

use super::channel::{Channel, Fault, Received};
use super::error::{Error, Kind, Stage};
use super::opening::Opening;
use super::route::Route;

/// A tunnel, opened or on the way to it.
pub struct Tunnel {
    channel: Channel,
    opening: Option<Opening>,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tunnel(open: {})", self.is_open())
    }
}

impl Tunnel {
    /// Begins over a new connection to the proxy. The origin of the route must not want TLS: that is the client's.
    ///
    /// # Errors
    /// [`Kind::Proxy`]: the proxy's protocol cannot say where it is to go. [`Kind::Connect`]: no certificate has such a name.
    pub fn begin(route: &Route) -> Result<Self, Error> {
        let mut channel = Channel::default();
        let opening = Opening::begin_any(route, &mut channel)?;
        Ok(Self { channel, opening })
    }

    /// Whether bytes may pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opening.is_none()
    }

    /// Whether the bytes on the socket are those of the tunnel.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.opening.is_none() && self.channel.is_plain() && !self.channel.has_outgoing()
    }

    /// How far the opening has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.opening.as_ref().map_or(Stage::Body, Opening::stage)
    }

    /// What is to be written to the socket.
    pub fn outgoing(&mut self) -> &[u8] {
        self.channel.outgoing()
    }

    /// So many bytes of it were written.
    pub fn wrote(&mut self, count: usize) {
        self.channel.transmitted(count);
    }

    /// Takes bytes that are to pass, as many as there is room for; how many that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        self.channel.write(bytes)
    }

    /// No more bytes are to pass in this direction.
    pub fn finish(&mut self) {
        self.channel.end_writing();
    }

    /// Takes what was read from the socket; what has passed is added to `out`. Whether nothing more will pass in this
    /// direction.
    ///
    /// # Errors
    /// The proxy refuses, or what it says makes no sense; or TLS with it has failed.
    pub fn received(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        let mut plain = Vec::new();
        let into = if self.opening.is_some() { &mut plain } else { &mut *out };
        let received = self.channel.receive::<Infallible>(bytes, &mut |piece| {
            into.extend_from_slice(piece);
            Ok(())
        });
        let Some(opening) = &mut self.opening else {
            return match received {
                Ok(state) => Ok(state == Received::Closed),
                Err(Fault::Tls(error)) => Err(Error::new(Kind::Read, Stage::Body, error.to_string()).with_sent(true)),
                Err(Fault::Sink(never)) => match never {},
            };
        };
        let stage = opening.stage();
        match received {
            Ok(state) => {
                if opening.advance(&mut self.channel, &plain)? {
                    out.append(&mut opening.take_early());
                    self.opening = None;
                    Ok(state == Received::Closed)
                } else if state == Received::Closed {
                    Err(opening.closed())
                } else {
                    Ok(false)
                }
            }
            Err(Fault::Tls(error)) => Err(opening.tls_fault(stage, &error)),
            Err(Fault::Sink(never)) => match never {},
        }
    }

    /// The error of a connection that the proxy has closed before the tunnel was open; `None` once it is.
    #[must_use]
    pub fn closed(&self) -> Option<Error> {
        self.opening.as_ref().map(Opening::closed)
    }
}
