//! Where a proxy is, and what makes two of them the same.

use crate::net::address::{Address, Credentials, Protocol, escape};
use crate::net::client::{Client, Unfit};
use crate::net::redact::MASKED_LOGIN;
use crate::proxy::health::mark;
use crate::proxy::{Inner, Proxy};

impl Proxy {
    /// How it is spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.inner.lock().protocol
    }

    /// `host[:port]`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.inner.lock().authority.to_string()
    }

    /// The address, with credentials.
    #[must_use]
    pub fn address(&self) -> Address {
        let (protocol, authority, credentials) = {
            let inner = self.inner.lock();
            let login = inner.cold.as_ref().and_then(|cold| cold.credentials.clone());
            (inner.protocol, inner.authority.clone(), login)
        };
        let bare = format!("{}://{authority}", protocol.as_str());
        let (host, port) = match Address::parse(&bare) {
            Ok(address) => (address.host, address.port),
            // What is stored was checked when it came in.
            Err(_) => (authority.as_str().into(), None),
        };
        Address { protocol, host, port, credentials }
    }

    /// Moves it to another address; `raw` is the text to show as its URL.
    pub fn set_address(&self, address: &Address, raw: Option<Box<str>>) {
        let observers = self.observers();
        {
            let mut inner = self.inner.lock();
            inner.protocol = address.protocol;
            inner.authority = address.authority();
            if raw.is_some() || address.credentials.is_some() || inner.cold.is_some() {
                let cold = inner.cold.get_or_insert_default();
                cold.raw_url = raw;
                if address.credentials.is_some() {
                    cold.credentials.clone_from(&address.credentials);
                }
            }
        }
        let id = self.id();
        for pool in observers {
            pool.rekey(self, id);
        }
    }

    /// The URL as given.
    #[must_use]
    pub fn url(&self) -> String {
        let inner = self.inner.lock();
        match inner.cold.as_ref().and_then(|cold| cold.raw_url.as_deref()) {
            Some(raw) => raw.to_owned(),
            None => format!("{}://{}", inner.protocol.as_str(), inner.authority),
        }
    }

    /// The scheme of its URL: `socks5h` and `socks4a` where it was written so, else the protocol's own.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        let inner = self.inner.lock();
        let raw = inner.cold.as_ref().and_then(|cold| cold.raw_url.as_deref());
        raw.map_or(inner.protocol.as_str(), |raw| inner.protocol.scheme_of(raw))
    }

    /// The URL to hand to an HTTP client: from the parts, credentials percent-encoded, the scheme as it was written.
    #[must_use]
    pub fn client_url(&self) -> String {
        self.url_with(self.scheme())
    }

    /// Whether that is what it is, which is found out without writing it, but for a login.
    #[must_use]
    pub fn is_client_url(&self, url: &str) -> bool {
        let bare = |inner: &Inner| {
            let raw = inner.cold.as_ref().and_then(|cold| cold.raw_url.as_deref());
            let scheme = raw.map_or(inner.protocol.as_str(), |raw| inner.protocol.scheme_of(raw));
            let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
            rest == Some(inner.authority.as_str())
        };
        {
            let inner = self.inner.lock();
            if inner.cold.as_ref().is_none_or(|cold| cold.credentials.is_none()) {
                return bare(&inner);
            }
        }
        self.client_url() == url
    }

    /// The same with a scheme that the client knows.
    #[must_use]
    pub fn url_with(&self, scheme: &str) -> String {
        let inner = self.inner.lock();
        match inner.cold.as_ref().and_then(|cold| cold.credentials.as_ref()) {
            None => format!("{scheme}://{}", inner.authority),
            Some(login) => {
                format!("{scheme}://{}:{}@{}", escape(&login.username), escape(&login.password), inner.authority)
            }
        }
    }

    /// The URL to hand to a client of another package, with the scheme by which it knows the protocol.
    ///
    /// # Errors
    /// [`Unfit`]: the client cannot use this proxy.
    pub fn url_for(&self, client: &Client) -> Result<String, Unfit> {
        let scheme = client.scheme_for(self.protocol(), self.credentials().is_some())?;
        Ok(self.url_with(scheme))
    }

    /// The URL with credentials masked.
    #[must_use]
    pub fn masked_url(&self) -> String {
        let inner = self.inner.lock();
        let login = inner.cold.as_ref().is_some_and(|cold| cold.credentials.is_some());
        let mask = if login { MASKED_LOGIN } else { "" };
        format!("{}://{mask}{}", inner.protocol.as_str(), inner.authority)
    }

    /// What makes it the same as another.
    pub(crate) fn with_key<R>(&self, read: impl FnOnce(Key<'_>) -> R) -> R {
        let inner = self.inner.lock();
        let authority = inner.authority.as_str();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (authority, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let login = inner.cold.as_ref().and_then(|cold| cold.credentials.as_ref());
        read(Key {
            protocol: inner.protocol,
            host,
            port: port.unwrap_or(inner.protocol.default_port()),
            credentials: login.map(|login| (&*login.username, &*login.password)),
        })
    }

    /// What to log in with.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.cold(|cold| cold.credentials.clone())
    }

    /// Sets what to log in with.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        let observers = self.observers();
        self.set_cold(|cold| cold.credentials = credentials);
        // A proxy at rest for want of credentials may try these.
        self.change(|state| if state.has(mark::LOGIN) { state.on_trial() } else { state });
        let id = self.id();
        for pool in observers {
            pool.rekey(self, id);
        }
    }

    /// Logs in with these credentials, in one step; whether it had others.
    pub fn log_in(&self, login: &Credentials) -> bool {
        let is_new = self
            .credentials()
            .is_none_or(|before| before.username != login.username || before.password != login.password);
        if is_new {
            self.set_credentials(Some(login.clone()));
        }
        is_new
    }
}

/// What makes two proxies the same: protocol, host, port as dialled, and what is logged in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a> {
    protocol: Protocol,
    host: &'a str,
    port: u16,
    credentials: Option<(&'a str, &'a str)>,
}

impl<'a> Key<'a> {
    pub(crate) fn of(address: &'a Address) -> Self {
        let login = address.credentials.as_ref();
        Self {
            protocol: address.protocol,
            host: &address.host,
            port: address.effective_port(),
            credentials: login.map(|login| (&*login.username, &*login.password)),
        }
    }

    /// The same without credentials.
    pub(crate) fn bare(self) -> Self {
        Self { credentials: None, ..self }
    }

    pub(crate) fn hash(&self) -> u32 {
        use std::hash::{Hash, Hasher};
        let mut hasher = crate::random::hasher();
        Hash::hash(self, &mut hasher);
        hasher.finish() as u32
    }
}
