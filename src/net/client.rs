//! The HTTP clients that a proxy is handed to: the scheme by which each knows a protocol.
//!
//! A SOCKS proxy resolves names in every case, so that a site that only the proxy knows is found and no name leaves this
//! machine. Clients disagree on how to ask for that: for some it is `socks5h`, others know only `socks5` and mean the same.

use super::address::Protocol;

/// How a client spells a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its name, as of its package.
    pub name: &'static str,
    /// The scheme for each protocol, in the order of [`Protocol::ALL`]; `None`: it does not speak that.
    schemes: [Option<&'static str>; 4],
    /// Whether it takes a login in the URL.
    login: bool,
}

/// Why a proxy cannot be handed to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The client does not speak the protocol.
    Protocol(Protocol),
    /// The client cannot log in to the proxy.
    Login,
}

const fn client(name: &'static str, schemes: [Option<&'static str>; 4], login: bool) -> Client {
    Client { name, schemes, login }
}

const HTTP: Option<&str> = Some("http");
const HTTPS: Option<&str> = Some("https");
const LETTERED: [Option<&str>; 4] = [HTTP, HTTPS, Some("socks4a"), Some("socks5h")];
// python-socks resolves at the proxy by default, except for SOCKS4.
const PYTHON_SOCKS: [Option<&str>; 4] = [HTTP, None, Some("socks4"), Some("socks5")];
const WEB: [Option<&str>; 4] = [HTTP, HTTPS, None, Some("socks5")];

/// Every client, sorted by name.
pub const CLIENTS: [Client; 19] = [
    client("aiohttp", [HTTP, HTTPS, None, None], true),
    client("aiohttp_socks", PYTHON_SOCKS, true),
    client("curl", LETTERED, true),
    client("curl_cffi", LETTERED, true),
    client("httpcore", WEB, true),
    client("httpx", WEB, true),
    client("httpx2", WEB, true),
    client("httpx_socks", PYTHON_SOCKS, true),
    client("impit", LETTERED, true),
    client("niquests", LETTERED, true),
    client("primp", LETTERED, true),
    client("pyreqwest", LETTERED, true),
    client("python_socks", PYTHON_SOCKS, true),
    client("requests", LETTERED, true),
    client("scrapy", [HTTP, HTTPS, None, None], true),
    // Browsers take a server and no login.
    client("selenium", [HTTP, HTTPS, Some("socks4"), Some("socks5")], false),
    client("urllib", [HTTP, None, None, None], true),
    client("urllib3", LETTERED, true),
    client("wreq", LETTERED, true),
];

impl Client {
    /// The client of that name; case, and `-` for `_`, make no difference.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase().replace('-', "_");
        CLIENTS.iter().find(|client| client.name == name)
    }

    /// The protocols that it speaks.
    pub fn protocols(&self) -> impl Iterator<Item = Protocol> + '_ {
        Protocol::ALL.into_iter().filter(|protocol| self.schemes[*protocol as usize].is_some())
    }

    /// The scheme by which it knows a proxy of that protocol.
    ///
    /// # Errors
    /// [`Unfit`]: it cannot use this proxy.
    pub fn scheme_for(&self, protocol: Protocol, has_login: bool) -> Result<&'static str, Unfit> {
        let scheme = self.schemes[protocol as usize].ok_or(Unfit::Protocol(protocol))?;
        if has_login && !self.login { Err(Unfit::Login) } else { Ok(scheme) }
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIENTS, Client, Unfit};
    use crate::net::address::Protocol;

    #[test]
    fn names_are_sorted_and_found_in_any_spelling() {
        assert!(CLIENTS.is_sorted_by_key(|client| client.name));
        for name in ["curl_cffi", "curl-cffi", "CURL_CFFI"] {
            assert_eq!(Client::named(name).unwrap().name, "curl_cffi");
        }
        assert_eq!(Client::named("netscape"), None);
    }

    #[test]
    fn schemes_and_refusals() {
        let scheme = |name: &str, protocol, has_login| Client::named(name).unwrap().scheme_for(protocol, has_login);
        assert_eq!(scheme("requests", Protocol::Socks5, true), Ok("socks5h"));
        assert_eq!(scheme("httpx", Protocol::Socks5, true), Ok("socks5"));
        assert_eq!(scheme("aiohttp", Protocol::Socks5, true), Err(Unfit::Protocol(Protocol::Socks5)));
        assert_eq!(scheme("selenium", Protocol::Socks5, true), Err(Unfit::Login));
        assert_eq!(scheme("selenium", Protocol::Socks5, false), Ok("socks5"));
        assert_eq!(scheme("curl", Protocol::Socks4, false), Ok("socks4a"));
        let spoken: Vec<Protocol> = Client::named("urllib").unwrap().protocols().collect();
        assert_eq!(spoken, [Protocol::Http]);
    }
}
