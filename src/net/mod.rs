//! Addresses and the languages that proxies speak: no I/O, no state of a proxy, nothing of pools or lists.
//!
//! [`address`] reads a proxy's address and [`site_key`] the site of a URL; [`client`] says how other HTTP clients write
//! an address; [`target`] takes the URL of a page apart; [`tls`] says which certificates are accepted.

pub mod address;
pub mod client;
mod columns;
pub mod credentials;
pub mod excerpt;
pub(crate) mod host;
pub mod locality;
pub mod protocol;
pub mod site_key;
#[cfg(feature = "check")]
pub mod target;
#[cfg(feature = "check")]
pub mod tls;
