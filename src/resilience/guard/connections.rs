//! Connections in use, which are counted for the requests that hold one.

use super::{Denied, OutlierDetector, TROUBLE, limit};
use crate::proxy::Proxy;
use crate::proxy::health::reason;
use crate::proxy::liveness::Liveness;
use crate::proxy::liveness::capacity::{self, Bound};
use crate::sync::{Arc, Ordering};

impl OutlierDetector {
    /// Takes a connection, if there is one left. The request that takes the last one makes the proxy ineligible.
    pub(super) fn connect(&self, proxy: &Proxy) -> Result<(), Denied> {
        let record = self.record_of(proxy);
        let in_use = record.connect();
        let most = self.connection_limits.most();
        if in_use < most {
            return Ok(());
        }
        record.note_limit_reached();
        capacity::mark_full(proxy, Bound::Connections, || self.has_no_connection(proxy));
        if in_use > most {
            self.disconnect(proxy);
            return Err(Denied);
        }
        Ok(())
    }

    /// Gives a connection back.
    pub(super) fn disconnect(&self, proxy: &Proxy) {
        let had_reached_limit = proxy.liveness().is_some_and(Liveness::disconnect);
        if had_reached_limit && proxy.newest_state().has(reason::NO_CONNECTION) {
            capacity::recheck(proxy, Bound::Connections);
        }
    }

    pub(super) fn has_no_connection(&self, proxy: &Proxy) -> bool {
        let limits_connections = self.limits.load(Ordering::Relaxed) & limit::CONNECTIONS != 0;
        limits_connections
            && proxy.liveness().is_some_and(|record| record.connections() >= self.connection_limits.most())
    }

    /// Limits the connections in use through each of `members`, besides the limits that there are: the lowest holds.
    pub(crate) fn add_connection_limit(&self, most: u32) {
        self.connection_limits.add(most);
        self.limits.fetch_or(limit::CONNECTIONS, Ordering::Relaxed);
    }

    /// Takes such a limit back.
    pub(crate) fn remove_connection_limit(&self, most: u32, members: &[Arc<Proxy>]) {
        // The bit stays: the requests under way hold what they took, and to count on is cheap.
        self.connection_limits.remove(most);
        for proxy in members {
            if proxy.state().has(reason::NO_CONNECTION) {
                capacity::recheck(proxy, Bound::Connections);
            }
        }
        self.freed();
    }

    /// The connections in use are those of another process.
    pub(crate) fn forget_connections(&self, proxy: &Proxy) {
        if let Some(record) = proxy.liveness() {
            record.forget_connections();
            if proxy.state().has(reason::NO_CONNECTION) {
                capacity::recheck(proxy, Bound::Connections);
            }
        }
    }

    /// A proxy has failed: for a while, a proxy that has never succeeded gets one request at a time where there are others.
    pub(crate) fn note_trouble(&self, now: u64) {
        // Relaxed: the moment orders nothing but itself.
        self.trouble_until.store(now.saturating_add(TROUBLE), Ordering::Relaxed);
    }

    /// Whether a proxy has failed lately.
    #[inline]
    pub(crate) fn is_in_trouble(&self, now: u64) -> bool {
        self.trouble_until.load(Ordering::Relaxed) > now
    }
}
