//! What applies at which site: by the longest domain that the host of the target equals or ends with.

use ahash::AHashMap;
use compact_str::CompactString;

use crate::net::site_key::{host_of, one_spelling_of_host};

/// Something for each of some sites, and one for all others.
#[derive(Debug)]
pub struct BySite<T> {
    general: T,
    sites: AHashMap<CompactString, T>,
}

/// A text that names no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDomain;

impl<T> BySite<T> {
    /// The same at every site.
    #[must_use]
    pub fn new(general: T) -> Self {
        Self { general, sites: AHashMap::new() }
    }

    /// Sets what applies at a site and below it, wholly in the place of what is general. `*.` and dots around it are ignored; a
    /// URL means its host.
    ///
    /// # Errors
    /// [`NoDomain`]: there is no host in it.
    pub fn insert(&mut self, site: &str, value: T) -> Result<(), NoDomain> {
        self.sites.insert(domain_of(site).ok_or(NoDomain)?, value);
        Ok(())
    }

    /// What applies where nothing else does.
    #[must_use]
    pub fn general(&self) -> &T {
        &self.general
    }

    /// Whether the same applies everywhere.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.sites.is_empty()
    }

    /// Everything that applies somewhere.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.general).chain(self.sites.values())
    }

    /// What applies at a host.
    #[must_use]
    pub fn for_host(&self, host: &str) -> &T {
        if self.is_uniform() {
            return &self.general;
        }
        let host = one_spelling_of_host(host.trim_matches(['[', ']']));
        let mut rest = &*host;
        loop {
            if let Some(found) = self.sites.get(rest) {
                return found;
            }
            match rest.split_once('.') {
                Some((_, parent)) if !rest.contains(':') => rest = parent,
                _ => return &self.general,
            }
        }
    }

    /// What applies to a URL; `None` is a target that is not known.
    #[must_use]
    pub fn for_url(&self, url: Option<&str>) -> &T {
        if self.is_uniform() {
            return &self.general;
        }
        url.and_then(host_of).map_or(&self.general, |host| self.for_host(host))
    }
}

fn domain_of(site: &str) -> Option<CompactString> {
    let text = site.trim();
    let host = if text.contains("://") || text.starts_with('[') { host_of(text)? } else { text };
    let host = host.strip_prefix("*.").unwrap_or(host).trim_matches(['[', ']', '.']);
    if host.contains(['/', '@', '?', '#']) || host.contains(char::is_whitespace) {
        return None;
    }
    // Rules are for a site, whatever its ports.
    let has_port = host.contains(':') && host.split('%').next()?.parse::<std::net::Ipv6Addr>().is_err();
    let host = if has_port { host_of(host)? } else { host };
    (!host.is_empty()).then(|| one_spelling_of_host(host).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> BySite<&'static str> {
        let mut table = BySite::new("general");
        for (site, value) in [
            ("*.Shop.test", "shop"),
            ("deep.shop.test", "deep"),
            ("https://other.test/x", "other"),
            ("m\u{fc}nchen.test", "city"),
            ("[::1]", "here"),
            ("[fe80::1%eth0]:8080", "link"),
            (".dotted.test.", "dotted"),
            ("ported.test:8080", "ported"),
            ("10.0.0.1", "address"),
        ] {
            table.insert(site, value).unwrap();
        }
        table
    }

    #[test]
    fn the_longest_domain_applies() {
        let table = table();
        for (host, value) in [
            ("shop.test", "shop"),
            ("www.SHOP.test.", "shop"),
            ("deep.shop.test", "deep"),
            ("a.deep.shop.test", "deep"),
            ("myshop.test", "general"),
            ("test", "general"),
            ("xn--mnchen-3ya.test", "city"),
            ("www.m\u{fc}nchen.test", "city"),
            ("::1", "here"),
            ("0:0:0:0:0:0:0:1", "here"),
            ("[::1]", "here"),
            ("fe80::1", "link"),
            ("[fe80::1%eth1]", "link"),
            ("a.dotted.test", "dotted"),
            ("ported.test", "ported"),
            ("10.0.0.1", "address"),
            ("0.0.0.1", "general"),
            ("", "general"),
        ] {
            assert_eq!(*table.for_host(host), value, "{host}");
        }
        assert_eq!(*table.for_url(Some("http://u:p@other.test:81/y")), "other");
        assert_eq!(*table.for_url(Some("http://[::1]:81/y")), "here");
        assert_eq!(*table.for_url(Some("http:///y")), "general");
        assert_eq!(*table.for_url(None), "general");
        assert!(!table.is_uniform());
        assert_eq!(*BySite::new(1).for_host("shop.test"), 1);
    }

    #[test]
    fn what_is_no_domain() {
        for site in ["", " ", "a/b", "a b", "a\tb", "http://", "*.", ".", "u@h", "[]", ":80"] {
            assert_eq!(BySite::new(()).insert(site, ()), Err(NoDomain), "{site:?}");
        }
    }
}
