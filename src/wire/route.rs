//! The way of a request: to the site itself, by a proxy that forwards it, or through a tunnel; and which connections are
//! fit for it.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};

use crate::net::credentials::Credentials;
use crate::net::protocol::Protocol;
use crate::sync::Arc;

use super::tls::Profile;

/// A proxy, as connections know it. Two of them with the same fields are the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// The identity by which its connections are evicted.
    pub id: u128,
    /// How to speak to it.
    pub protocol: Protocol,
    /// Name or address, IPv6 without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// Its login.
    pub credentials: Option<Credentials>,
    /// Whether it must not be in a network that the Internet does not reach, wherever its name leads.
    pub public_only: bool,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}://{}:{})", self.protocol.as_str(), self.host, self.port)
    }
}

impl Proxy {
    /// Whether it is spoken to in HTTP, and so forwards requests.
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }
}

/// Scheme, host and port of a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether it is `https`.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// How a request gets from here to its site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// Without a proxy.
    Direct,
    /// The proxy reads the request, and sends it on.
    Forward,
    /// The proxy passes bytes on.
    Tunnel,
}

/// What a connection is dialled with, and what it may be used for.
#[derive(Clone)]
pub struct Route {
    way: Way,
    proxy: Option<Arc<Proxy>>,
    origin: Origin,
    authorization: Option<Box<[u8]>>,
    /// Settings of TLS with the site, and with the proxy.
    target_tls: Arc<Profile>,
    proxy_tls: Arc<Profile>,
    identity: Identity,
}

/// What two requests must have in common to use one connection: proxy, login, TLS settings and owner; and the origin,
/// where the connection leads to it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    party: Party,
    profiles: (u64, u64),
    way: Way,
    origin: Option<Origin>,
}

impl Hash for Inner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A proxy by its number: two of one number, as before and after a change, are told apart by the comparison.
        self.party.proxy.as_ref().map(|proxy| proxy.id).hash(state);
        self.party.owner.hash(state);
        self.origin.hash(state);
    }
}

/// A proxy, and the session that has its connections to itself.
pub type Whose = (Option<u128>, Option<u64>);

/// Whose connections they are. What links requests, as a TLS ticket does, is never shared by two of these.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Party {
    pub(super) proxy: Option<Arc<Proxy>>,
    /// The `Proxy-Authorization` that a proxy without a login of its own gets when a tunnel is opened.
    pub(super) authorization: Option<Box<[u8]>>,
    pub(super) owner: Option<u64>,
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Party({:?}, owner {:?})", self.proxy, self.owner)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?}, {:?}, {:?})", self.0.way, self.0.party, self.0.origin)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({:?}, {:?}, {:?})", self.way, self.proxy, self.origin)
    }
}

/// What a route is made of.
#[derive(Clone)]
pub struct RouteOptions {
    /// The proxy; `None` for none.
    pub proxy: Option<Arc<Proxy>>,
    /// The site.
    pub origin: Origin,
    /// A ready `Proxy-Authorization`, for an HTTP proxy without a login of its own.
    pub authorization: Option<Box<[u8]>>,
    /// The session that has its connections to itself.
    pub owner: Option<u64>,
    /// Settings of TLS with the site.
    pub target_tls: Arc<Profile>,
    /// Settings of TLS with the proxy.
    pub proxy_tls: Arc<Profile>,
    /// Whether an HTTP proxy opens tunnels to plain sites, too.
    pub always_tunnel: bool,
    /// Whether a connection to a forwarding proxy serves one origin only: some proxies pin it to an upstream.
    pub by_origin: bool,
}

impl RouteOptions {
    /// The usual route: shared by all requests, forwarded where it can be.
    #[must_use]
    pub fn new(proxy: Option<Arc<Proxy>>, origin: Origin, tls: Arc<Profile>) -> Self {
        Self {
            proxy,
            origin,
            authorization: None,
            owner: None,
            target_tls: Arc::clone(&tls),
            proxy_tls: tls,
            always_tunnel: false,
            by_origin: false,
        }
    }
}

impl Route {
    /// Makes a route.
    #[must_use]
    pub fn new(options: RouteOptions) -> Self {
        let RouteOptions { proxy, origin, authorization, owner, target_tls, proxy_tls, always_tunnel, by_origin } =
            options;
        let way = match &proxy {
            None => Way::Direct,
            Some(proxy) if proxy.is_http() && !origin.tls && !always_tunnel => Way::Forward,
            Some(_) => Way::Tunnel,
        };
        let own = |proxy: &Arc<Proxy>| proxy.is_http() && proxy.credentials.is_none();
        let authorization = authorization.filter(|_| proxy.as_ref().is_some_and(own));
        let speaks_tls = proxy.as_ref().is_some_and(|proxy| proxy.protocol == Protocol::Https);
        let party = Party {
            proxy: proxy.clone(),
            // A forwarded request carries it itself.
            authorization: authorization.clone().filter(|_| way == Way::Tunnel),
            owner,
        };
        let identity = Identity(Arc::new(Inner {
            party,
            profiles: (if origin.tls { target_tls.id() } else { 0 }, if speaks_tls { proxy_tls.id() } else { 0 }),
            way,
            origin: (way != Way::Forward || by_origin).then(|| origin.clone()),
        }));
        Self { way, proxy, origin, authorization, target_tls, proxy_tls, identity }
    }

    /// How a request gets to its site.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// The proxy, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    /// The site.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Which connections are fit.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The value of `Proxy-Authorization`: of a forwarded request's own head, or of `CONNECT`.
    #[must_use]
    pub fn authorization(&self) -> Option<Vec<u8>> {
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.is_http())?;
        match &proxy.credentials {
            Some(login) => Some(login.basic().into_bytes()),
            None => self.authorization.as_ref().map(|value| value.to_vec()),
        }
    }

    /// What goes before the target of a forwarded request (RFC 9112, 3.2.2).
    pub(super) fn onward(&self) -> String {
        let Origin { tls, host, port } = &self.origin;
        let (scheme, default) = if *tls { ("https", 443) } else { ("http", 80) };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        let mut onward = String::with_capacity(host.len() + 16);
        for part in [scheme, "://", open, host, close] {
            onward.push_str(part);
        }
        if *port != default {
            let _ = write!(onward, ":{port}");
        }
        onward
    }

    /// Where the connection is opened to.
    #[must_use]
    pub fn first_hop(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.origin.host, self.origin.port),
        }
    }

    /// Whether the connection must lead to a public address.
    #[must_use]
    pub fn is_public_only(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.public_only)
    }

    pub(super) fn target_tls(&self) -> &Profile {
        &self.target_tls
    }

    pub(super) fn proxy_tls(&self) -> &Profile {
        &self.proxy_tls
    }
}

impl Identity {
    /// The proxy's identity; `None` without one.
    #[must_use]
    pub fn proxy_id(&self) -> Option<u128> {
        self.0.party.proxy.as_ref().map(|proxy| proxy.id)
    }

    /// Whose connections are counted together.
    #[must_use]
    pub fn whose(&self) -> Whose {
        (self.proxy_id(), self.owner())
    }

    /// The session that has the connections to itself.
    #[must_use]
    pub fn owner(&self) -> Option<u64> {
        self.0.party.owner
    }

    pub(super) fn party(&self) -> &Party {
        &self.0.party
    }
}
