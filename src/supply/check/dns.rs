//! Names of proxies, resolved once for all proxies of a host.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use lru::LruCache;
use smallvec::SmallVec;
use tokio::sync::Semaphore;

use crate::clock::{Clock, SystemClock};
use crate::sync::Mutex;

const MOST: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// Each lookup occupies a thread, as the system's resolver will have it.
const AT_ONCE: usize = 64;
const KEPT: u64 = 60_000_000_000;
const KEPT_FAILURE: u64 = 10_000_000_000;

type Found = SmallVec<[IpAddr; 2]>;

pub(super) struct Names {
    known: Mutex<LruCache<Box<str>, (u64, Found)>>,
    turn: Semaphore,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)), turn: Semaphore::new(AT_ONCE) }
    }

    /// The addresses of a host; none if its name leads nowhere.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> SmallVec<[SocketAddr; 2]> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return smallvec::smallvec![SocketAddr::new(ip, port)];
        }
        let with_port = |found: &Found| found.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        if let Some(found) = self.known(host) {
            return with_port(&found);
        }
        let Ok(_turn) = self.turn.acquire().await else { return SmallVec::new() };
        // An earlier task in the queue may have resolved the same name.
        if let Some(found) = self.known(host) {
            return with_port(&found);
        }
        let mut found: Found = match tokio::net::lookup_host((host, port)).await {
            Ok(all) => all.map(|address| address.ip()).take(8).collect(),
            Err(_) => Found::new(),
        };
        found.dedup();
        let kept = if found.is_empty() { KEPT_FAILURE } else { KEPT };
        self.known.lock().put(host.into(), (SystemClock.steady() + kept, found.clone()));
        with_port(&found)
    }

    fn known(&self, host: &str) -> Option<Found> {
        let mut known = self.known.lock();
        let (until, found) = known.get(host)?;
        (SystemClock.steady() < *until).then(|| found.clone())
    }
}
