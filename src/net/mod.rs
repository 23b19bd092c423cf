//! Addresses and the languages that proxies speak: no I/O, no state of a proxy, nothing of pools or lists.
//!
//! [`address`] reads a proxy's address and [`site_key`] the site of a URL; [`client`] says how other HTTP clients write
//! an address; [`target`] takes the URL of a page apart; [`tls`] says which certificates are accepted. [`handshake`] opens
//! a way through a proxy ([`connect`], [`socks4`], [`socks5`]), [`http1`] writes and reads heads. [`redact`] shows what
//! could not be read without what may be secret in it.

pub mod address;
pub mod client;
mod columns;
pub mod connect;
pub mod credentials;
pub mod destination;
pub mod handshake;
pub(crate) mod host;
pub mod http1;
pub mod locality;
pub mod protocol;
pub mod redact;
pub mod site_key;
pub mod socks4;
pub mod socks5;
#[cfg(feature = "check")]
pub mod target;
#[cfg(feature = "wire")]
pub mod tls;

/// Bytes as Latin-1 reads them: a character each.
pub(crate) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
