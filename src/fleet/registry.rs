//! Identifies callers: the local addresses of the proxies' outgoing connections, which are the origin's peer addresses.
//!
//! A header would do for forwarded requests only; an address works inside TLS tunnels and behind SOCKS too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Which proxy owns which outgoing connection.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    peers: Mutex<HashMap<SocketAddr, usize>>,
}

/// An outgoing connection's entry. Dropped before the socket is closed, or the next owner of the port would lose its own.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    address: SocketAddr,
}

impl Registry {
    /// Notes a proxy's outgoing connection. To be called before anything is sent on it: the origin looks at the
    /// registry when the first request is there, so it cannot look too early.
    pub(crate) fn enter(self: &Arc<Self>, address: SocketAddr, proxy: usize) -> Entry {
        self.peers.lock().insert(address, proxy);
        Entry { registry: Arc::clone(self), address }
    }

    /// The proxy whose outgoing connection has this address.
    pub(crate) fn proxy_of(&self, address: SocketAddr) -> Option<usize> {
        self.peers.lock().get(&address).copied()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.peers.lock().remove(&self.address);
    }
}
