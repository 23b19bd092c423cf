//! Which texts are secret, and what an encrypted one is bound to.
//!
//! An encrypted text is in a file that others may write to. Bound to its proxy and its field, it is worth nothing
//! in the record of another proxy: an attacker without the key cannot have a password sent elsewhere.

use ahash::{AHashMap, AHashSet};

use super::record::SavedProxy;
use crate::net::address::{Address, Protocol};
use crate::proxy::{Id, Proxy};

/// A secret text of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Secret {
    /// The user name.
    Username,
    /// The password.
    Password,
    /// The address of the list that the proxy is from, which may hold a key.
    SourceUrl,
}

impl Secret {
    /// The name of its field in a record.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Password => "password",
            Self::SourceUrl => "source_url",
        }
    }
}

/// What an encrypted text is bound to, as one text: the field, and of the proxy its id, the address in its record and
/// its protocol. Equal for no two places.
#[must_use]
pub fn binding(field: &str, id: &str, url: &str, protocol: &str) -> String {
    serde_json::Value::from(vec![field, id, url, protocol]).to_string()
}

/// The protocol that a record's address and its `protocol` say; empty if neither is readable.
#[must_use]
pub fn protocol_said(url: &str, said: Option<&str>) -> &'static str {
    let of_url = || Address::parse(url).ok().map(|address| address.protocol);
    said.map_or_else(of_url, Protocol::parse).map_or("", Protocol::as_str)
}

/// The binding of a field of a proxy.
#[must_use]
pub fn binding_of(field: &str, proxy: &Proxy) -> String {
    binding(field, &proxy.id().to_string(), &written_url(proxy).0, proxy.protocol().as_str())
}

/// The address of a proxy as it is written, without credentials, and whether there were any in it.
pub(super) fn written_url(proxy: &Proxy) -> (String, bool) {
    let full = proxy.url();
    if full.contains('@') { (without_secrets(&full), true) } else { (full, false) }
}

/// Addresses of providers hold keys where others hold nothing: in a query, or before the host.
pub(super) fn is_secret(url: &str) -> bool {
    url.contains(['?', '@'])
}

pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        (None, Some(at)) => url[at + 1..].to_owned(),
        _ => url.to_owned(),
    }
}

impl SavedProxy {
    /// The binding of one of its fields.
    #[must_use]
    pub fn binding(&self, field: &str, address: &Address) -> String {
        let protocol = self.protocol.as_deref().and_then(Protocol::parse).unwrap_or(address.protocol);
        binding(field, self.id.as_deref().unwrap_or(""), self.url.as_deref().unwrap_or(""), protocol.as_str())
    }
}

/// A secret text that is not encrypted yet.
#[derive(Debug, Clone)]
pub struct Unsealed {
    id: Id,
    secret: Secret,
    url: Box<str>,
    protocol: Protocol,
    /// The text.
    pub text: Box<str>,
}

impl Unsealed {
    /// The field and proxy that the text must be bound to.
    #[must_use]
    pub fn binding(&self) -> String {
        binding(self.secret.field(), &self.id.to_string(), &self.url, self.protocol.as_str())
    }
}

#[derive(Debug)]
struct Seal {
    url: Box<str>,
    protocol: Protocol,
    text: Box<str>,
    sealed: Box<str>,
}

/// The encrypted texts of the secrets of proxies in a file; kept between saves, so that what has not changed is not
/// encrypted again.
#[derive(Debug, Default)]
pub struct Seals(AHashMap<(Id, Secret), Seal>);

impl Seals {
    /// The encrypted text of a secret; `None` if it, or what it is bound to, has changed.
    pub(super) fn get(&self, id: Id, secret: Secret, url: &str, protocol: Protocol, text: &str) -> Option<&str> {
        let seal = self.0.get(&(id, secret))?;
        (&*seal.text == text && &*seal.url == url && seal.protocol == protocol).then_some(&*seal.sealed)
    }

    /// Sets the encrypted text of a secret.
    pub fn put(&mut self, secret: Unsealed, sealed: String) {
        let Unsealed { id, secret, url, protocol, text } = secret;
        self.0.insert((id, secret), Seal { url, protocol, text, sealed: sealed.into() });
    }

    /// The secrets of proxies without an encrypted text yet. Those of proxies long gone are dropped.
    pub fn missing<'a>(&mut self, proxies: impl Iterator<Item = &'a Proxy>) -> Vec<Unsealed> {
        let mut seen: AHashSet<Id> = AHashSet::new();
        let mut found = Vec::new();
        for proxy in proxies {
            let (id, protocol) = (proxy.id(), proxy.protocol());
            let secrets = proxy.cold(|cold| {
                let login = cold.credentials.as_ref();
                [
                    (Secret::Username, login.map(|login| login.username.clone())),
                    (Secret::Password, login.map(|login| login.password.clone())),
                    (Secret::SourceUrl, cold.source_url.clone().filter(|url| is_secret(url))),
                ]
            });
            if secrets.iter().all(|(_, text)| text.is_none()) {
                continue;
            }
            seen.insert(id);
            let url = written_url(proxy).0;
            for (secret, text) in secrets {
                if let Some(text) = text.filter(|text| self.get(id, secret, &url, protocol, text).is_none()) {
                    found.push(Unsealed { id, secret, url: url.as_str().into(), protocol, text });
                }
            }
        }
        if self.0.len() > 6 * seen.len() + 1024 {
            self.0.retain(|(id, _), _| seen.contains(id));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_of_two_places_differ() {
        let all = [
            binding("password", "1", "http://a.test:1", "http"),
            binding("username", "1", "http://a.test:1", "http"),
            binding("password", "2", "http://a.test:1", "http"),
            binding("password", "1", "http://b.test:1", "http"),
            binding("password", "1", "http://a.test:1", "https"),
            binding("password", "1\",\"http://a.test:1", "", "http"),
        ];
        let distinct: AHashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
