//! The login that a pool gives its proxies: those that are in it, and those that join.

use crate::net::address::Credentials;
use crate::pool::Pool;
use crate::proxy::Proxy;
use crate::sync::Arc;

impl Pool {
    /// Logs in with these credentials through every proxy, and through those that join from now on.
    pub fn log_in(&self, login: Credentials) {
        let login = Arc::new(login);
        // Before the members are visited, so that a proxy that joins meanwhile has it too.
        self.login.store(Some(login.clone()));
        let table = self.table();
        for proxy in Self::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()) {
            proxy.log_in(&login);
        }
    }

    /// Gives a proxy that has just joined the pool's login, if there is one. To be called with no lock held.
    pub(super) fn log_in_newcomer(&self, proxy: &Proxy) {
        if let Some(login) = &*self.login.load() {
            proxy.log_in(login);
        }
    }

    /// Whether proxies are given a login when they join.
    pub(super) fn logs_in(&self) -> bool {
        self.login.load().is_some()
    }
}
