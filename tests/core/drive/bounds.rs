//! How many connections there may be, and how long a request may take.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxywhirl::drive::answer::Cost;
use proxywhirl::drive::blocking::Wire;
use proxywhirl::drive::order::Order;
use proxywhirl::fleet::{Behaviour, Fault, Latency, ProxySpec, Scheme};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::route::{Route, RouteOptions};

use crate::common::*;

fn ms(count: u64) -> Option<Duration> {
    Some(Duration::from_millis(count))
}

fn steady() -> u64 {
    use proxywhirl::clock::{Clock, SystemClock};
    SystemClock.steady()
}

#[test]
fn idle_connections_of_a_proxy_are_bounded_and_the_oldest_go_first() {
    let fleet = fleet(vec![scheme(Scheme::Http), scheme(Scheme::Http), scheme(Scheme::Http)]);
    let wire = Wire::new(Bounds { proxies: 2, keep_alive: None, ..Bounds::default() });
    let order = |index| get(&through(&fleet, index, Protocol::Http, false), "/");
    for index in [0, 1, 0, 2] {
        send(&wire, &order(index)).unwrap();
    }
    assert_eq!(wire.counts().idle, 2);
    send(&wire, &order(0)).unwrap();
    assert_eq!(fleet.counts(0).unwrap().connections, 1, "used after the second");
    send(&wire, &order(1)).unwrap();
    assert_eq!(fleet.counts(1).unwrap().connections, 2);

    let wire = Wire::new(Bounds { idle_per_proxy: 2, keep_alive: None, ..Bounds::default() });
    let long = get(&through(&fleet, 0, Protocol::Http, false), "/bytes/3000000");
    let streams: Vec<_> = (0..5).map(|_| open(&wire, &long).unwrap().1).collect();
    for mut stream in streams {
        while stream.next(Timeouts::default(), None, &mut || false).unwrap().is_some() {}
    }
    assert_eq!((wire.counts().open, wire.counts().idle), (2, 2));
}

#[test]
fn each_session_has_its_own_and_all_of_them_are_bounded() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let bounds = Bounds { idle_per_proxy: 1, proxies: 5, keep_alive: None, ..Bounds::default() };
    let wire = Wire::new(bounds);
    let order = |owner| {
        let proxy = proxy(1, Protocol::Http, fleet.addresses()[0], None);
        let options = RouteOptions { owner, ..RouteOptions::new(Some(proxy), site(false), no_tls()) };
        get(&Route::new(options), "/")
    };
    for owner in 0..20 {
        send(&wire, &order(Some(owner))).unwrap();
    }
    assert_eq!((wire.counts().open, wire.counts().idle), (5, 5));
    let before = fleet.counts(0).unwrap().connections;
    for owner in 15..20 {
        send(&wire, &order(Some(owner))).unwrap();
    }
    assert_eq!(fleet.counts(0).unwrap().connections, before, "the last five have kept theirs");
    let wire = Wire::new(Bounds { idle: 3, ..bounds });
    for owner in [None, Some(1), Some(2), Some(3)] {
        send(&wire, &order(owner)).unwrap();
    }
    assert_eq!(wire.counts().idle, 3);
}

#[test]
fn idle_connections_that_the_other_side_closes_are_closed_by_and_by() {
    // Every connection but the first is closed after the first answer, when all of them are idle.
    let (closing, closes) = std::sync::mpsc::channel::<()>();
    let closes = Arc::new(std::sync::Mutex::new(closes));
    let at = serve(move |number, mut stream| {
        let closes = Arc::clone(&closes);
        std::thread::spawn(move || {
            while read_head(&mut stream) {
                stream.write_all(OK).unwrap();
                if number > 0 {
                    closes.lock().unwrap().recv().unwrap();
                    return;
                }
            }
        });
    });
    let wire = Wire::new(Bounds { keep_alive: None, ..Bounds::default() });
    let order = |owner| {
        let origin = origin(false, "127.0.0.1", at.port());
        get(&Route::new(RouteOptions { owner, ..RouteOptions::new(None, origin, no_tls()) }), "/")
    };
    for owner in 0..100 {
        send(&wire, &order(Some(owner))).unwrap();
    }
    assert_eq!(wire.counts().idle, 100);
    for _ in 1..100 {
        closing.send(()).unwrap();
    }
    // None of those that are closed is asked for again.
    wait_until(|| {
        send(&wire, &order(Some(0))).unwrap();
        wire.counts().open == 1
    });
}

#[test]
fn an_idle_connection_makes_room_and_one_in_use_does_not() {
    let fleet = fleet(vec![scheme(Scheme::Http), scheme(Scheme::Http)]);
    let wire = Wire::new(Bounds { open: 1, keep_alive: None, ..Bounds::default() });
    let order = |index, path| get(&through(&fleet, index, Protocol::Http, false), path);
    send(&wire, &order(0, "/")).unwrap();
    send(&wire, &order(1, "/")).unwrap();
    assert_eq!(wire.counts().open, 1);
    let (_, stream) = open(&wire, &order(0, "/bytes/5000000")).unwrap();
    let waits = Order { timeouts: Timeouts { pool: ms(50), ..Timeouts::default() }, ..order(1, "/") };
    let error = send(&wire, &waits).unwrap_err();
    assert_eq!((error.kind, error.stage, error.sent), (Kind::PoolTimeout, Stage::Pool, false));
    drop(stream);
    send(&wire, &waits).unwrap();
}

#[test]
fn requests_wait_for_their_turn_within_the_bound_of_a_proxy() {
    let behaviour = Behaviour { latency: Latency::Fixed(5.0), ..Behaviour::default() };
    let fleet = fleet(vec![ProxySpec { behaviour, ..ProxySpec::default() }]);
    let wire = Wire::new(Bounds { open_per_proxy: 2, keep_alive: None, ..Bounds::default() });
    let order = get(&through(&fleet, 0, Protocol::Http, false), "/");
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(send(&wire, &order).unwrap().head.status, 200);
                }
            });
        }
    });
    assert!(fleet.counts(0).unwrap().connections <= 2);
    assert_eq!((wire.counts().open, wire.counts().idle), (2, 2));
}

#[test]
fn each_phase_has_its_timeout() {
    let hang = plain_fleet(Behaviour { fault: Some(Fault::Hang), ..Behaviour::default() });
    let all = Timeouts { connect: ms(60), read: ms(60), write: ms(60), pool: ms(60) };
    let limited = |order: Order| Order { timeouts: all, ..order };
    let wire = wire();
    let fate = |order: Order| send(&wire, &order).map_err(|error| (error.kind, error.stage, error.sent)).unwrap_err();
    let order = get(&through(&hang, 0, Protocol::Http, false), "/");
    assert_eq!(fate(limited(order)), (Kind::ReadTimeout, Stage::Head, true));
    let order = get(&through(&hang, 0, Protocol::Http, true), "/");
    assert_eq!(fate(limited(order)), (Kind::ConnectTimeout, Stage::Handshake, false));
    // A listener that accepts nothing more: the handshake of TCP is not answered.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = full.local_addr().unwrap();
    let silent = serve(|_, stream| std::mem::forget(stream));
    let secure = {
        let origin = origin(true, "127.0.0.1", silent.port());
        Route::new(RouteOptions::new(None, origin, no_tls()))
    };
    assert_eq!(fate(limited(get(&secure, "/"))), (Kind::ConnectTimeout, Stage::TargetTls, false));
    let body = vec![0_u8; 20 << 20];
    let length = body.len().to_string();
    let order = ask("POST", &direct(at), "/", &[("Content-Length", &length)]);
    let order = Order { body: proxywhirl::drive::order::OrderBody::Bytes(Arc::new(body)), ..order };
    assert_eq!(fate(limited(order)), (Kind::WriteTimeout, Stage::Write, true));
    assert_eq!(wire.counts().open, 0);
}

#[test]
fn a_deadline_ends_every_phase() {
    let hang = plain_fleet(Behaviour { fault: Some(Fault::Hang), ..Behaviour::default() });
    for (tls, stage) in [(false, Stage::Head), (true, Stage::Handshake)] {
        let order = get(&through(&hang, 0, Protocol::Http, tls), "/");
        let order = Order { deadline: Some(steady() + 50_000_000), ..order };
        let error = send(&wire(), &order).unwrap_err();
        assert_eq!((error.kind, error.stage), (Kind::Deadline, stage));
    }
}

#[test]
fn drips_end() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        let head = b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
        for byte in head {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let order = Order { timeouts: Timeouts { read: ms(100), ..Timeouts::default() }, ..get(&direct(at), "/") };
    let error = send(&wire(), &order).unwrap_err();
    assert_eq!((error.kind, error.stage), (Kind::ReadTimeout, Stage::Head));

    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let order = Order { timeouts: Timeouts { read: ms(100), ..Timeouts::default() }, ..get(&direct(at), "/") };
    let error = send(&wire(), &order).unwrap_err();
    assert_eq!((error.kind.clone(), error.stage), (Kind::ReadTimeout, Stage::Body));
    assert!(error.text().contains("500 bytes"), "{error}");
}

#[test]
fn an_interrupt_is_noticed_while_nothing_happens() {
    let hang = plain_fleet(Behaviour { fault: Some(Fault::Hang), ..Behaviour::default() });
    let order = get(&through(&hang, 0, Protocol::Http, false), "/");
    let begun = Instant::now();
    let mut asked = 0;
    let mut interrupted = || {
        asked += 1;
        asked == 3
    };
    let error = wire().send(&order, None, &mut interrupted, &mut Cost::default()).unwrap_err();
    assert_eq!((error.kind, error.sent), (Kind::Interrupted, true));
    // Three slices of 100 ms.
    assert!(begun.elapsed() >= Duration::from_millis(250));
    assert_eq!(asked, 3);
}

#[test]
fn what_was_sent_and_received_is_counted() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    let mut cost = Cost::default();
    let order = get(&through(&fleet, 0, Protocol::Http, false), "/bytes/1000");
    wire.send(&order, None, &mut || false, &mut cost).unwrap();
    let request = "GET http://site-a.test/bytes/1000 HTTP/1.1\r\nHost: site-a.test\r\n\r\n";
    assert_eq!(cost.sent, request.len() as u64);
    assert!(cost.received > 1000 && cost.received < 1400, "{cost:?}");
    assert!(cost.dialled.is_some());
    let before = cost;
    let mut cost = Cost::default();
    wire.send(&order, None, &mut || false, &mut cost).unwrap();
    assert_eq!((cost.dialled, cost.sent), (None, before.sent));
    let mut cost = Cost::default();
    wire.send(&get(&through(&fleet, 0, Protocol::Http, true), "/bytes/1000"), None, &mut || false, &mut cost).unwrap();
    assert!(cost.sent > before.sent + 200 && cost.received > before.received + 500, "with CONNECT and TLS: {cost:?}");
}

#[test]
fn a_body_without_end_is_bounded_by_the_deadline_and_by_an_interrupt() {
    // Reads everything, and answers nothing.
    let at = serve(|_, mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
    let order = ask("POST", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let order = Order { body: proxywhirl::drive::order::OrderBody::Pulled, ..order };
    let mut pull = || Ok(Some(vec![0; 1000]));
    let mut asked = 0;
    let mut interrupted = || {
        asked += 1;
        asked == 2
    };
    let error = wire().send(&order, Some(&mut pull), &mut interrupted, &mut Cost::default()).unwrap_err();
    assert_eq!((error.kind, error.stage), (Kind::Interrupted, Stage::Write));
    let late = Order { deadline: Some(steady() + 150_000_000), ..order };
    let error = wire().send(&late, Some(&mut pull), &mut || false, &mut Cost::default()).unwrap_err();
    assert_eq!((error.kind, error.stage), (Kind::Deadline, Stage::Write));
}

#[test]
fn nothing_is_sent_after_the_deadline() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    let order = get(&through(&fleet, 0, Protocol::Http, false), "/");
    send(&wire, &order).unwrap();
    let error = send(&wire, &Order { deadline: Some(steady()), ..order }).unwrap_err();
    assert_eq!((error.kind, error.sent), (Kind::Deadline, false));
    assert_eq!(fleet.counts(0).unwrap().requests, 1);
}
