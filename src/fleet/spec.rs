//! What a fleet is made of: which proxies, which names, how many threads.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use super::behaviour::Behaviour;
use super::error::SpecError;

/// The protocol a proxy speaks to its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP: forwarded requests and CONNECT on one port.
    #[default]
    Http,
    /// HTTP inside TLS.
    Https,
    /// SOCKS 4 and 4a on one port.
    Socks4,
    /// SOCKS 5.
    Socks5,
}

impl Scheme {
    /// The scheme of a proxy's URL. `socks4a` and `socks5h` are the same servers by another name: the client decides
    /// which side resolves host names.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "socks4" | "socks4a" => Some(Self::Socks4),
            "socks5" | "socks5h" => Some(Self::Socks5),
            _ => None,
        }
    }
}

/// A login. Shows its user, never its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password. SOCKS 4 has none and does not look at it.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &"***").field("password", &"***").finish()
    }
}

/// One proxy of a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxySpec {
    /// What `/whoami` calls it; empty: `proxy-` and its index.
    pub name: String,
    /// Protocol of the proxy.
    pub scheme: Scheme,
    /// The login it demands, if any.
    pub login: Option<Login>,
    /// Address of the listener, on loopback; `None`: on any free port.
    pub address: Option<SocketAddr>,
    /// How it behaves.
    pub behaviour: Behaviour,
}

impl ProxySpec {
    /// The name of the proxy at this index of a fleet.
    pub(crate) fn name_at(&self, index: usize) -> Cow<'_, str> {
        if self.name.is_empty() { format!("proxy-{index}").into() } else { self.name.as_str().into() }
    }

    /// Says which field holds nonsense.
    ///
    /// # Errors
    /// The first field whose value cannot be had.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.name.chars().any(char::is_control) {
            return Err(SpecError::new("name", "control characters are not allowed"));
        }
        if let Some(login) = &self.login {
            if login.user.is_empty() {
                return Err(SpecError::new("auth", "the user name is empty"));
            }
            // RFC 1929 has one length byte for each; a colon would end the user name of RFC 7617 early.
            if login.user.len() > 255 || login.password.len() > 255 {
                return Err(SpecError::new("auth", "user name and password have at most 255 bytes each"));
            }
            if login.user.contains([':', '\0']) || login.password.contains('\0') {
                return Err(SpecError::new("auth", "a colon in the user name or a NUL cannot be sent"));
            }
        }
        if self.address.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(SpecError::new("address", "a fleet listens on loopback only"));
        }
        self.behaviour.check()
    }
}

/// A whole fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSpec {
    /// The proxies of the fleet, in order.
    pub proxies: Vec<ProxySpec>,
    /// What all randomness follows from.
    pub seed: u64,
    /// How many threads serve.
    pub workers: usize,
    /// Whether proxies and origin listen on `[::1]` (the origin: also on it).
    pub ipv6: bool,
    /// Host names that lead to the origin beside `*.test`.
    pub hosts: Vec<String>,
}

/// More threads than this are a mistake.
const WORKERS_MAX: usize = 256;
/// Each proxy holds a port, a listener and a place-holder: more than this is a mistake.
const PROXIES_MAX: usize = 10_000;

impl Default for FleetSpec {
    fn default() -> Self {
        Self { proxies: vec![ProxySpec::default(); 4], seed: 0, workers: 1, ipv6: false, hosts: Vec::new() }
    }
}

impl FleetSpec {
    /// Says which field holds nonsense.
    ///
    /// # Errors
    /// The first field, of the fleet or of a proxy, whose value cannot be had.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.workers == 0 || self.workers > WORKERS_MAX {
            return Err(SpecError::new("workers", format!("{} is not between 1 and {WORKERS_MAX}", self.workers)));
        }
        if self.proxies.len() > PROXIES_MAX {
            return Err(SpecError::new("proxies", format!("{} are more than {PROXIES_MAX}", self.proxies.len())));
        }
        for host in &self.hosts {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
                return Err(SpecError::new("hosts", format!("{host:?} is not a host name")));
            }
        }
        let mut names = HashSet::new();
        for (index, proxy) in self.proxies.iter().enumerate() {
            proxy.check()?;
            if !names.insert(proxy.name_at(index)) {
                return Err(SpecError::new("name", format!("two proxies are called {:?}", proxy.name_at(index))));
            }
        }
        Ok(())
    }
}
