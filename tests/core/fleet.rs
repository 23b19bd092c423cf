//! The fleet through its public face, over real sockets, with a client that is too simple to help it.

// Scripted delays run on real time, and so does their check.
#![allow(clippy::disallowed_methods)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use proxywhirl::fleet::{
    Bans, Behaviour, Fault, Flap, FlapUnit, Fleet, FleetError, FleetSpec, Latency, Login, ProxySpec, RateLimit, Scheme,
};

fn fleet_of(behaviours: impl IntoIterator<Item = Behaviour>) -> Fleet {
    fleet_with(behaviours.into_iter().map(|behaviour| ProxySpec { behaviour, ..ProxySpec::default() }))
}

fn fleet_with(proxies: impl IntoIterator<Item = ProxySpec>) -> Fleet {
    Fleet::start(&FleetSpec { proxies: proxies.into_iter().collect(), ..FleetSpec::default() }).unwrap()
}

fn constant(fault: Fault) -> Behaviour {
    Behaviour { fault: Some(fault), ..Behaviour::default() }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

fn get(path: &str) -> String {
    format!("GET http://site-a.test{path} HTTP/1.1\r\nHost: site-a.test\r\n\r\n")
}

/// One message: head, and as much body as `Content-Length` says.
fn read_message(stream: &mut TcpStream) -> io::Result<String> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        seen.push(byte[0]);
    }
    let head = String::from_utf8(seen).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(head + &String::from_utf8_lossy(&body))
}

fn ask(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    read_message(stream)
}

/// The status of one request over a connection of its own.
fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    let answer = ask(&mut connect(address)?, &get(path))?;
    Ok(answer[9..12].parse().unwrap())
}

#[test]
fn requests_on_one_connection_share_one_connection_to_the_origin() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    for _ in 0..10 {
        let answer = ask(&mut stream, &get("/whoami")).unwrap();
        assert!(answer.contains("\"proxy\": \"proxy-0\""), "{answer}");
        assert!(answer.contains("\"site\": \"site-a.test\""), "{answer}");
    }
    let (proxy, origin) = (fleet.counts(0).unwrap(), fleet.origin_counts().unwrap());
    assert_eq!((proxy.connections, proxy.requests), (1, 10));
    assert_eq!((origin.connections, origin.requests), (1, 10));
    assert_eq!(origin.by_proxy, [10]);
    assert_eq!(origin.by_site, [("site-a.test".to_owned(), 10)]);
    assert!(proxy.bytes_up > 0 && proxy.bytes_down > 0);
}

#[test]
fn idle_connections_to_the_origin_serve_other_clients() {
    let fleet = fleet_of([Behaviour::default()]);
    for _ in 0..5 {
        assert_eq!(status(fleet.addresses()[0], "/").unwrap(), 200);
        // The proxy puts the connection back when it has seen the client go.
        let start = Instant::now();
        while fleet.counts(0).unwrap().active_connections > 0 {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
    }
    assert_eq!(fleet.origin_counts().unwrap().connections, 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let all: String = (0..20).map(|i| get(&format!("/status/{}", 200 + i))).collect();
    // 204 and 205 would need other reading; the range keeps to ones with a body.
    let all = all.replace("/status/204", "/status/400").replace("/status/205", "/status/401");
    stream.write_all(all.as_bytes()).unwrap();
    for i in 0..20 {
        let expected = match 200 + i {
            204 => 400,
            205 => 401,
            other => other,
        };
        let answer = read_message(&mut stream).unwrap();
        assert_eq!(answer[9..12].parse::<u16>().unwrap(), expected);
    }
}

#[test]
fn bodies_pass_with_length_in_chunks_and_after_100_continue() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let head = "POST http://a.test/echo HTTP/1.1\r\nHost: a.test\r\n";
    let answer = ask(&mut stream, &format!("{head}Content-Length: 5\r\n\r\nhello")).unwrap();
    assert!(answer.contains("\"body\": \"hello\""), "{answer}");
    let chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
    let answer = ask(&mut stream, &format!("{head}{chunks}")).unwrap();
    assert!(answer.contains("\"body\": \"abcdefg\""), "{answer}");
    let expect = format!("{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(ask(&mut stream, &expect).unwrap().starts_with("HTTP/1.1 100 "));
    let answer = ask(&mut stream, "ok").unwrap();
    assert!(answer.contains("\"body\": \"ok\""), "{answer}");
    assert_eq!(fleet.counts(0).unwrap().connections, 1);
}

#[test]
fn fields_for_the_proxy_do_not_reach_the_origin() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let answer = ask(
        &mut stream,
        "GET http://a.test/echo HTTP/1.1\r\nHost: lie.test\r\nProxy-Authorization: Basic c2VjcmV0\r\n\
         Proxy-Connection: keep-alive\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n",
    )
    .unwrap();
    assert!(answer.contains("\"headers\": {\"host\": \"a.test\", \"x-end\": \"2\"}"), "{answer}");
}

#[test]
fn only_loopback_and_known_names_are_connected_to() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    for url in ["http://example.com/", "http://192.0.2.1/", "http://[2001:db8::1]/"] {
        let answer = ask(&mut stream, &format!("GET {url} HTTP/1.1\r\n\r\n")).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 "), "{url}: {answer}");
    }
    assert_eq!(fleet.counts(0).unwrap().blocked, 3);
}

#[test]
fn logins_are_demanded() {
    let fleet = fleet_with([ProxySpec {
        login: Some(Login { user: "user".into(), password: "pass".into() }),
        ..ProxySpec::default()
    }]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let answer = ask(&mut stream, &get("/")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 407 ") && answer.contains("Proxy-Authenticate: Basic "));
    let with = get("/").replace("\r\n\r\n", "\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    assert!(ask(&mut stream, &with).unwrap().starts_with("HTTP/1.1 200 "));
    let counts = fleet.counts(0).unwrap();
    assert_eq!((counts.auth_failures, counts.requests), (1, 1));
}

#[test]
fn a_dead_proxy_refuses_and_a_healed_one_keeps_its_port() {
    let fleet = fleet_of([constant(Fault::Refuse)]);
    let address = fleet.addresses()[0];
    for _ in 0..3 {
        let error = connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        fleet.set_behaviour(0, Behaviour::default()).unwrap();
        let mut kept = connect(address).unwrap();
        assert!(ask(&mut kept, &get("/")).unwrap().starts_with("HTTP/1.1 200 "));
        fleet.set_behaviour(0, constant(Fault::Refuse)).unwrap();
        // What was open before the outage breaks at its next request.
        let error = ask(&mut kept, &get("/")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn faults_are_what_they_are_called() {
    let fleet =
        fleet_of([constant(Fault::Reset), constant(Fault::Cut), constant(Fault::Status(503)), constant(Fault::Hang)]);
    let address = fleet.addresses();
    let error = status(address[0], "/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    for path in ["/bytes/1000", "/bytes/3", "/stream/3"] {
        let mut stream = connect(address[1]).unwrap();
        stream.write_all(get(path).as_bytes()).unwrap();
        let mut seen = String::new();
        stream.read_to_string(&mut seen).unwrap();
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{seen}");
        assert!(body.len() <= 64 && !body.ends_with("0\r\n\r\n") && body.len() != 3, "{seen}");
    }
    assert_eq!(status(address[2], "/").unwrap(), 503);
    let mut hung = connect(address[3]).unwrap();
    hung.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = ask(&mut hung, &get("/")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    let counted: Vec<_> = (0..4).map(|i| fleet.counts(i).unwrap().faults).collect();
    assert_eq!(counted, [[("reset", 1)], [("cut", 3)], [("503", 1)], [("hang", 1)]]);
    // A hanging connection does not outlive the hanging.
    fleet.set_behaviour(3, Behaviour::default()).unwrap();
    hung.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(hung.read(&mut [0]).unwrap(), 0);
}

#[test]
fn luck_is_the_same_for_the_same_seed() {
    let fates = |seed| {
        let fleet = Fleet::start(&FleetSpec {
            proxies: vec![ProxySpec {
                behaviour: Behaviour { fail_rate: 0.5, ..Behaviour::default() },
                ..ProxySpec::default()
            }],
            seed,
            ..FleetSpec::default()
        })
        .unwrap();
        let address = fleet.addresses()[0];
        (0..64).map(|_| status(address, "/").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
}

#[test]
fn schedules_count_requests() {
    let fleet = fleet_of([Behaviour {
        fail_first: 1,
        flap: Some(Flap { up: 2, down: 1, unit: FlapUnit::Requests }),
        fail_with: Fault::Status(504),
        ..Behaviour::default()
    }]);
    let address = fleet.addresses()[0];
    let fates: Vec<_> = (0..7).map(|_| status(address, "/").unwrap()).collect();
    assert_eq!(fates, [504, 200, 200, 504, 200, 200, 504]);
}

#[test]
fn sites_ban_and_limit() {
    let fleet = fleet_of([
        Behaviour { bans: Bans { sites: vec![("site-a.test".into(), 2)], ..Bans::default() }, ..Behaviour::default() },
        Behaviour {
            rate_limit: Some(RateLimit { requests: 1, window: Duration::from_secs(100) }),
            ..Behaviour::default()
        },
    ]);
    let address = fleet.addresses();
    let fates: Vec<_> = (0..3).map(|_| status(address[0], "/").unwrap()).collect();
    assert_eq!(fates, [200, 200, 403]);
    let other = get("/").replace("site-a", "site-b");
    let answer = ask(&mut connect(address[0]).unwrap(), &other).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "));
    assert_eq!(status(address[1], "/").unwrap(), 200);
    let answer = ask(&mut connect(address[1]).unwrap(), &get("/")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("Retry-After: 100\r\n"), "{answer}");
    assert_eq!(fleet.counts(0).unwrap().faults, [("ban", 1)]);
    assert_eq!(fleet.counts(1).unwrap().faults, [("rate_limit", 1)]);
    fleet.set_behaviour(0, Behaviour::default()).unwrap();
    assert_eq!(status(address[0], "/").unwrap(), 200);
}

#[test]
fn latency_delays_and_tunnels_turn() {
    let fleet = fleet_of([Behaviour { latency: Latency::Fixed(50.0), ..Behaviour::default() }]);
    let ms = |start: Instant| start.elapsed().as_millis();
    let start = Instant::now();
    assert_eq!(status(fleet.addresses()[0], "/").unwrap(), 200);
    assert!(ms(start) >= 50);
    let mut tunnel = connect(fleet.addresses()[0]).unwrap();
    let start = Instant::now();
    let answer = ask(&mut tunnel, "CONNECT site-a.test:80 HTTP/1.1\r\n\r\n").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && ms(start) >= 50);
    for _ in 0..2 {
        let start = Instant::now();
        let answer = ask(&mut tunnel, "GET /whoami HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        assert!(answer.contains("\"index\": 0") && ms(start) >= 50);
    }
    assert_eq!(fleet.counts(0).unwrap().tunnels, 1);
}

#[test]
fn an_outage_breaks_tunnels() {
    for fault in [Fault::Reset, Fault::Status(502)] {
        let fleet = fleet_of([Behaviour::default()]);
        let mut tunnel = connect(fleet.addresses()[0]).unwrap();
        ask(&mut tunnel, "CONNECT site-a.test:80 HTTP/1.1\r\n\r\n").unwrap();
        ask(&mut tunnel, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        fleet.set_behaviour(0, constant(fault)).unwrap();
        match tunnel.read(&mut [0]) {
            Ok(n) => assert_eq!((n, fault), (0, Fault::Status(502))),
            Err(error) => assert_eq!((error.kind(), fault), (ErrorKind::ConnectionReset, Fault::Reset)),
        }
    }
}

#[test]
fn socks_names_are_resolved_by_the_proxy() {
    let scheme = |scheme| ProxySpec { scheme, ..ProxySpec::default() };
    let fleet = fleet_with([scheme(Scheme::Socks4), scheme(Scheme::Socks5)]);
    let whoami = "GET /whoami HTTP/1.1\r\nHost: site-a.test\r\n\r\n";

    let mut four = connect(fleet.addresses()[0]).unwrap();
    four.write_all(b"\x04\x01\x00\x50\x00\x00\x00\x01me\0site-a.test\0").unwrap();
    let mut reply = [0; 8];
    four.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..2], [0, 90]);
    assert!(ask(&mut four, whoami).unwrap().contains("\"index\": 0"));

    let mut five = connect(fleet.addresses()[1]).unwrap();
    five.write_all(b"\x05\x01\x00\x05\x01\x00\x03\x0bsite-a.test\x00\x50").unwrap();
    let mut reply = [0; 12];
    five.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..6], [5, 0, 5, 0, 0, 1]);
    assert!(ask(&mut five, whoami).unwrap().contains("\"index\": 1"));

    let mut far = connect(fleet.addresses()[1]).unwrap();
    far.write_all(b"\x05\x01\x00\x05\x01\x00\x01\x08\x08\x08\x08\x00\x50").unwrap();
    far.read_exact(&mut reply).unwrap();
    assert_eq!(reply[2..4], [5, 2]);
    assert_eq!(fleet.counts(1).unwrap().blocked, 1);
}

#[test]
fn garbage_is_survived() {
    let of = |scheme| ProxySpec { scheme, ..ProxySpec::default() };
    let fleet = fleet_with([of(Scheme::Http), of(Scheme::Https), of(Scheme::Socks4), of(Scheme::Socks5)]);
    let mut state = 1_u64;
    let mut pieces: Vec<Vec<u8>> = (0..50)
        .map(|i| {
            (0..i * 7)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect()
        })
        .collect();
    pieces.push(b"GET http://a.test/ HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_vec());
    pieces.push(b"CONNECT a.test:99999 HTTP/1.1\r\n\r\n".to_vec());
    pieces.push(b"\x05\xff".to_vec());
    pieces.push([b"\x04\x01\x00\x50\x00\x00\x00\x01".to_vec(), vec![b'x'; 2000]].concat());
    pieces.push([b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 70_000]].concat());
    let targets = fleet.addresses().into_iter().chain([fleet.http(), fleet.https()]);
    for target in targets {
        for piece in &pieces {
            let mut stream = connect(target).unwrap();
            // The server may have hung up already.
            let _ = stream.write_all(piece);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut seen = Vec::new();
            let _ = stream.read_to_end(&mut seen);
        }
    }
    assert_eq!(status(fleet.addresses()[0], "/").unwrap(), 200);
    let mut large = connect(fleet.addresses()[0]).unwrap();
    large.write_all(pieces.last().unwrap()).unwrap();
    assert!(read_message(&mut large).unwrap().starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_stopped_fleet_leaves_no_port_and_keeps_its_counters() {
    let fleet = fleet_of([Behaviour::default(), constant(Fault::Hang)]);
    let addresses = fleet.addresses();
    assert_eq!(status(addresses[0], "/").unwrap(), 200);
    let mut hung = connect(addresses[1]).unwrap();
    hung.write_all(get("/").as_bytes()).unwrap();
    let start = Instant::now();
    fleet.stop();
    fleet.stop();
    // The hanging proxy would hang for ever.
    assert!(start.elapsed() < Duration::from_secs(60));
    for address in addresses.into_iter().chain([fleet.http(), fleet.https()]) {
        assert_eq!(connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    assert!(matches!(hung.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(fleet.counts(0).unwrap().requests, 1);
    let error = fleet.set_behaviour(0, Behaviour::default()).unwrap_err();
    assert!(matches!(error, FleetError::Stopped), "{error}");
}

#[test]
fn many_fleets_and_workers_come_and_go() {
    for workers in [1, 2, 3] {
        for _ in 0..5 {
            let fleet = Fleet::start(&FleetSpec { workers, ..FleetSpec::default() }).unwrap();
            for address in fleet.addresses() {
                assert_eq!(status(address, "/bytes/100000").unwrap(), 200);
            }
        }
    }
}

#[test]
fn nonsense_is_named() {
    let error = Fleet::start(&FleetSpec { workers: 0, ..FleetSpec::default() }).unwrap_err();
    assert!(error.to_string().starts_with("workers: "), "{error}");
    let twins = vec![ProxySpec { name: "proxy-1".into(), ..ProxySpec::default() }, ProxySpec::default()];
    let error = Fleet::start(&FleetSpec { proxies: twins, ..FleetSpec::default() }).unwrap_err();
    assert!(error.to_string().starts_with("name: "), "{error}");
}

/// Waits for what another thread is about to count.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_client_that_gives_up_is_not_waited_for() {
    let fleet =
        fleet_of([Behaviour::default(), Behaviour { latency: Latency::Fixed(600_000.0), ..Behaviour::default() }]);
    for (index, path) in [(0, "/delay/600000"), (1, "/")] {
        let mut stream = connect(fleet.addresses()[index]).unwrap();
        stream.write_all(get(path).as_bytes()).unwrap();
        eventually("the request arrives", || fleet.counts(index).unwrap().requests == 1);
        drop(stream);
        eventually("the connection ends", || fleet.counts(index).unwrap().active_connections == 0);
    }
}

#[test]
fn a_destination_that_answers_before_it_has_the_body_is_heard() {
    let fleet = fleet_of([Behaviour::default()]);
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let head = "POST http://a.test/echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // Sends until the proxy has seen enough; the answer must survive that.
    let mut writer = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let piece = [0; 65_536];
        while writer.write_all(&piece).is_ok() {}
    });
    let answer = read_message(&mut stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    drop(stream);
    fleet.stop();
    sending.join().unwrap();
}

#[test]
fn a_destination_that_is_not_there_is_a_bad_gateway() {
    let fleet = fleet_of([Behaviour::default()]);
    // The port of a proxy of another fleet that is stopped: nothing listens there any more.
    let other = fleet_of([Behaviour::default()]);
    let closed = other.addresses()[0];
    other.stop();
    let mut stream = connect(fleet.addresses()[0]).unwrap();
    let answer = ask(&mut stream, &format!("GET http://{closed}/ HTTP/1.1\r\n\r\n")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let answer = ask(&mut stream, &format!("CONNECT {closed} HTTP/1.1\r\n\r\n")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}
