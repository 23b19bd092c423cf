//! Starting and closing a relay.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ahash::AHashMap;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Waker};
use slab::Slab;

use super::back::{Back, ask};
use super::server::{LISTENER, PIECE, REACTOR, Server, WAKER, nanos, now};
use super::{Counts, Director, Settings};
use crate::drive::looped::Reactor;
use crate::fork;
use crate::net::tls::Verification;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::wire::connections::Bounds;
use crate::wire::tls::Profile;

/// Idle connections to one proxy, for forwarded requests.
const IDLE_PER_PROXY: usize = 32;
/// How long they are kept.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const STACK: usize = 1 << 20;
/// Descriptors that are left to the program.
const OWN: usize = 128;

/// A relay that was started. Dropped it is closed at once, without waiting.
pub struct Handle {
    address: SocketAddr,
    counts: Arc<Counts>,
    closing: Arc<AtomicU64>,
    back: Arc<Back>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    listener: RawFd,
    generation: u64,
}

/// Starts a relay. Its threads end when it is closed.
///
/// # Errors
/// The address cannot be listened on, or the system has no descriptors or threads left.
pub fn start(address: SocketAddr, mut settings: Settings, director: Box<dyn Director>) -> io::Result<Handle> {
    settings.most = settings.most.min(room());
    let mut listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let descriptor = listener.as_raw_fd();
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let back = Arc::new(Back::new(Waker::new(poll.registry(), WAKER)?));
    let reactor =
        Reactor::new(Bounds { idle_per_proxy: IDLE_PER_PROXY, keep_alive: Some(KEEP_ALIVE), ..Bounds::default() })?;
    if let Some(descriptor) = reactor.descriptor() {
        poll.registry().register(&mut SourceFd(&descriptor), REACTOR, Interest::READABLE)?;
    }
    let tls = Profile::new(&Verification::System, None).map_err(|_| io::Error::other("TLS is not to be had"))?;
    let (news, told) = channel();
    let (counts, closing) = (Arc::new(Counts::default()), Arc::new(AtomicU64::new(0)));
    let server = Server {
        poll,
        listener: Some(listener),
        reactor,
        keys: AHashMap::new(),
        conns: Slab::new(),
        serial: 0,
        news,
        back: Arc::clone(&back),
        counts: Arc::clone(&counts),
        settings,
        tls: Arc::new(tls),
        buffer: vec![0; PIECE],
        again: Vec::new(),
        closing: Arc::clone(&closing),
        may_accept: true,
        look_at: now(),
    };
    let named = |name: &str| Builder::new().name(name.into()).stack_size(STACK);
    let other = Arc::clone(&back);
    let asking = named("proxywhirl-relay-ask").spawn(move || ask(director, &told, &other))?;
    // Where this fails, the thread above ends too: the way to it is gone.
    let serving = named("proxywhirl-relay").spawn(move || server.run())?;
    let threads = Mutex::new(vec![serving, asking]);
    Ok(Handle { address, counts, closing, back, threads, listener: descriptor, generation: fork::generation() })
}

/// For how many clients there are descriptors, each of which needs two, beside those that the program has for itself.
fn room() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written to a place that lives across the call.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let most = if asked == 0 { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { usize::MAX };
    (most.saturating_sub(OWN) / 2).max(1)
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether this process has its threads: the child of a fork has not.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Accepts no client any more, and closes every connection after so long; idle ones at once.
    pub fn close(&self, drain: Duration) {
        let at = now().saturating_add(nanos(drain)).max(1);
        self.closing.store(at, Ordering::Release);
        self.back.wake();
    }

    /// To be called in the child of a fork: the port is not the child's, and must not stay open with it.
    pub fn abandon(&self) {
        if !self.is_here() && self.closing.load(Ordering::Acquire) == 0 {
            // SAFETY: the descriptor is the child's copy of the listener's, whose owner is a thread that the child has not.
            unsafe { libc::close(self.listener) };
            self.closing.store(1, Ordering::Release);
        }
    }

    /// Waits until it is closed.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // What a thread panicked with was reported by it.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_here() {
            self.close(Duration::ZERO);
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.address)
    }
}
