//! What happens to a request of a reactor while nothing is awaited of it, and what others get meanwhile.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use proxywhirl::drive::looped::{Key, Reactor, Reply};
use proxywhirl::drive::order::{Order, OrderBody};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::Kind;
use proxywhirl::wire::route::{Route, RouteOptions};

use crate::common::*;
use crate::replies::*;

/// A request whose body is wanted now.
fn upload(reactor: &mut Reactor, at: SocketAddr) -> Key {
    let order = ask("POST", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let key = reactor.send(Order { body: OrderBody::Pulled, ..order });
    assert!(matches!(one(reactor), Reply::WantsBody));
    key
}

/// Until the request has failed, or its answer was taken.
fn until_closed(reactor: &mut Reactor) {
    wait_until(|| {
        reactor.turn().unwrap();
        reactor.counts().open == 0
    });
    assert!(reactor.replies().is_empty());
}

#[test]
fn a_failure_while_the_caller_makes_the_body_is_told_with_the_next_piece() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        reset(stream);
    });
    for piece in [Some(&b"late"[..]), None] {
        let mut reactor = reactor();
        let key = upload(&mut reactor, at);
        until_closed(&mut reactor);
        reactor.give(key, piece);
        assert_eq!(failure(one(&mut reactor)).kind, Kind::Read);
        assert!(!reactor.is_open(key));
    }
}

#[test]
fn an_answer_while_the_caller_makes_the_body_is_told_with_the_next_piece() {
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            stream.write_all(OK).unwrap();
            let _ = stream.read(&mut [0; 99]);
        });
    });
    for piece in [Some(&b"late"[..]), None] {
        let mut reactor = reactor();
        let key = upload(&mut reactor, at);
        until_closed(&mut reactor);
        reactor.give(key, piece);
        assert_eq!(body(&answer(one(&mut reactor))), "hello");
        assert!(!reactor.is_open(key));
    }
}

/// Turns as an event loop makes them: only when the descriptor says so. The first reply, and how many turns it took.
fn by_descriptor(reactor: &mut Reactor) -> (Reply, usize) {
    for turns in 1.. {
        let mut poll = libc::pollfd {
            fd: reactor.descriptor().expect("nothing watches it apart"),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry is passed, and lives across the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 30_000) };
        assert_eq!(ready, 1, "nothing for half a minute, after {turns} turns");
        reactor.turn().unwrap();
        if let Some((_, reply, _)) = reactor.replies().pop() {
            return (reply, turns);
        }
    }
    unreachable!()
}

#[test]
fn a_fast_peer_leaves_others_their_turns() {
    const LENGTH: usize = 48 << 20;
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            let mut body = vec![0; LENGTH];
            stream.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
            stream.write_all(&body).unwrap();
        });
    });
    let mut reactor = reactor();
    let order = ask("POST", &direct(at), "/", &[("Content-Length", &LENGTH.to_string())]);
    reactor.send(Order { body: OrderBody::Bytes(Arc::new(vec![b'z'; LENGTH])), ..order });
    // What is left of a turn is moved in the next one, though the socket has no news.
    let (reply, turns) = by_descriptor(&mut reactor);
    assert!(answer(reply).body.unwrap().decoded == vec![b'z'; LENGTH]);
    assert!(turns > (LENGTH >> 20) / 2, "{turns} turns");
}

#[test]
fn a_connection_that_closed_since_the_last_turn_is_not_used() {
    let (go, goes) = channel::<()>();
    let (close, closed) = channel();
    let at = serve(move |number, mut stream| {
        read_head(&mut stream);
        stream.write_all(OK).unwrap();
        if number == 0 {
            goes.recv().unwrap();
            drop(stream);
            close.send(()).unwrap();
        }
    });
    let mut reactor = reactor();
    reactor.send(get(&direct(at), "/"));
    answer(one(&mut reactor));
    go.send(()).unwrap();
    closed.recv().unwrap();
    // May be sent once only, so nothing but a look at the socket saves it.
    reactor.send(Order { is_repeatable: false, ..ask("POST", &direct(at), "/", &[]) });
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
}

#[test]
fn a_refused_login_ends_the_connections_of_a_streamed_answer_too() {
    const REFUSED: &[u8] = b"HTTP/1.1 407 Login\r\nContent-Length: 2\r\n\r\n";
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            let mut line = [0; 64];
            while let Ok(1..) = stream.peek(&mut line) {
                let is_last = line.windows(5).any(|part| part == b"/last");
                read_head(&mut stream);
                stream.write_all(if is_last { REFUSED } else { OK }).unwrap();
                line.fill(0);
            }
        });
    });
    let through = proxy(7, Protocol::Http, at, login());
    let route = Route::new(RouteOptions::new(Some(through), site(false), no_tls()));
    let mut reactor = reactor();
    for _ in 0..3 {
        reactor.send(get(&route, "/"));
    }
    replies(&mut reactor, 3);
    assert_eq!(reactor.counts().idle, 3);
    let key = reactor.send(Order { is_whole: false, ..get(&route, "/last") });
    assert_eq!(answer(one(&mut reactor)).head.status, 407);
    assert_eq!(reactor.counts().idle, 0);
    reactor.cancel(key);
    assert_eq!(reactor.counts().open, 0);
}

#[test]
fn bytes_over_both_connections_count() {
    let (close, closed) = channel();
    let at = serve(move |_, mut stream| {
        let close = close.clone();
        std::thread::spawn(move || {
            read_head(&mut stream);
            stream.write_all(OK).unwrap();
            if read_head(&mut stream) {
                reset(stream);
                close.send(()).unwrap();
            }
        });
    });
    let mut reactor = Reactor::new(Bounds::default()).unwrap();
    let order = get(&direct(at), "/");
    reactor.send(order.clone());
    let first = answer(one(&mut reactor)).cost;
    reactor.send(order);
    let second = answer(one(&mut reactor)).cost;
    closed.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!((second.sent, second.received), (2 * first.sent, first.received));
}
