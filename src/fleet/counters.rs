//! What was counted: plain atomics, read at any time. Relaxed everywhere: each number is independent of the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::fault::COUNTED;

/// A number that many add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts one more for as long as the guard lives.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }
}

/// One counted thing that ends when this is dropped.
pub(crate) struct Held<'a>(&'a Count);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// The counters of one proxy.
#[derive(Debug, Default)]
pub(crate) struct ProxyCounters {
    pub(crate) connections: Count,
    pub(crate) active: Count,
    pub(crate) requests: Count,
    pub(crate) tunnels: Count,
    pub(crate) socks_handshakes: Count,
    pub(crate) auth_failures: Count,
    pub(crate) blocked: Count,
    pub(crate) bad_requests: Count,
    pub(crate) bytes_up: Count,
    pub(crate) bytes_down: Count,
    pub(crate) faults: [Count; COUNTED.len()],
}

/// What one proxy had counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub active_connections: u64,
    /// HTTP requests that got past the login: forwarded ones and CONNECTs, those that met a fault included.
    pub requests: u64,
    /// Tunnels opened, by CONNECT or by SOCKS.
    pub tunnels: u64,
    /// SOCKS requests that got past the login, those that met a fault included.
    pub socks_handshakes: u64,
    /// Logins missing or wrong.
    pub auth_failures: u64,
    /// Destinations refused, being neither on loopback nor a name that leads to the origin.
    pub blocked: u64,
    /// What was neither HTTP nor SOCKS, or not to be understood.
    pub bad_requests: u64,
    /// Bytes from clients towards destinations: bodies and heads as sent on.
    pub bytes_up: u64,
    /// Bytes from destinations towards clients.
    pub bytes_down: u64,
    /// Faults injected, by name; those that never happened are left out.
    pub faults: Vec<(&'static str, u64)>,
}

impl ProxyCounters {
    pub(crate) fn read(&self) -> ProxyCounts {
        ProxyCounts {
            connections: self.connections.get(),
            active_connections: self.active.get(),
            requests: self.requests.get(),
            tunnels: self.tunnels.get(),
            socks_handshakes: self.socks_handshakes.get(),
            auth_failures: self.auth_failures.get(),
            blocked: self.blocked.get(),
            bad_requests: self.bad_requests.get(),
            bytes_up: self.bytes_up.get(),
            bytes_down: self.bytes_down.get(),
            faults: COUNTED
                .iter()
                .zip(&self.faults)
                .map(|(name, count)| (*name, count.get()))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// The counters of the origin.
#[derive(Debug)]
pub(crate) struct OriginCounters {
    pub(crate) connections: Count,
    pub(crate) active: Count,
    pub(crate) tls_handshakes: Count,
    pub(crate) requests: Count,
    direct: Count,
    by_proxy: Vec<Count>,
    by_site: Mutex<HashMap<String, u64>>,
}

/// What the origin had counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub active_connections: u64,
    /// TLS handshakes completed.
    pub tls_handshakes: u64,
    /// Requests read.
    pub requests: u64,
    /// Of these, the ones that came through no proxy of the fleet.
    pub direct: u64,
    /// Of these, the ones of each proxy, by index.
    pub by_proxy: Vec<u64>,
    /// Of these, the ones for each site, by host name. Above 4096 sites the others share the empty name.
    pub by_site: Vec<(String, u64)>,
}

/// A table of sites that a test could not read anyway.
const SITES_MAX: usize = 4096;

impl OriginCounters {
    pub(crate) fn new(proxies: usize) -> Self {
        Self {
            connections: Count::default(),
            active: Count::default(),
            tls_handshakes: Count::default(),
            requests: Count::default(),
            direct: Count::default(),
            by_proxy: (0..proxies).map(|_| Count::default()).collect(),
            by_site: Mutex::default(),
        }
    }

    /// Counts one request to a site, through a proxy or not.
    pub(crate) fn request(&self, proxy: Option<usize>, site: &str) {
        self.requests.add(1);
        match proxy.and_then(|index| self.by_proxy.get(index)) {
            Some(count) => count.add(1),
            None => self.direct.add(1),
        }
        let mut sites = self.by_site.lock();
        if let Some(count) = sites.get_mut(site) {
            *count += 1;
        } else {
            let name = if sites.len() < SITES_MAX { site } else { "" };
            *sites.entry(name.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn read(&self) -> OriginCounts {
        let mut by_site: Vec<_> = self.by_site.lock().iter().map(|(site, count)| (site.clone(), *count)).collect();
        by_site.sort_unstable();
        OriginCounts {
            connections: self.connections.get(),
            active_connections: self.active.get(),
            tls_handshakes: self.tls_handshakes.get(),
            requests: self.requests.get(),
            direct: self.direct.get(),
            by_proxy: self.by_proxy.iter().map(Count::get).collect(),
            by_site,
        }
    }
}
