//! Opening a connection ahead of its request, addresses that are known, bodies of which the beginning is enough, and how an
//! answer was cut off.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use proxywhirl::clock::{Clock, SystemClock};
use proxywhirl::drive::looped::{Key, Moved, Reactor, Reply};
use proxywhirl::drive::order::Order;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::error::{Cut, Error, Kind, Stage};
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::route::{Route, RouteOptions};

use crate::common::*;
use crate::replies::*;

fn sleep_until_replies(reactor: &mut Reactor) -> Vec<(Key, Reply, Moved)> {
    loop {
        reactor.turn_within(Duration::from_secs(300)).unwrap();
        let replies = reactor.replies();
        if !replies.is_empty() {
            return replies;
        }
    }
}

#[test]
fn a_request_waits_behind_its_open_connection() {
    let (sender, heard) = channel();
    let at = serve(move |_, mut stream| {
        sender.send("connected").unwrap();
        if read_head(&mut stream) {
            sender.send("asked").unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let mut reactor = reactor();
    let key = reactor.open(get(&direct(at), "/"));
    assert!(matches!(one(&mut reactor), Reply::Opened));
    assert_eq!(heard.recv().unwrap(), "connected");
    assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "nothing is sent yet");
    reactor.proceed(key, None);
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
    assert_eq!(heard.recv().unwrap(), "asked");
    // It is over: nothing comes of it any more.
    reactor.proceed(key, None);
    assert!(reactor.replies().is_empty() && !reactor.is_open(key));
}

#[test]
fn the_deadline_of_a_request_begins_when_it_proceeds() {
    let at = serve(|_, stream| std::mem::forget(stream));
    let mut reactor = reactor();
    let key = reactor.open(get(&direct(at), "/"));
    assert!(matches!(one(&mut reactor), Reply::Opened));
    reactor.proceed(key, Some(SystemClock.steady() + 30_000_000));
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.stage), (Kind::Deadline, Stage::Head));
    assert_eq!(reactor.counts().open, 0);
    let key = reactor.open(get(&direct(at), "/"));
    assert!(matches!(one(&mut reactor), Reply::Opened));
    reactor.cancel(key);
    assert_eq!(reactor.counts().open, 0);
}

#[test]
fn a_closed_port_opens_nothing() {
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut reactor = reactor();
    reactor.open(get(&direct(at), "/"));
    let error = failure(one(&mut reactor));
    assert_eq!((error.stage, error.errno), (Stage::Tcp, Some(libc::ECONNREFUSED)));
}

#[test]
fn known_addresses_need_no_name() {
    let at = serve(|_, mut stream| {
        if read_head(&mut stream) {
            stream.write_all(OK).unwrap();
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let route = Route::new(RouteOptions::new(None, origin(false, "no-such-name.invalid", 80), no_tls()));
    let known: Arc<[SocketAddr]> = Arc::new([closed, at]);
    let order = Order { addresses: Some(known), ..get(&route, "/") };
    let mut reactor = reactor();
    reactor.send(order.clone());
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
    let wire = wire();
    assert_eq!(text(&send(&wire, &order).unwrap()), "hello");
}

#[test]
fn the_beginning_of_a_body_can_be_enough() {
    let heads = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for head in heads {
        let piece: &[u8] = if head.contains("chunked") { b"4\r\nxxxx\r\n" } else { b"xxxx" };
        let at = serve(move |_, mut stream| {
            std::thread::spawn(move || {
                let mut sent = if read_head(&mut stream) { stream.write_all(head.as_bytes()) } else { Ok(()) };
                while sent.is_ok() {
                    sent = stream.write_all(piece);
                }
            });
        });
        for enough in [0, 1, 10_001] {
            let order = Order { enough: Some(enough), limits: Limits::streamed(), ..get(&direct(at), "/") };
            let mut reactor = reactor();
            reactor.send(order.clone());
            let found = answer(one(&mut reactor));
            assert_eq!(body(&found), "x".repeat(enough), "{head}");
            assert!(found.cost.received < 200_000);
            assert_eq!(reactor.counts().open, 0, "it is closed");
            let wire = wire();
            assert_eq!(text(&send(&wire, &order).unwrap()), "x".repeat(enough), "{head}");
            assert_eq!(wire.counts().open, 0);
        }
    }
    // What is shorter is whole, and keeps its connection.
    let at = serve(|_, mut stream| {
        while read_head(&mut stream) {
            stream.write_all(OK).unwrap();
        }
    });
    let order = Order { enough: Some(6), ..get(&direct(at), "/") };
    let mut reactor = reactor();
    reactor.send(order);
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
    assert_eq!(reactor.counts().idle, 1);
}

#[test]
fn an_error_tells_how_much_had_come_before_the_end() {
    let cases: [(&[u8], Stage, Cut); 3] = [
        (b"", Stage::Head, Cut::Silent),
        (b"HTTP/1.1 200 O", Stage::Head, Cut::Amid),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Stage::Body, Cut::Amid),
    ];
    let tunnels: [(&[u8], Stage, Cut); 2] =
        [(b"", Stage::Handshake, Cut::Silent), (b"HTTP/1.1 200 O", Stage::Handshake, Cut::Amid)];
    let all = cases.map(|case| (case, false)).into_iter().chain(tunnels.map(|case| (case, true)));
    for ((said, stage, cut), is_tunnel) in all {
        let at = serve(move |_, mut stream| {
            if read_head(&mut stream) {
                stream.write_all(said).unwrap();
            }
        });
        let mut options = RouteOptions::new(None, origin(false, "127.0.0.1", at.port()), no_tls());
        if is_tunnel {
            options.proxy = Some(proxy(1, Protocol::Http, at, None));
            options.always_tunnel = true;
        }
        let order = get(&Route::new(options), "/");
        let check = |error: Error| assert_eq!((error.stage, error.cut), (stage, Some(cut)), "{error}");
        let mut reactor = reactor();
        reactor.send(order.clone());
        let mut replies = sleep_until_replies(&mut reactor);
        assert_eq!(replies[0].2.received, said.len() as u64);
        check(failure(replies.remove(0).1));
        check(send(&wire(), &order).unwrap_err());
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a real sleep of a real thread")]
fn a_sleeping_reactor_is_woken_by_other_threads() {
    let mut reactor = reactor();
    let wake = reactor.wake();
    let begun = Instant::now();
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        wake.wake();
    });
    reactor.turn_within(Duration::from_secs(300)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(200));
    waker.join().unwrap();
    // And by what is due.
    let at = serve(|_, stream| std::mem::forget(stream));
    reactor.send(Order { deadline: Some(SystemClock.steady() + 30_000_000), ..get(&direct(at), "/") });
    let replies = sleep_until_replies(&mut reactor);
    assert!(matches!(&replies[..], [(_, Reply::Failed(error), _)] if error.kind == Kind::Deadline));
    assert!(begun.elapsed() < Duration::from_secs(200));
}
