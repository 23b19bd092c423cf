//! Connections that serve many requests, and those that turn out to be closed.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxywhirl::drive::blocking::Wire;
use proxywhirl::drive::order::{Order, OrderBody};
use proxywhirl::fleet::{Behaviour, Scheme};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::Kind;

use crate::common::*;

#[test]
fn one_connection_serves_all_requests_of_a_thread() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    for tls in [false, true] {
        let order = get(&through(&fleet, 0, Protocol::Http, tls), "/bytes/1000");
        for _ in 0..50 {
            assert_eq!(send(&wire, &order).unwrap().body.decoded.len(), 1000);
        }
    }
    assert_eq!(fleet.counts(0).unwrap().connections, 2);
    assert_eq!(wire.counts().idle, 2);
}

#[test]
fn sites_share_the_connections_to_a_proxy_that_forwards() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    let proxy = proxy(1, Protocol::Http, fleet.addresses()[0], None);
    for host in ["a.test", "b.test", "c.test"] {
        let options = |by_origin| proxywhirl::wire::route::RouteOptions {
            by_origin,
            ..proxywhirl::wire::route::RouteOptions::new(Some(proxy.clone()), origin(false, host, 80), no_tls())
        };
        for _ in 0..2 {
            send(&wire, &get(&proxywhirl::wire::route::Route::new(options(false)), "/")).unwrap();
            send(&wire, &get(&proxywhirl::wire::route::Route::new(options(true)), "/")).unwrap();
        }
    }
    assert_eq!(fleet.counts(0).unwrap().connections, 1 + 3);
}

#[test]
fn a_server_that_closes_after_each_answer_costs_no_error() {
    // At once, or a moment later: before the next request is written, or under it.
    for pause in [0, 1, 2] {
        let at = serve(move |_, mut stream| {
            if read_head(&mut stream) {
                stream.write_all(OK).unwrap();
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        let wire = wire();
        let order = get(&direct(at), "/");
        for _ in 0..300 {
            assert_eq!(send(&wire, &order).unwrap().body.decoded, b"hello");
        }
    }
}

/// Serves one request on each connection, and ends the second one without an answer: with RST or FIN.
fn fickle(with_reset: bool) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heads);
    let at = serve(move |_, mut stream| {
        if read_head(&mut stream) {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(OK).unwrap();
        }
        if read_head(&mut stream) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        if with_reset { reset(stream) } else { drop(stream) }
    });
    (at, heads)
}

#[test]
fn a_stale_connection_is_replaced_once_and_only_where_a_request_may_be_sent_twice() {
    for with_reset in [false, true] {
        let (at, heads) = fickle(with_reset);
        let wire = wire();
        let order = get(&direct(at), "/");
        send(&wire, &order).unwrap();
        send(&wire, &order).unwrap();
        assert_eq!(heads.load(Ordering::SeqCst), 3, "the second was sent twice");
        let once = Order { is_repeatable: false, ..order };
        let error = send(&wire, &once).unwrap_err();
        assert!(matches!(error.kind, Kind::Read | Kind::RemoteProtocol), "{error:?}");
        assert!(error.sent);
        assert_eq!(heads.load(Ordering::SeqCst), 4);
    }
}

#[test]
fn a_body_that_was_pulled_is_not_sent_twice() {
    let (at, _) = fickle(false);
    let wire = wire();
    send(&wire, &get(&direct(at), "/")).unwrap();
    let order = ask("PUT", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let order = Order { body: OrderBody::Pulled, ..order };
    let mut pieces = vec![b"body".to_vec()];
    let sent = wire.send(&order, Some(&mut || Ok(pieces.pop())), &mut || false, &mut Default::default());
    assert!(sent.is_err());
}

#[test]
fn a_new_connection_that_ends_without_an_answer_is_an_error() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
    });
    let error = send(&wire(), &get(&direct(at), "/")).unwrap_err();
    assert_eq!(error.kind, Kind::RemoteProtocol);
    assert_eq!(error.text(), "Server disconnected without sending a response.");
}

#[test]
fn what_says_that_it_ends_is_not_kept() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        // Two readers could see two bodies.
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let at = serve(move |_, mut stream| {
            read_head(&mut stream);
            stream.write_all(answer).unwrap();
            let _ = stream.shutdown(Shutdown::Write);
            read_head(&mut stream);
        });
        let wire = wire();
        send(&wire, &ask("GET", &direct(at), "/", &[("Upgrade", "x")])).unwrap();
        assert_eq!((wire.counts().open, wire.counts().idle), (0, 0), "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn what_a_server_says_unasked_is_no_answer_to_the_next_request() {
    let at = serve(|number, mut stream| {
        read_head(&mut stream);
        stream.write_all(OK).unwrap();
        if number == 0 {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        read_head(&mut stream);
    });
    let wire = wire();
    send(&wire, &get(&direct(at), "/")).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(send(&wire, &get(&direct(at), "/")).unwrap().head.status, 200);
}

#[test]
fn habitual_closers_are_not_kept() {
    let at = serve(|_, mut stream| {
        if read_head(&mut stream) {
            stream.write_all(OK).unwrap();
        }
    });
    let wire = wire();
    let order = get(&direct(at), "/");
    for _ in 0..2 {
        send(&wire, &order).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    // The second found the first closed, the third the second: then none is kept.
    send(&wire, &order).unwrap();
    send(&wire, &order).unwrap();
    assert_eq!(wire.counts().idle, 0);
}

#[test]
fn idle_connections_end_after_their_time() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let wire = Wire::new(Bounds { keep_alive: Some(Duration::from_millis(50)), ..Bounds::default() });
    let order = get(&through(&fleet, 0, Protocol::Http, false), "/");
    send(&wire, &order).unwrap();
    assert_eq!(wire.counts().idle, 1);
    std::thread::sleep(Duration::from_millis(60));
    wire.expire();
    assert_eq!(wire.counts().open, 0);
    wait_until(|| fleet.counts(0).unwrap().active_connections == 0);
    send(&wire, &order).unwrap();
    assert_eq!(fleet.counts(0).unwrap().connections, 2);
}
