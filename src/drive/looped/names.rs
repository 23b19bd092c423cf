//! Names are looked up on threads of their own, for the system's resolver blocks.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use crate::sync::{Arc, Mutex};

/// Look-ups at the same time.
const THREADS: usize = 8;

/// Whose look-up it is.
pub(super) type Asker = super::Key;
pub(super) type Found = (Asker, io::Result<Vec<SocketAddr>>);

struct Wanted {
    asker: Asker,
    host: Box<str>,
    port: u16,
}

/// Looks names up. Its threads begin when they are needed, and end with it.
pub(super) struct Names {
    wanted: Sender<Wanted>,
    shared: Arc<Shared>,
    /// Look-ups without an answer, and threads.
    open: usize,
    threads: usize,
}

struct Shared {
    wanted: Mutex<Receiver<Wanted>>,
    found: Mutex<Vec<Found>>,
    waker: Waker,
}

impl Names {
    /// `waker` is woken when [`Names::take`] has something.
    pub(super) fn new(waker: Waker) -> Self {
        let (wanted, receiver) = channel();
        let shared = Shared { wanted: Mutex::new(receiver), found: Mutex::new(Vec::new()), waker };
        Self { wanted, shared: Arc::new(shared), open: 0, threads: 0 }
    }

    /// Asks for the addresses of a host.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn ask(&mut self, asker: Asker, host: &str, port: u16) -> io::Result<()> {
        if self.open >= self.threads && self.threads < THREADS {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new()
                .name("proxywhirl-names".into())
                .stack_size(256 << 10)
                .spawn(move || work(&shared));
            match started {
                Ok(_) => self.threads += 1,
                Err(error) if self.threads == 0 => return Err(error),
                // The others take it in turn.
                Err(_) => {}
            }
        }
        self.open += 1;
        self.wanted
            .send(Wanted { asker, host: host.into(), port })
            .map_err(|_| io::Error::other("the threads that look up names have ended"))
    }

    /// What was found meanwhile.
    pub(super) fn take(&mut self) -> Vec<Found> {
        let found = std::mem::take(&mut *self.shared.found.lock());
        self.open -= found.len();
        found
    }
}

fn work(shared: &Shared) {
    loop {
        // One thread waits for the channel, the others for the lock.
        let Ok(Wanted { asker, host, port }) = shared.wanted.lock().recv() else { return };
        let found = (&*host, port).to_socket_addrs().map(|all| {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in all {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses
        });
        shared.found.lock().push((asker, found));
        // It fails only when the poll is gone, and then nothing waits.
        let _ = shared.waker.wake();
    }
}
