//! Requests on the thread of an event loop: the same ways, faults and bounds, many at once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use proxywhirl::drive::looped::{Key, Reactor, Reply};
use proxywhirl::drive::order::{Order, OrderBody};
use proxywhirl::fleet::{Behaviour, Fault, Scheme};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::route::{Proxy, Route, RouteOptions};

use crate::common::*;
use crate::replies::*;

#[test]
fn every_protocol_gets_the_page_and_keeps_its_connection() {
    let schemes = [
        (Scheme::Http, Protocol::Http),
        (Scheme::Https, Protocol::Https),
        (Scheme::Socks4, Protocol::Socks4),
        (Scheme::Socks5, Protocol::Socks5),
    ];
    let fleet = fleet(schemes.map(|(kind, _)| scheme(kind)).to_vec());
    for (index, (_, protocol)) in schemes.into_iter().enumerate() {
        for tls in [false, true] {
            let mut reactor = reactor();
            let route = through(&fleet, index, protocol, tls);
            let before = fleet.counts(index).unwrap().connections;
            for turn in 0..3 {
                reactor.send(get(&route, "/whoami"));
                let found = answer(one(&mut reactor));
                assert_eq!(found.head.status, 200);
                assert!(body(&found).contains(&format!("\"proxy\": \"proxy-{index}\"")));
                assert_eq!(found.cost.dialled.is_some(), turn == 0, "{protocol:?}, tls {tls}");
            }
            assert_eq!(fleet.counts(index).unwrap().connections - before, 1, "{protocol:?}, tls {tls}");
            assert_eq!((reactor.counts().open, reactor.counts().idle), (1, 1));
        }
    }
}

#[test]
fn many_requests_at_once_come_back_to_those_that_sent_them() {
    let fleet = fleet(vec![scheme(Scheme::Http); 4]);
    let mut reactor = reactor();
    let routes: Vec<_> = (0..4).map(|index| through(&fleet, index, Protocol::Http, false)).collect();
    let mut sent = HashMap::new();
    for number in 0..200 {
        sent.insert(reactor.send(get(&routes[number % 4], &format!("/echo?number={number}"))), number);
    }
    for (key, reply) in replies(&mut reactor, 200) {
        let number = sent.remove(&key).unwrap();
        assert!(body(&answer(reply)).contains(&format!("number={number}")));
    }
    assert_eq!(reactor.counts().open, reactor.counts().idle);
}

#[test]
fn a_server_that_closes_after_each_answer_costs_no_error() {
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            if read_head(&mut stream) {
                stream.write_all(OK).unwrap();
            }
        });
    });
    let mut reactor = reactor();
    let route = direct(at);
    for number in 0..300 {
        reactor.send(get(&route, "/"));
        assert_eq!(body(&answer(one(&mut reactor))), "hello", "request {number}");
    }
}

#[test]
fn a_stale_connection_is_no_reason_to_send_twice_what_may_be_sent_once() {
    // The second request of a connection is read, and not answered.
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            if read_head(&mut stream) {
                stream.write_all(OK).unwrap();
            }
            read_head(&mut stream);
        });
    });
    let mut reactor = reactor();
    let route = direct(at);
    reactor.send(get(&route, "/"));
    answer(one(&mut reactor));
    reactor.send(Order { is_repeatable: false, ..ask("POST", &route, "/", &[]) });
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.sent), (Kind::RemoteProtocol, true));
    reactor.send(get(&route, "/"));
    answer(one(&mut reactor));
    reactor.send(get(&route, "/"));
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
}

#[test]
fn a_request_without_an_answer_ends_in_time() {
    let at = serve(|_, stream| std::mem::forget(stream));
    let mut reactor = reactor();
    let read = Timeouts { read: Some(Duration::from_millis(30)), ..Timeouts::default() };
    reactor.send(Order { timeouts: read, ..get(&direct(at), "/") });
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.stage, error.sent), (Kind::ReadTimeout, Stage::Head, true));
    assert_eq!(reactor.counts().open, 0);
    assert_eq!(reactor.next_alarm(), None);
}

#[test]
fn each_phase_has_its_timeout() {
    let hang = plain_fleet(Behaviour { fault: Some(Fault::Hang), ..Behaviour::default() });
    let short = Some(Duration::from_millis(60));
    let all = Timeouts { connect: short, read: short, write: short, pool: short };
    let mut reactor = reactor();
    let mut fate = |order: Order| {
        reactor.send(Order { timeouts: all, ..order });
        let error = failure(one(&mut reactor));
        assert_eq!(reactor.counts().open, 0);
        (error.kind, error.stage, error.sent)
    };
    let through_it = |tls| get(&through(&hang, 0, Protocol::Http, tls), "/");
    assert_eq!(fate(through_it(false)), (Kind::ReadTimeout, Stage::Head, true));
    assert_eq!(fate(through_it(true)), (Kind::ConnectTimeout, Stage::Handshake, false));
    let silent = serve(|_, stream| std::mem::forget(stream));
    let secure = Route::new(RouteOptions::new(None, origin(true, "127.0.0.1", silent.port()), no_tls()));
    assert_eq!(fate(get(&secure, "/")), (Kind::ConnectTimeout, Stage::TargetTls, false));
    let body = vec![0_u8; 20 << 20];
    let order = ask("POST", &direct(silent), "/", &[("Content-Length", &body.len().to_string())]);
    let order = Order { body: OrderBody::Bytes(Arc::new(body)), ..order };
    assert_eq!(fate(order), (Kind::WriteTimeout, Stage::Write, true));
}

#[test]
fn connections_never_cross_sessions_logins_and_tls_settings() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let at = fleet.addresses()[0];
    let mut reactor = reactor();
    let options = |login| RouteOptions::new(Some(proxy(1, Protocol::Http, at, login)), site(false), no_tls());
    let shared = options(None);
    let owned = |owner| RouteOptions { owner: Some(owner), ..options(None) };
    let secure = |profile| RouteOptions::new(Some(proxy(1, Protocol::Http, at, None)), site(true), profile);
    // Each call makes another profile.
    let tls = [secure(trusting(&fleet)), secure(trusting(&fleet))];
    let all = [[shared, owned(1)], [owned(2), options(login())], tls].concat();
    for turn in 0..2 {
        for (number, options) in all.iter().enumerate() {
            reactor.send(get(&Route::new(options.clone()), "/"));
            assert_eq!(answer(one(&mut reactor)).cost.dialled.is_some(), turn == 0, "route {number}");
        }
    }
    assert_eq!((reactor.counts().open, fleet.counts(0).unwrap().connections), (6, 6));
}

#[test]
fn what_says_that_it_ends_is_not_kept() {
    let answers: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for answered in answers {
        let at = serve(move |_, mut stream| {
            read_head(&mut stream);
            stream.write_all(answered).unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            read_head(&mut stream);
        });
        let mut reactor = reactor();
        reactor.send(get(&direct(at), "/"));
        assert_eq!(answer(one(&mut reactor)).head.status, 200);
        assert_eq!(reactor.counts(), Default::default(), "{}", String::from_utf8_lossy(answered));
    }
}

#[test]
fn a_refused_connection_and_a_name_without_address_are_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut reactor = reactor();
    reactor.send(get(&direct(closed), "/"));
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.errno), (Kind::Connect, Some(libc::ECONNREFUSED)));
    reactor.send(get(&named("localhost", closed.port()), "/"));
    assert_eq!(failure(one(&mut reactor)).kind, Kind::Connect);
    reactor.send(get(&named("no-such-host.invalid", 80), "/"));
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.stage), (Kind::Connect, Stage::Resolve));
}

fn named(host: &str, port: u16) -> proxywhirl::wire::route::Route {
    use proxywhirl::wire::route::{Route, RouteOptions};
    Route::new(RouteOptions::new(None, origin(false, host, port), no_tls()))
}

#[test]
fn a_cancelled_request_closes_its_connection_and_gets_no_reply() {
    let (sender, closed) = std::sync::mpsc::channel();
    let at = serve(move |_, mut stream| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            read_head(&mut stream);
            // The end of the stream, or a reset.
            let is_closed = !matches!(stream.read(&mut [0]), Ok(1));
            sender.send(is_closed).unwrap();
        });
    });
    let mut reactor = reactor();
    let keys: Vec<Key> = (0..20).map(|_| reactor.send(get(&direct(at), "/"))).collect();
    for _ in 0..5 {
        reactor.turn().unwrap();
    }
    assert_eq!(reactor.counts().open, 20);
    for key in keys {
        reactor.cancel(key);
        assert!(!reactor.is_open(key));
        // Once more does nothing.
        reactor.cancel(key);
    }
    assert_eq!((reactor.counts().open, reactor.replies().len()), (0, 0));
    for _ in 0..20 {
        assert!(closed.recv_timeout(Duration::from_secs(30)).unwrap());
    }
}

#[test]
fn a_body_is_pulled_and_what_is_not_taken_is_not_read() {
    const LENGTH: usize = 64 << 20;
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..LENGTH >> 20 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
            answer_all(stream, OK);
        });
    });
    let mut reactor = reactor();
    let key = reactor.send(Order { is_whole: false, ..get(&direct(at), "/") });
    let found = answer(one(&mut reactor));
    assert!(found.body.is_none());
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(1));
        reactor.turn().unwrap();
    }
    let mut length = 0;
    loop {
        reactor.pull(key);
        match one(&mut reactor) {
            Reply::Piece(piece) => {
                assert!(piece.len() <= 128 << 10, "{} bytes were read ahead", piece.len());
                length += piece.len();
            }
            Reply::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(length, LENGTH);
    assert!(!reactor.is_open(key));
    reactor.send(get(&direct(at), "/"));
    let next = answer(one(&mut reactor));
    assert_eq!((body(&next).as_str(), next.cost.dialled), ("hello", None));
}

#[test]
fn a_pulled_body_goes_out_piece_by_piece() {
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            let mut seen = Vec::new();
            let mut piece = [0; 1024];
            while !seen.ends_with(b"0\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                seen.extend_from_slice(&piece[..count]);
            }
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.len()).unwrap();
            stream.write_all(&seen).unwrap();
        });
    });
    let mut reactor = reactor();
    let order = ask("POST", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let key = reactor.send(Order { body: OrderBody::Pulled, ..order });
    for piece in [Some(&b"one"[..]), Some(b"three"), None] {
        assert!(matches!(one(&mut reactor), Reply::WantsBody));
        reactor.give(key, piece);
    }
    assert_eq!(body(&answer(one(&mut reactor))), "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
}

#[test]
fn a_long_body_is_written_while_the_socket_takes_it() {
    const LENGTH: usize = 8 << 20;
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            std::thread::sleep(Duration::from_millis(50));
            let mut body = vec![0; LENGTH];
            stream.read_exact(&mut body).unwrap();
            assert!(body.iter().all(|byte| *byte == b'y'));
            stream.write_all(OK).unwrap();
        });
    });
    let mut reactor = reactor();
    let order = ask("POST", &direct(at), "/", &[("Content-Length", &LENGTH.to_string())]);
    reactor.send(Order { body: OrderBody::Bytes(Arc::new(vec![b'y'; LENGTH])), ..order });
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
}

#[test]
fn an_answer_before_the_end_of_the_body_is_not_lost() {
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").unwrap();
            std::thread::sleep(Duration::from_secs(1));
        });
    });
    let mut reactor = reactor();
    let order = ask("POST", &direct(at), "/", &[("Content-Length", "67108864")]);
    reactor.send(Order { body: OrderBody::Bytes(Arc::new(vec![0; 64 << 20])), ..order });
    let found = answer(one(&mut reactor));
    assert_eq!((found.head.status, body(&found).as_str()), (413, "big"));
    assert_eq!(reactor.counts().open, 0);
}

#[test]
fn no_more_connections_than_the_bound_and_those_that_wait_come_in_order() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let route = through(&fleet, 0, Protocol::Http, false);
    let mut reactor = Reactor::new(Bounds { open_per_proxy: 2, ..Bounds::default() }).unwrap();
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(reactor.send(get(&route, "/whoami")));
        assert!(reactor.counts().open <= 2);
    }
    let mut numbers = Vec::new();
    for (key, reply) in replies(&mut reactor, 20) {
        assert_eq!(answer(reply).head.status, 200);
        numbers.push(sent.iter().position(|sent| *sent == key).unwrap());
    }
    assert_eq!(fleet.counts(0).unwrap().connections, 2);
    // Two are under way at a time, and may overtake each other; nobody is overtaken by more.
    for (place, number) in numbers.iter().enumerate() {
        assert!(place.abs_diff(*number) <= 2, "{numbers:?}");
    }
}

#[test]
fn many_that_wait_and_fail_at_once_take_no_stack() {
    const MANY: usize = 20_000;
    let at = serve(|_, stream| std::mem::forget(stream));
    let mut reactor = Reactor::new(Bounds { open: 1, ..Bounds::default() }).unwrap();
    let first = reactor.send(get(&direct(at), "/"));
    // In a private network, which is seen before anything is dialled.
    let private = Arc::new(Proxy { public_only: true, ..(*proxy(1, Protocol::Http, at, None)).clone() });
    let refused = get(&Route::new(RouteOptions::new(Some(private), site(false), no_tls())), "/");
    let sent: Vec<Key> = (0..MANY).map(|_| reactor.send(refused.clone())).collect();
    assert!(reactor.replies().is_empty());
    reactor.cancel(first);
    let failed: Vec<Key> = reactor.replies().into_iter().map(|(key, ..)| key).collect();
    assert!(failed == sent, "{} of {MANY} in order", failed.len());
    assert_eq!(reactor.counts().open, 0);
}

#[test]
fn the_wait_for_a_connection_ends_in_time() {
    let at = serve(|_, stream| std::mem::forget(stream));
    let mut reactor = Reactor::new(Bounds { open_per_proxy: 1, ..Bounds::default() }).unwrap();
    let first = reactor.send(get(&direct(at), "/"));
    let pool = Timeouts { pool: Some(Duration::from_millis(30)), ..Timeouts::default() };
    reactor.send(Order { timeouts: pool, ..get(&direct(at), "/") });
    let error = failure(one(&mut reactor));
    assert_eq!((error.kind, error.sent), (Kind::PoolTimeout, false));
    reactor.cancel(first);
    assert_eq!(reactor.counts().open, 0);
}

#[test]
fn a_reset_at_every_byte_of_the_answer_is_an_error_in_time() {
    for cut in 0..OK.len() {
        let at = serve(move |_, mut stream| {
            read_head(&mut stream);
            stream.write_all(&OK[..cut]).unwrap();
            reset(stream);
        });
        let mut reactor = reactor();
        reactor.send(get(&direct(at), "/"));
        let error = failure(one(&mut reactor));
        assert!(matches!(error.kind, Kind::Read | Kind::RemoteProtocol), "cut at {cut}: {error:?}");
        assert!(error.sent);
        assert_eq!(reactor.counts().open, 0);
    }
}

#[test]
fn an_idle_connection_is_closed_when_it_is_old() {
    let at = serve(|_, stream| drop(std::thread::spawn(move || answer_all(stream, OK))));
    let keep_alive = Some(Duration::from_millis(20));
    let mut reactor = Reactor::new(Bounds { keep_alive, ..Bounds::default() }).unwrap();
    reactor.send(get(&direct(at), "/"));
    answer(one(&mut reactor));
    wait_until(|| {
        reactor.turn().unwrap();
        reactor.counts().open == 0
    });
}

#[test]
fn an_idle_connection_that_the_other_side_closes_is_closed() {
    let (closing, closes) = std::sync::mpsc::channel::<()>();
    let closes = std::sync::Mutex::new(closes);
    let at = serve(move |_, mut stream| {
        if read_head(&mut stream) {
            stream.write_all(OK).unwrap();
            closes.lock().unwrap().recv().unwrap();
        }
    });
    let mut reactor = Reactor::new(Bounds { keep_alive: None, ..Bounds::default() }).unwrap();
    reactor.send(get(&direct(at), "/"));
    assert_eq!(body(&answer(one(&mut reactor))), "hello");
    reactor.turn().unwrap();
    assert_eq!((reactor.counts().open, reactor.counts().idle), (1, 1));
    closing.send(()).unwrap();
    wait_until(|| {
        reactor.turn().unwrap();
        reactor.counts().open == 0
    });
}

#[test]
fn a_copy_of_the_descriptor_in_a_child_leaves_the_parent_alone() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let route = through(&fleet, 0, Protocol::Http, false);
    let mut reactor = reactor();
    reactor.send(get(&route, "/whoami"));
    answer(one(&mut reactor));
    // What a child does when it drops its copies: it closes descriptors, and asks the shared epoll for nothing.
    // SAFETY: the duplicate belongs to nobody else.
    let copy = unsafe { OwnedFd::from_raw_fd(libc::dup(reactor.descriptor().expect("nothing watches it apart"))) };
    assert!(copy.as_raw_fd() >= 0);
    drop(copy);
    reactor.send(get(&route, "/whoami"));
    assert_eq!(answer(one(&mut reactor)).cost.dialled, None);
}
