//! Where a tunnel leads: the host and the port that a proxy is asked to connect to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Most bytes of a name: what the length byte of SOCKS5 can say, and what DNS allows (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 255;

/// The host of a tunnel. A name is resolved by the proxy, so that no lookup leaves this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address, sent as one.
    Address(IpAddr),
    /// A name of 1 to 255 printable ASCII characters.
    Name(Box<str>),
}

/// A name that no proxy can be asked for: empty, over 255 bytes, or with blanks, control or non-ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadName;

/// The host and the port of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// Reads a host: an address without brackets, or a name in ASCII.
    ///
    /// # Errors
    /// [`BadName`]: no proxy can be asked for it. A line break in a name would be a header of `CONNECT`, a zero byte the
    /// end of a SOCKS4 request.
    pub fn new(host: &str, port: u16) -> Result<Self, BadName> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self { host: Host::Address(address), port });
        }
        // A zone names a link of this machine.
        if let Some(address) = host.split_once('%').and_then(|(address, _)| address.parse::<Ipv6Addr>().ok()) {
            return Ok(Self { host: Host::Address(address.into()), port });
        }
        let is_sound = (1..=LONGEST_NAME).contains(&host.len()) && host.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sound { Ok(Self { host: Host::Name(host.into()), port }) } else { Err(BadName) }
    }
}

impl fmt::Display for Destination {
    /// `host:port`, an IPv6 address in brackets, as the target of `CONNECT` (RFC 9112, 3.2.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
