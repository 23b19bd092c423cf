//! What is said to a proxy before it passes bytes on, without I/O: the driver writes what it is given, reads, and feeds
//! what came in pieces of any size.
//!
//! ```
//! use proxywhirl::net::destination::Destination;
//! use proxywhirl::net::handshake::{Handshake, Progress};
//! use proxywhirl::net::protocol::Protocol;
//!
//! let to = Destination::new("shop.test", 443).unwrap();
//! let mut handshake = Handshake::new(Protocol::Http, to, None);
//! assert!(handshake.start().unwrap().starts_with(b"CONNECT shop.test:443 HTTP/1.1\r\n"));
//! assert_eq!(handshake.feed(b"HTTP/1.1 200 "), Progress::NeedMore(1));
//! assert_eq!(handshake.feed(b"OK\r\n\r\nhello"), Progress::Done { leftover: b"hello".to_vec() });
//! ```

use std::fmt;

use super::connect::{self, Connect};
use super::credentials::Credentials;
use super::destination::{BadName, Destination};
use super::protocol::Protocol;
use super::socks4::{self, Socks4};
use super::socks5::{self, Socks5};

/// The next step of a handshake.
#[derive(Clone, PartialEq, Eq)]
pub enum Progress {
    /// Read, and feed what came. At least so many bytes are missing; more may be. A driver that reads no more than that
    /// never reads into the tunnel.
    NeedMore(usize),
    /// Write this, then read.
    Write(Vec<u8>),
    /// The way is open. What was fed beyond the reply belongs to the tunnel.
    Done {
        /// Those bytes.
        leftover: Vec<u8>,
    },
    /// The proxy says no.
    Refused(Refusal),
    /// What the proxy says makes no sense.
    Malformed(Malformed),
}

impl Progress {
    /// The same for a tunnel in which the client speaks first, as in HTTP and TLS: bytes that came before it did are not
    /// the target's.
    #[must_use]
    pub fn client_speaks_first(self) -> Self {
        match self {
            Self::Done { leftover } if !leftover.is_empty() => Self::Malformed(Malformed::EarlyData),
            other => other,
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore(least) => f.debug_tuple("NeedMore").field(least).finish(),
            // A message may hold the login.
            Self::Write(bytes) => write!(f, "Write(<{} bytes>)", bytes.len()),
            Self::Done { leftover } => write!(f, "Done(<{} bytes left>)", leftover.len()),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
            Self::Malformed(malformed) => f.debug_tuple("Malformed").field(malformed).finish(),
        }
    }
}

/// How a proxy says no, or why it cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An answer to `CONNECT` outside of 2xx.
    Connect(connect::Reply),
    /// A reply of SOCKS4 other than "granted".
    Socks4(socks4::Reply),
    /// A reply of SOCKS5 other than "succeeded".
    Socks5(socks5::Reply),
    /// SOCKS5: the proxy takes none of the ways to log in that were offered.
    Method {
        /// Whether user name and password were among them.
        login_offered: bool,
    },
    /// SOCKS5: the proxy refused the user name or the password (RFC 1929).
    Login,
    /// The protocol has no way to say what is to be said.
    Inexpressible(Inexpressible),
}

/// What a protocol cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inexpressible {
    /// A name that no proxy can be asked for.
    Name,
    /// SOCKS4: an IPv6 address.
    Ipv6,
    /// SOCKS4: a user id with a zero byte, which ends it.
    UserId,
    /// SOCKS5: a user name that has not 1 to 255 bytes, or a longer password.
    Login,
}

/// What makes no sense in what a proxy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The answer to `CONNECT` is not HTTP.
    NotHttp,
    /// The answer to `CONNECT` has more bytes than [`connect::LONGEST_HEAD`] before its body.
    LongHead,
    /// More interim answers than [`connect::MOST_INTERIM`].
    ManyInterim,
    /// The reply is not one of SOCKS4.
    NotSocks4,
    /// The reply is not one of SOCKS5.
    NotSocks5,
    /// Bytes before they were asked for.
    EarlyData,
    /// Bytes after the handshake had ended: a fault of the driver.
    Ended,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reply) => reply.fmt(f),
            Self::Socks4(reply) => write!(f, "SOCKS4: {reply}"),
            Self::Socks5(reply) => write!(f, "SOCKS5: {reply}"),
            Self::Method { login_offered: false } => f.write_str("SOCKS5: the proxy wants credentials"),
            Self::Method { login_offered: true } => {
                f.write_str("SOCKS5: the proxy accepts neither our credentials' kind nor none")
            }
            Self::Login => f.write_str("SOCKS5: the proxy refused the user name or the password"),
            Self::Inexpressible(what) => what.fmt(f),
        }
    }
}

impl From<BadName> for Inexpressible {
    fn from(_: BadName) -> Self {
        Self::Name
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the target's name must have 1 to 255 printable ASCII characters to be sent to a proxy",
            Self::Ipv6 => "SOCKS4 cannot express an IPv6 address",
            Self::UserId => "a SOCKS4 user id cannot contain a zero byte",
            Self::Login => "SOCKS5: user name and password may have 255 bytes each",
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("the proxy's answer to CONNECT is not HTTP"),
            Self::LongHead => {
                write!(f, "the proxy's answer to CONNECT has more than {} bytes of headers", connect::LONGEST_HEAD)
            }
            Self::ManyInterim => {
                write!(f, "the proxy's answer to CONNECT comes after more than {} interim ones", connect::MOST_INTERIM)
            }
            Self::NotSocks4 => f.write_str("the proxy's answer is not SOCKS4"),
            Self::NotSocks5 => f.write_str("the proxy's answer is not SOCKS5"),
            Self::EarlyData => f.write_str("the proxy sent data of its own into the tunnel"),
            Self::Ended => f.write_str("the handshake with the proxy has ended"),
        }
    }
}

/// A handshake in the protocol of the proxy.
pub enum Handshake {
    /// `CONNECT`, over TCP or TLS.
    Connect(Connect),
    /// SOCKS4 and 4a.
    Socks4(Socks4),
    /// SOCKS5.
    Socks5(Socks5),
}

impl Handshake {
    /// Prepares a handshake.
    #[must_use]
    pub fn new(protocol: Protocol, to: Destination, login: Option<Credentials>) -> Self {
        match protocol {
            Protocol::Http | Protocol::Https => {
                let authorization = login.as_ref().map(|login| login.basic().into_bytes());
                Self::Connect(Connect::new(to, authorization))
            }
            Protocol::Socks4 => Self::Socks4(Socks4::new(to, login)),
            Protocol::Socks5 => Self::Socks5(Socks5::new(to, login)),
        }
    }

    /// What to write first.
    ///
    /// # Errors
    /// [`Inexpressible`]: the protocol cannot say it; nothing must be written.
    pub fn start(&mut self) -> Result<Vec<u8>, Inexpressible> {
        match self {
            Self::Connect(connect) => Ok(connect.start()),
            Self::Socks4(socks) => socks.start(),
            Self::Socks5(socks) => Ok(socks.start()),
        }
    }

    /// Takes what was read, and says what is next. At the end of the stream there is nothing to feed: a handshake that
    /// wants more has failed then.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        match self {
            Self::Connect(connect) => connect.feed(bytes),
            Self::Socks4(socks) => socks.feed(bytes),
            Self::Socks5(socks) => socks.feed(bytes),
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect(_) => "Handshake(CONNECT)",
            Self::Socks4(_) => "Handshake(SOCKS4)",
            Self::Socks5(_) => "Handshake(SOCKS5)",
        })
    }
}
