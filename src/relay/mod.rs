//! A local proxy server: HTTP forward, CONNECT and SOCKS in front on one port, proxies that a rotation chooses behind.
//!
//! One thread (`server`) moves all bytes, and is never held up: what has to be decided goes to another thread, which asks
//! the [`Director`]. A request fails over to another proxy while nothing of it was sent to a site; a forwarded one as the
//! director's rotation says.

mod back;
mod conn;
mod dial;
mod forward;
mod front;
mod http;
pub mod login;
mod server;
mod socks;
mod splice;
mod starting;

use std::time::Duration;

pub use self::login::{Login, Wishes};
pub use self::starting::{Handle, start};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::wire::error::Error;
use crate::wire::route::Proxy;

/// How a relay is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may use it.
    pub login: Login,
    /// Connections of clients at the same time; more wait in the system's queue.
    pub most: usize,
    /// For opening the way through one proxy.
    pub connect: Duration,
    /// For one read and one write of a forwarded request.
    pub read: Duration,
    /// After which a tunnel without a byte, or a client that asks for nothing, is closed.
    pub idle: Duration,
    /// For everything that a client says before it has asked for something.
    pub greeting: Duration,
}

/// One request or tunnel of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) number: usize,
    pub(crate) serial: u64,
}

/// What a client wants.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The method; `CONNECT` for tunnels.
    pub method: Box<str>,
    /// The target, complete.
    pub url: String,
    /// What the user name asks for.
    pub wishes: Wishes,
    /// Whether the body can be sent a second time.
    pub is_replayable: bool,
}

/// What has become of a request.
#[derive(Debug)]
pub enum Told {
    /// It begins. The reply is a verdict.
    Begin(Ask),
    /// A pause is over. The reply is a verdict.
    Done,
    /// A tunnel is open, after so many milliseconds.
    Opened(f64),
    /// The head of an answer has come. The reply is a verdict.
    Answered {
        /// The status.
        status: u16,
        /// Headers about pauses.
        headers: Vec<(String, String)>,
        /// Milliseconds that it took.
        elapsed_ms: f64,
    },
    /// No usable answer has come, or no tunnel. The reply is a verdict.
    Failed {
        /// Why.
        error: Error,
        /// Milliseconds that it took.
        elapsed_ms: f64,
    },
    /// Bytes have gone through the lease.
    Moved,
    /// What was delivered is over; with an error, if it broke off on the side of the proxy.
    Ended(Option<Error>),
    /// The client has left before it got anything.
    Dropped,
}

/// A piece of news, and the bytes sent to and received from the proxy since the one before.
#[derive(Debug)]
pub struct News {
    /// Whose.
    pub ticket: Ticket,
    /// What.
    pub told: Told,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// What is to be done.
#[derive(Debug)]
pub enum Verdict {
    /// Try that proxy; the answer that is held is dropped.
    Send {
        /// The proxy.
        proxy: Arc<Proxy>,
        /// Seconds until everything must be over.
        time_left: Option<f64>,
    },
    /// Let so many seconds pass, and say [`Told::Done`].
    Pause(f64),
    /// Close the idle connections to that proxy: another exit is wanted. Whatever has become of the request.
    Renew(u128),
    /// Pass the answer on.
    Deliver,
    /// Say no.
    Refuse {
        /// The status that says so in HTTP.
        status: u16,
        /// Why, without a secret.
        text: String,
    },
}

/// Decides. Called on one thread, which may wait.
pub trait Director: Send {
    /// Takes what is new, and decides what has to be.
    fn tell(&mut self, news: Vec<News>) -> Vec<(Ticket, Verdict)>;
}

/// What a relay has done so far. Each number is right by itself.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections of clients that are open.
    pub open: AtomicU64,
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Tunnels that were opened.
    pub tunnels: AtomicU64,
    /// Requests that were answered by a site.
    pub answers: AtomicU64,
    /// Clients that were not let in.
    pub denied: AtomicU64,
    /// Requests and tunnels for which there was no proxy, or none that worked.
    pub failed: AtomicU64,
    /// Attempts that failed, and after which another proxy was tried.
    pub retried: AtomicU64,
    /// Bytes sent to proxies.
    pub sent: AtomicU64,
    /// Bytes received from proxies.
    pub received: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
