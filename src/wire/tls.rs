//! Settings of TLS, and the tickets by which a connection takes an earlier one up again.
//!
//! A ticket links two connections for the server that issued it. So each [`Party`] (proxy, login, session) has tickets of
//! its own: the same site seen through two proxies learns nothing.

use std::num::NonZeroUsize;

use lru::LruCache;
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::{ClientConfig, ClientConnection, NamedGroup};
use rustls_pki_types::ServerName;
use smallvec::SmallVec;

use super::route::Party;
use crate::fork;
use crate::net::tls::{BadCertificates, ClientCertificate, Verification, client_config};
use crate::sync::global::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};

/// Pairs of a party and a server that tickets are kept for: some 4 KiB each.
const SERVERS: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");
/// Tickets of one pair: each is used once.
const TICKETS: usize = 4;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What TLS connections are made with; to be shared by many.
#[derive(Debug)]
pub struct Profile {
    id: u64,
    config: ClientConfig,
    tickets: Arc<Tickets>,
}

impl Profile {
    /// Reads certificates.
    ///
    /// # Errors
    /// [`BadCertificates`]
    pub fn new(verification: &Verification, own: Option<&ClientCertificate>) -> Result<Self, BadCertificates> {
        Ok(Self {
            // Relaxed: the number has to be another one, no more.
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            config: client_config(verification, own)?,
            tickets: Arc::new(Tickets { servers: Mutex::new(LruCache::new(SERVERS)) }),
        })
    }

    /// What tells it from every other profile of the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Begins a connection to a host.
    pub(super) fn connect(&self, host: &str, party: &Party) -> Result<ClientConnection, rustls::Error> {
        // A trailing dot makes a name absolute for DNS, and is no part of it in certificates (RFC 6066, 3).
        let name = host.strip_suffix('.').unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| rustls::Error::General(format!("{host:?} is no name that a certificate can have")))?;
        let mut config = self.config.clone();
        config.resumption =
            Resumption::store(Arc::new(TicketsOf { party: party.clone(), tickets: Arc::clone(&self.tickets) }));
        ClientConnection::new(Arc::new(config), name)
    }
}

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: SmallVec<[Tls13ClientSessionValue; 1]>,
}

/// The tickets of a profile.
struct Tickets {
    servers: Mutex<LruCache<(Party, ServerName<'static>), Server>>,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

/// Those of one party.
#[derive(Debug)]
struct TicketsOf {
    party: Party,
    tickets: Arc<Tickets>,
}

impl TicketsOf {
    fn with<R>(&self, server: &ServerName<'_>, work: impl FnOnce(&mut Server) -> R) -> Option<R> {
        let key = (self.party.clone(), server.to_owned());
        fork::inside(|| self.tickets.servers.lock().get_mut(&key).map(work))
    }

    fn with_new(&self, server: ServerName<'static>, work: impl FnOnce(&mut Server)) {
        let key = (self.party.clone(), server);
        fork::inside(|| work(self.tickets.servers.lock().get_or_insert_mut(key, Server::default)));
    }
}

impl ClientSessionStore for TicketsOf {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.with_new(server, |known| known.group = Some(group));
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.with(server, |known| known.group).flatten()
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.with_new(server, |known| known.tls12 = Some(value));
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.with(server, |known| known.tls12.clone()).flatten()
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.with(server, |known| known.tls12 = None);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.with_new(server, |known| {
            if known.tls13.len() == TICKETS {
                known.tls13.remove(0);
            }
            known.tls13.push(value);
        });
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.with(server, |known| known.tls13.pop()).flatten()
    }
}
