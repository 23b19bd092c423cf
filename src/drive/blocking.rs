//! Requests on the caller's thread: a socket that waits, in slices, so that Ctrl-C is noticed.
//!
//! A [`Wire`] is shared by threads. No lock is held while a socket is read or written, nor while the caller is called.

use super::answer::{Answer, Cost};
use super::attempt::{Attempt, Failure};
use super::order::Order;
use super::source::Source;
use super::store::Store;
use super::stream::Stream;
use super::{Patience, now};
use crate::net::http1::ResponseHead;
use crate::sync::Arc;
use crate::wire::connections::{Bounds, Counts};
use crate::wire::error::Error;
use crate::wire::route::Identity;

/// The connections of one rotator or client, and what sends requests over them; cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Wire {
    store: Arc<Store>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// The caller breaks off. What it was is the caller's to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort;

/// Gives the next piece of a request's body; `None` at its end.
pub type Pull<'a> = dyn FnMut() -> Result<Option<Vec<u8>>, Abort> + 'a;

/// What came back: a whole answer, or its head and the way to the body.
#[derive(Debug)]
pub enum Reply {
    /// The order wanted the whole.
    Whole(Answer),
    /// It did not.
    Stream(ResponseHead, Stream),
}

impl Wire {
    /// Without connections yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { store: Arc::new(Store::new(bounds)) }
    }

    /// Sends a request, and waits for the answer. `pull` gives the body of an order that says so; `interrupted` is asked at
    /// least every 100 ms. What it took is added to `cost`, whatever comes out.
    ///
    /// # Errors
    /// [`Error`]: what happened, where, and whether the request may have reached the site.
    pub fn send(
        &self,
        order: &Order,
        pull: Option<&mut Pull<'_>>,
        interrupted: &mut dyn FnMut() -> bool,
        cost: &mut Cost,
    ) -> Result<Reply, Error> {
        let begun = now();
        let mut patience = Patience::new(interrupted, begun);
        let mut source = Source { body: &order.body, pull, has_pulled: false };
        let mut is_first = true;
        loop {
            let mut attempt = Attempt { store: &self.store, order, cost, begun, patience: &mut patience };
            match attempt.run(&mut source, !is_first) {
                Ok(reply) => return Ok(reply),
                Err(Failure { error, is_stale: true })
                    if is_first && !source.has_pulled && (order.is_repeatable || !error.sent) =>
                {
                    is_first = false;
                }
                Err(Failure { error, is_stale }) => return Err(error.with_stale(is_stale)),
            }
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Closes the idle connections of one identity, and keeps none that is in use.
    pub fn evict(&self, identity: &Identity) {
        self.store.change(|connections, leaving| connections.evict(identity, leaving));
    }

    /// The same, of a proxy.
    pub fn evict_proxy(&self, id: u128) {
        self.store.change(|connections, leaving| connections.evict_proxy(id, leaving));
    }

    /// The same, of a session.
    pub fn evict_owner(&self, owner: u64) {
        self.store.change(|connections, leaving| connections.evict_owner(owner, leaving));
    }

    /// The same, of all.
    pub fn evict_all(&self) {
        self.store.change(|connections, leaving| connections.evict_all(leaving));
    }

    /// Closes connections that have been idle for too long. Sending does so, too.
    pub fn expire(&self) {
        self.store.change(|connections, leaving| connections.expire(now(), leaving));
    }
}

#[cfg(all(test, not(loom), unix))]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::drive::order::Order;
    use crate::net::tls::Verification;
    use crate::wire::error::Kind;
    use crate::wire::request::{Headers, Request};
    use crate::wire::route::{Origin, Route, RouteOptions};
    use crate::wire::tls::Profile;

    fn order(port: u16, target: &str) -> Order {
        let tls = Arc::new(Profile::new(&Verification::Nothing, None).unwrap());
        let origin = Origin { tls: false, host: "127.0.0.1".into(), port };
        let request = Request::new("GET", target, Headers::from_iter([("Host", "x.test")])).unwrap();
        Order::new(Route::new(RouteOptions::new(None, origin, tls)), request)
    }

    /// Answers every request; a path of `/long` with a body that ends when the next piece is asked for by a byte.
    fn server() -> (u16, std::sync::mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (mut stream, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || {
                    let (mut seen, mut byte) = (Vec::new(), [0]);
                    while stream.read(&mut byte).is_ok_and(|got| got == 1) {
                        seen.push(byte[0]);
                        if seen.ends_with(b"\r\n\r\n") {
                            let is_long = seen.starts_with(b"GET /long");
                            let length = if is_long { 3_000_000 } else { 2 };
                            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                            stream.write_all(head.as_bytes()).unwrap();
                            stream.write_all(&vec![b'x'; length]).unwrap();
                            sender.send(number).unwrap();
                            seen.clear();
                        }
                    }
                });
            }
        });
        (port, requests)
    }

    fn send(wire: &Wire, order: &Order) -> Result<Reply, Error> {
        wire.send(order, None, &mut || false, &mut Cost::default())
    }

    #[test]
    fn a_child_has_connections_of_its_own_and_leaves_those_of_the_parent_alone() {
        let (port, requests) = server();
        let wire = Wire::new(Bounds::default());
        let (short, long) = (order(port, "/"), Order { is_whole: false, ..order(port, "/long") });
        send(&wire, &short).map(drop).unwrap();
        assert_eq!(requests.recv().unwrap(), 0);
        let Ok(Reply::Stream(_, mut stream)) = send(&wire, &long) else { panic!() };
        // SAFETY: the child sends a request, and leaves without running anything of the parent's.
        let child = unsafe { libc::fork() };
        if child == 0 {
            crate::fork::open_in_child();
            let stolen = stream.next(Default::default(), None, &mut || false);
            let refuses = stolen.is_err_and(|error| error.kind == Kind::Read);
            drop(stream);
            let is_empty = wire.counts() == Counts::default();
            let is_sent = send(&wire, &short).is_ok() && wire.counts().open == 1;
            let code = i32::from(!refuses) + 2 * i32::from(!is_empty) + 4 * i32::from(!is_sent);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above, with room for its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "bits of the exit code say what the child found wrong");
        let mut total = 0;
        while let Some(piece) = stream.next(Default::default(), None, &mut || false).unwrap() {
            total += piece.len();
        }
        assert_eq!(total, 3_000_000);
        assert_eq!(wire.counts().idle, 1, "the stream took the idle connection, and gave it back");
        send(&wire, &short).map(drop).unwrap();
        let mut served = vec![requests.recv().unwrap(), requests.recv().unwrap(), requests.recv().unwrap()];
        served.sort_unstable();
        assert_eq!(served, [0, 0, 1], "the child opened one of its own");
    }
}
