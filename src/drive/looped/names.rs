//! Names that are looked up for the requests of a reactor, on threads, for the system's resolver blocks.

use std::net::SocketAddr;

use mio::Waker;

use super::Key;
use crate::drive::names::look_up;
use crate::sync::{Arc, Mutex};
use crate::wire::error::Error;

/// Wakes the thread of a reactor, from any other.
#[derive(Clone)]
pub struct Wake(Arc<Shared>);

impl Wake {
    /// Does so: now, or as soon as it sleeps.
    pub fn wake(&self) {
        // A full counter of wakes has woken, too.
        let _ = self.0.waker.wake();
    }
}

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

type Found = (Key, Result<Vec<SocketAddr>, Error>);

struct Shared {
    found: Mutex<Vec<Found>>,
    waker: Waker,
}

/// Looks names up.
pub(super) struct Names(Arc<Shared>);

impl Names {
    /// `waker` is woken when [`Names::take`] has something.
    pub(super) fn new(waker: Waker) -> Self {
        Self(Arc::new(Shared { found: Mutex::new(Vec::new()), waker }))
    }

    /// Asks for the addresses of a host; `false` if too many look-ups are under way.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn ask(&self, key: Key, host: &str, port: u16) -> Result<bool, Error> {
        let shared = Arc::clone(&self.0);
        look_up(host, port, move |found| {
            shared.found.lock().push((key, found));
            // It fails only when the poll is gone, and then nothing waits.
            let _ = shared.waker.wake();
        })
    }

    /// Makes the descriptor of the poll readable.
    pub(super) fn wake(&self) {
        // A full counter of wakes has woken, too.
        let _ = self.0.waker.wake();
    }

    pub(super) fn handle(&self) -> Wake {
        Wake(Arc::clone(&self.0))
    }

    /// What was found meanwhile.
    pub(super) fn take(&self) -> Vec<Found> {
        std::mem::take(&mut *self.0.found.lock())
    }
}
