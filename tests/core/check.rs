//! The checker against the fleet, and against servers that mean harm.

// How long a check takes is real time.
#![allow(clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use proxywhirl::fleet::{Behaviour, Fault, Fleet, FleetSpec, Login, ProxySpec, Scheme};
use proxywhirl::net::address::{Address, Protocol};
use proxywhirl::supply::Anonymity;
use proxywhirl::supply::check::{Failure, Item, Level, Plan, Report, Rule, Run, Stage, Target, Verification};

fn fleet_with(proxies: impl IntoIterator<Item = ProxySpec>) -> Fleet {
    Fleet::start(&FleetSpec { proxies: proxies.into_iter().collect(), ..FleetSpec::default() }).unwrap()
}

fn spec(scheme: Scheme) -> ProxySpec {
    ProxySpec { scheme, ..ProxySpec::default() }
}

fn faulty(fault: Fault) -> ProxySpec {
    ProxySpec { behaviour: Behaviour { fault: Some(fault), ..Behaviour::default() }, ..ProxySpec::default() }
}

fn item(text: &str) -> Item {
    Item { address: Address::parse_line(text).ok(), proxy: None, public_only: false }
}

fn items(scheme: &str, addresses: &[SocketAddr]) -> Vec<Item> {
    addresses.iter().map(|address| item(&format!("{scheme}://{address}"))).collect()
}

fn plan(url: &str) -> Plan {
    Plan { targets: vec![Target::parse(url).unwrap()], timeout: Duration::from_secs(3), ..Plan::default() }
}

fn collect(run: &Run) -> Vec<Report> {
    let mut all = Vec::new();
    while let Some(reports) = run.take(1000) {
        all.extend(reports);
        run.wait(Duration::from_millis(50)).unwrap();
    }
    all.sort_by_key(|report| report.index);
    all
}

fn checked(plan: Plan, items: Vec<Item>) -> Vec<Report> {
    collect(&Run::start(plan, items).unwrap())
}

fn failures(reports: &[Report]) -> Vec<Option<Failure>> {
    reports.iter().map(|report| report.failure).collect()
}

#[test]
fn every_protocol_to_http_and_https() {
    let schemes = [Scheme::Http, Scheme::Https, Scheme::Socks4, Scheme::Socks5];
    let login = || Login { user: "us er".into(), password: "p:w".into() };
    let with_login = [Scheme::Http, Scheme::Socks5].map(|scheme| ProxySpec { login: Some(login()), ..spec(scheme) });
    let fleet = fleet_with(schemes.map(spec).into_iter().chain(with_login));
    let ports: Vec<u16> = fleet.addresses().iter().map(SocketAddr::port).collect();
    let list = vec![
        item(&format!("http://127.0.0.1:{}", ports[0])),
        item(&format!("https://127.0.0.1:{}", ports[1])),
        item(&format!("socks4://127.0.0.1:{}", ports[2])),
        item(&format!("socks5://127.0.0.1:{}", ports[3])),
        item(&format!("http://us%20er:p%3Aw@127.0.0.1:{}", ports[4])),
        item(&format!("socks5://us%20er:p%3Aw@127.0.0.1:{}", ports[5])),
        item(&format!("http://us%20er:wrong@127.0.0.1:{}", ports[4])),
        item(&format!("socks5://127.0.0.1:{}", ports[5])),
    ];
    for url in ["http://shop.test/whoami", "https://shop.test/whoami"] {
        let plan = Plan {
            rule: Rule { statuses: vec![200], contains: Some(b"\"site\"".as_slice().into()) },
            verification: Verification::Authorities(fleet.ca_pem().into()),
            ..plan(url)
        };
        let reports = checked(plan, list.clone());
        for report in &reports[..6] {
            assert_eq!(report.failure, None, "{url}: {report:?}");
            assert_eq!((report.stage, report.status), (Stage::Http, Some(200)));
            assert!(report.response_ms.unwrap() > 0.0 && report.bytes > 0);
        }
        assert_eq!(failures(&reports[6..]), [Some(Failure::Auth); 2], "{url}");
    }
    // The fleet's authority is not trusted.
    let reports = checked(plan("https://shop.test/"), list[..1].to_vec());
    assert_eq!(failures(&reports), [Some(Failure::Tls)]);
    let open = Plan { verification: Verification::Nothing, ..plan("https://shop.test/") };
    assert_eq!(failures(&checked(open, list[..2].to_vec())), [None, None]);
}

#[test]
fn each_failure_has_its_name() {
    let fleet = fleet_with([
        faulty(Fault::Refuse),
        faulty(Fault::Hang),
        faulty(Fault::Reset),
        faulty(Fault::Cut),
        faulty(Fault::Status(407)),
        faulty(Fault::Status(503)),
        ProxySpec::default(),
    ]);
    let list = items("http", &fleet.addresses());
    let short = Plan { timeout: Duration::from_millis(300), ..plan("http://shop.test/bytes/5000") };
    let reports = checked(short, list.clone());
    assert_eq!(
        failures(&reports),
        [
            Some(Failure::Refused),
            Some(Failure::Timeout),
            Some(Failure::Closed),
            Some(Failure::Closed),
            Some(Failure::Auth),
            Some(Failure::Status(503)),
            None
        ]
    );
    let basic = Plan { level: Level::Basic, targets: Vec::new(), ..Plan::default() };
    assert_eq!(failures(&checked(basic, list.clone()))[1..], [None; 6], "they all listen");
    let body = Plan {
        rule: Rule { statuses: vec![], contains: Some(b"no such".as_slice().into()) },
        ..plan("http://shop.test/")
    };
    assert_eq!(checked(body, vec![list[6].clone()])[0].failure, Some(Failure::Body));
    let status = Plan { rule: Rule { statuses: vec![418], contains: None }, ..plan("http://shop.test/status/418") };
    assert_eq!(checked(status, vec![list[6].clone()])[0].failure, None);
    let redirected = checked(plan("http://shop.test/redirect/2"), vec![list[6].clone()]);
    assert_eq!(redirected[0].failure, None);
    let redirected = checked(plan("http://shop.test/redirect/20"), vec![list[6].clone()]);
    assert_eq!(redirected[0].failure, Some(Failure::Redirect));
    let poor = Plan { budget: Some(10), ..plan("http://shop.test/") };
    assert_eq!(checked(poor, vec![list[6].clone()])[0].failure, Some(Failure::Budget));
    let no_address = checked(plan("http://shop.test/"), vec![item("nothing")]);
    assert_eq!((no_address[0].failure, no_address[0].stage), (Some(Failure::Format), Stage::Format));
    let names = checked(plan("http://shop.test/"), vec![item("http://no-such-name.invalid:80")]);
    assert_eq!(names[0].failure, Some(Failure::Dns));
}

#[test]
fn protocols_are_found_out() {
    let fleet = fleet_with([Scheme::Http, Scheme::Socks4, Scheme::Socks5].map(spec));
    let plan = || Plan { detect: true, ..plan("http://shop.test/whoami") };
    for said in ["http", "socks4", "socks5"] {
        let reports = checked(plan(), items(said, &fleet.addresses()));
        let found: Vec<_> = reports.iter().map(|report| (report.failure, report.protocol)).collect();
        let expected = [Protocol::Http, Protocol::Socks4, Protocol::Socks5].map(|protocol| (None, protocol));
        assert_eq!(found, expected, "said {said}");
    }
}

/// A server that does one thing to every client.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = std::sync::Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn request_of(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn nothing_that_is_sent_holds_a_check_up() {
    let endless = |head: &'static str, piece: &'static [u8], pause: u64| {
        server(move |mut stream| {
            request_of(&mut stream);
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(piece);
                if pause > 0 {
                    thread::sleep(Duration::from_millis(pause));
                }
            }
        })
    };
    let list = [
        endless("", b"H", 20),
        endless("HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0),
        endless("HTTP/1.1 200 OK\r\nX: ", b"xxxxxxxxxxxxxxxx", 0),
        endless("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096], 0),
        endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", &[b'x'; 4096], 0),
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0),
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1", 0),
        endless("", b"HTTP/1.1 100 Continue\r\n\r\n", 0),
        endless("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n", b"", 50),
        endless("SSH-2.0-OpenSSH\r\n", b"\r\n", 50),
        endless("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"", 50),
    ];
    let plan = Plan { timeout: Duration::from_millis(700), ..plan("http://shop.test/") };
    let begun = Instant::now();
    let reports = checked(plan.clone(), items("http", &list));
    // They never end by themselves; how much later than the limit the machine notices is its own affair.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(
        failures(&reports),
        [
            Some(Failure::BadAnswer),
            Some(Failure::BadAnswer),
            Some(Failure::BadAnswer),
            None,
            None,
            None,
            Some(Failure::BadAnswer),
            Some(Failure::BadAnswer),
            Some(Failure::Redirect),
            Some(Failure::BadAnswer),
            Some(Failure::BadAnswer),
        ]
    );
    assert!(reports.iter().all(|report| report.bytes < 500_000), "{reports:?}");
    let begun = Instant::now();
    for scheme in ["socks4", "socks5", "https"] {
        let reports = checked(plan.clone(), items(scheme, &list));
        assert!(reports.iter().all(|report| report.failure.is_some()), "{scheme}: {reports:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[test]
fn a_judge_tells_how_anonymous_a_proxy_is() {
    // A judge and three proxies in one: what the proxy adds is what the judge shows.
    let proxy = |added: &'static str| {
        server(move |mut stream| {
            request_of(&mut stream);
            let body = format!("{{\"origin\": \"198.51.100.7\", \"headers\": {{\"Host\": \"judge.test\"{added}}}}}");
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        })
    };
    let list = [proxy(""), proxy(", \"Via\": \"1.1 squid\""), proxy(", \"X-Forwarded-For\": \"203.0.113.9\"")];
    let full = || Plan {
        level: Level::Full,
        judge: Target::parse("http://judge.test/headers"),
        own: vec!["203.0.113.9".parse().unwrap()],
        ..plan("http://shop.test/")
    };
    let reports = checked(full(), items("http", &list));
    let found: Vec<_> = reports.iter().map(|report| report.anonymity).collect();
    assert_eq!(found, [Some(Anonymity::Elite), Some(Anonymity::Anonymous), Some(Anonymity::Transparent)]);
    assert!(reports.iter().all(|report| report.exit == "198.51.100.7".parse().ok()));
    let strict = Plan { anonymity: Some(Anonymity::Anonymous), ..full() };
    let reports = checked(strict, items("http", &list));
    assert_eq!(failures(&reports), [None, None, Some(Failure::Anonymity)]);
}

/// Connections of this process to one of these ports.
fn open_to(ports: &[u16]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let remote = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let port = fields.get(2).and_then(|remote| u16::from_str_radix(remote.rsplit(':').next()?, 16).ok());
        // Established, or still being opened.
        (matches!(fields.get(3), Some(&"01" | &"02"))).then_some(port).flatten()
    };
    table.lines().filter_map(remote).filter(|port| ports.contains(port)).count()
}

#[test]
fn cancelling_leaves_no_connection_and_keeps_what_is_done() {
    let fleet = fleet_with((0..40).map(|n| if n < 10 { ProxySpec::default() } else { faulty(Fault::Hang) }));
    let ports: Vec<u16> = fleet.addresses().iter().map(SocketAddr::port).collect();
    let slow = || Plan { timeout: Duration::from_secs(30), ..plan("http://shop.test/") };
    for drop_it in [false, true] {
        let run = Run::start(slow(), items("http", &fleet.addresses())).unwrap();
        let mut done = Vec::new();
        while done.len() < 10 {
            run.wait(Duration::from_secs(1)).unwrap();
            done.extend(run.take(100).unwrap());
        }
        // On a busy machine the last of those that hang may still be on their way.
        let begun = Instant::now();
        while open_to(&ports) < 30 && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(open_to(&ports) >= 30);
        if drop_it {
            drop(run);
            thread::sleep(Duration::from_millis(200));
        } else {
            run.cancel();
            assert_eq!(collect(&run).len(), 0);
            assert!(run.take(1).is_none());
        }
        assert_eq!(open_to(&ports), 0);
        assert!(done.iter().all(|report| report.failure.is_none()));
    }
}

#[test]
fn those_that_hang_cost_their_timeout_and_no_more() {
    let fleet = fleet_with((0..100).map(|n| if n % 10 == 0 { ProxySpec::default() } else { faulty(Fault::Hang) }));
    let (hanging, concurrency, timeout) = (900, 100, 0.3);
    let list: Vec<Item> = (0..10).flat_map(|_| items("http", &fleet.addresses())).collect();
    let plan = Plan { concurrency, timeout: Duration::from_secs_f64(timeout), ..plan("http://shop.test/") };
    let begun = Instant::now();
    let reports = checked(plan, list);
    // A hundred at a time; ten times as slow, on a machine that is busy, is still far from one after the other.
    let bound = 10.0 * (f64::from(hanging) / concurrency as f64) * timeout;
    assert!(begun.elapsed().as_secs_f64() < bound, "{:?} is more than {bound} s", begun.elapsed());
    assert_eq!(reports.iter().filter(|report| report.failure.is_none()).count(), 100);
}

#[test]
fn one_host_is_not_overrun() {
    let fleet = fleet_with(vec![ProxySpec::default(); 4]);
    let plan = Plan { per_host: Some(1), ..plan("http://shop.test/delay/50") };
    let begun = Instant::now();
    let reports = checked(plan, items("http", &fleet.addresses()));
    assert!(reports.iter().all(|report| report.failure.is_none()));
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[test]
#[ignore = "a measurement: run it alone, in release"]
fn rate() {
    let fleet = fleet_with(vec![ProxySpec::default(); 200]);
    let list: Vec<Item> = (0..200).flat_map(|_| items("http", &fleet.addresses())).collect();
    for concurrency in [64, 256] {
        let plan = Plan { concurrency, ..plan("http://shop.test/whoami") };
        let begun = Instant::now();
        let reports = checked(plan, list.clone());
        let good = reports.iter().filter(|report| report.failure.is_none()).count();
        let rate = reports.len() as f64 / begun.elapsed().as_secs_f64();
        println!("{concurrency} at a time: {rate:.0} checks/s, {good} of {} good", reports.len());
    }
}
