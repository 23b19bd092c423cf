//! Connections that break at every byte: an error each time, never a hang, and nothing is left open.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxywhirl::drive::order::Order;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::route::{Route, RouteOptions};

use crate::common::*;
use crate::replies::*;

fn limited(order: Order) -> Order {
    let soon = Some(Duration::from_secs(20));
    Order { timeouts: Timeouts { connect: soon, read: soon, write: soon, pool: soon }, is_repeatable: false, ..order }
}

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

#[test]
fn an_answer_that_ends_at_any_byte_is_an_error() {
    for with_reset in [false, true] {
        let at = serve(move |number, mut stream| {
            read_head(&mut stream);
            stream.write_all(&ANSWER[..number]).unwrap();
            if with_reset {
                // What was written is read before the reset is.
                std::thread::sleep(Duration::from_millis(2));
                reset(stream);
            }
        });
        let wire = wire();
        for cut in 0..ANSWER.len() {
            let error = send(&wire, &limited(get(&direct(at), "/"))).unwrap_err();
            assert!(error.sent, "{cut}");
            assert!(matches!(error.kind, Kind::RemoteProtocol | Kind::Read), "{cut}: {error:?}");
            let head = ANSWER.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            if !with_reset {
                assert_eq!(error.stage, if cut < head { Stage::Head } else { Stage::Body }, "{cut}");
            }
        }
        assert_eq!(wire.counts().open, 0);
        assert_eq!(send(&wire, &limited(get(&direct(at), "/"))).unwrap().body.decoded, b"hello");
    }
}

#[test]
fn a_coded_body_that_the_end_of_the_connection_cuts_off_was_asked_for() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08").unwrap();
    });
    let order = limited(ask("POST", &direct(at), "/", &[]));
    let blocking = send(&wire(), &order).unwrap_err();
    let mut reactor = reactor();
    reactor.send(order);
    for error in [blocking, failure(one(&mut reactor))] {
        assert_eq!((&error.kind, error.sent), (&Kind::Decoding, true), "{error:?}");
    }
}

#[test]
fn a_handshake_that_ends_at_any_byte_is_the_proxys_fault() {
    const CONNECT: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
    const SOCKS5: &[u8] = &[5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
    const SOCKS4: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
    for (protocol, said) in [(Protocol::Http, CONNECT), (Protocol::Socks5, SOCKS5), (Protocol::Socks4, SOCKS4)] {
        let at = serve(move |number, mut stream| {
            let mut some = [0; 512];
            let _ = stream.read(&mut some);
            if protocol == Protocol::Socks5 && number > 2 {
                let _ = stream.write_all(&said[..2]);
                let _ = stream.read(&mut some);
                let _ = stream.write_all(&said[2..number]);
            } else {
                let _ = stream.write_all(&said[..number]);
            }
        });
        let route = Route::new(RouteOptions {
            always_tunnel: true,
            ..RouteOptions::new(Some(proxy(1, protocol, at, None)), site(false), no_tls())
        });
        let wire = wire();
        for cut in 0..said.len() {
            let error = send(&wire, &limited(get(&route, "/"))).unwrap_err();
            assert_eq!((error.stage, error.sent), (Stage::Handshake, false), "{protocol:?} {cut}: {error:?}");
            assert!(matches!(error.kind, Kind::Proxy(None) | Kind::Connect), "{protocol:?} {cut}: {error:?}");
        }
        assert_eq!(wire.counts().open, 0);
    }
}

/// Passes bytes between a client and a server, and breaks both connections after so many from the server.
fn breaker(to: std::net::SocketAddr, after: Arc<AtomicUsize>) -> std::net::SocketAddr {
    serve(move |_, mut client| {
        let mut server = std::net::TcpStream::connect(to).unwrap();
        let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut up_from, &mut up_to);
            let _ = up_to.shutdown(std::net::Shutdown::Both);
        });
        let mut left = after.load(Ordering::SeqCst);
        let mut some = [0; 4096];
        while left > 0 {
            let Ok(got @ 1..) = server.read(&mut some) else { break };
            let got = got.min(left);
            if client.write_all(&some[..got]).is_err() {
                break;
            }
            left -= got;
        }
        let _ = client.shutdown(std::net::Shutdown::Both);
        let _ = server.shutdown(std::net::Shutdown::Both);
        up.join().unwrap();
    })
}

#[test]
fn tls_inside_of_tls_that_breaks_anywhere_is_an_error_of_its_stage() {
    let fleet = fleet(vec![scheme(proxywhirl::fleet::Scheme::Https)]);
    let after = Arc::new(AtomicUsize::new(0));
    let at = breaker(fleet.addresses()[0], Arc::clone(&after));
    let profile = trusting(&fleet);
    let options = RouteOptions::new(Some(proxy(1, Protocol::Https, at, None)), site(true), profile);
    let route = Route::new(options);
    let wire = wire();
    let mut stages = Vec::new();
    let mut cut = 0;
    loop {
        // A new profile would make a full handshake each time; resumed ones are as good.
        after.store(cut, Ordering::SeqCst);
        match send(&wire, &limited(get(&route, "/bytes/1000"))) {
            Ok(answer) => {
                assert_eq!(answer.body.decoded.len(), 1000);
                break;
            }
            Err(error) => {
                assert!(!matches!(error.kind, Kind::ReadTimeout | Kind::ConnectTimeout), "{cut}: {error:?}");
                assert_eq!(error.sent, error.stage >= Stage::Write, "{cut}: {error:?}");
                stages.push(error.stage);
            }
        }
        cut += 97;
        assert!(cut < 100_000);
    }
    stages.dedup();
    for stage in [Stage::ProxyTls, Stage::Handshake, Stage::TargetTls, Stage::Head] {
        assert!(stages.contains(&stage) || stage == Stage::Handshake, "{stage:?} in {stages:?}");
    }
    wire.evict_all();
    assert_eq!(wire.counts().open, 0);
}

/// Descriptors of sockets that lead to one port.
fn sockets_to(port: u16) -> usize {
    let name = format!(":{port:04X} ");
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let inodes: Vec<&str> = table
        .lines()
        .filter(|line| line.split_whitespace().nth(2).is_some_and(|far| format!("{far} ").ends_with(&name)))
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| {
            let link = link.to_string_lossy().into_owned();
            inodes.iter().any(|inode| link == format!("socket:[{inode}]"))
        })
        .count()
}

#[test]
fn nothing_is_left_open() {
    let at = serve(|number, mut stream| {
        read_head(&mut stream);
        match number % 4 {
            0 => stream.write_all(OK).unwrap(),
            1 => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").unwrap(),
            2 => stream.write_all(b"garbage\r\n\r\n").unwrap(),
            _ => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
                while stream.write_all(&[0; 1000]).is_ok() {}
            }
        }
    });
    let wire = wire();
    for _ in 0..100 {
        let sent = wire.send(
            &Order { is_whole: false, ..limited(get(&direct(at), "/")) },
            None,
            &mut || false,
            &mut Default::default(),
        );
        drop(sent);
    }
    wire.evict_all();
    assert_eq!(wire.counts().open, 0);
    assert_eq!(sockets_to(at.port()), 0);
}
