//! What a request costs the thread that sends it: `cargo run --release --features fleet,wire --example wire_rate [requests]`.
//!
//! Pages of 1,000 bytes through a proxy of the fleet with keep-alive, one after another: processor time of the sending thread
//! alone, forwarded and through CONNECT with TLS. Then one body of a gigabyte, from a thread that does nothing but write it.

#![allow(clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxywhirl::drive::answer::Cost;
use proxywhirl::drive::blocking::{Reply, Wire};
use proxywhirl::drive::order::Order;
use proxywhirl::fleet::{Fleet, FleetSpec, ProxySpec};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::net::tls::Verification;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::request::{Headers, Request};
use proxywhirl::wire::route::{Origin, Proxy, Route, RouteOptions};
use proxywhirl::wire::tls::Profile;

fn thread_time() -> Duration {
    // SAFETY: the structure is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

fn main() {
    let requests: u32 = std::env::args().nth(1).map_or(50_000, |text| text.parse().expect("a number of requests"));
    let spec = FleetSpec { proxies: vec![ProxySpec::default()], ..FleetSpec::default() };
    let fleet = Fleet::start(&spec).expect("a fleet");
    let at = fleet.addresses()[0];
    let proxy = Arc::new(Proxy {
        id: 1,
        protocol: Protocol::Http,
        host: at.ip().to_string().into(),
        port: at.port(),
        credentials: None,
        public_only: false,
    });
    let profile =
        Arc::new(Profile::new(&Verification::Authorities(fleet.ca_pem().into()), None).expect("certificates"));
    let second = Some(Duration::from_secs(5));
    let timeouts = Timeouts { connect: second, read: second, write: second, pool: second };
    let wire = Wire::new(Bounds::default());
    for tls in [false, true] {
        let origin = Origin { tls, host: "site-a.test".into(), port: if tls { 443 } else { 80 } };
        let route = Route::new(RouteOptions::new(Some(Arc::clone(&proxy)), origin, Arc::clone(&profile)));
        let (mut begun, mut before) = (Instant::now(), thread_time());
        let warm_up = requests / 10;
        for round in 0..requests + warm_up {
            if round == warm_up {
                (begun, before) = (Instant::now(), thread_time());
            }
            let headers = Headers::from_iter([
                ("Host", "site-a.test"),
                ("Accept", "*/*"),
                ("Accept-Encoding", "gzip, deflate"),
                ("Connection", "keep-alive"),
                ("User-Agent", "python-httpx/0.28.1"),
            ]);
            let request = Request::new("GET", "/bytes/1000", headers).expect("a request");
            let order = Order { timeouts, ..Order::new(route.clone(), request) };
            wire.send(&order, None, &mut || false, &mut Cost::default()).expect("an answer");
        }
        let (took, used) = (begun.elapsed(), thread_time() - before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(requests);
        println!(
            "{}: {:.1} us of processor time, {:.1} us in all",
            if tls { "TLS through CONNECT" } else { "forwarded" },
            each(used),
            each(took)
        );
    }
    stream(&wire, &profile);
}

/// Reads a gigabyte in pieces.
fn stream(wire: &Wire, profile: &Arc<Profile>) {
    const SIZE: usize = 1 << 30;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a reader");
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..SIZE >> 20 {
            stream.write_all(&piece).expect("a reader");
        }
        // Until the other side closes.
        let _ = stream.read(&mut [0]);
    });
    let origin = Origin { tls: false, host: "127.0.0.1".into(), port };
    let route = Route::new(RouteOptions::new(None, origin, Arc::clone(profile)));
    let request = Request::new("GET", "/", Headers::from_iter([("Host", "127.0.0.1")])).expect("a request");
    let order = Order { is_whole: false, limits: Limits::streamed(), ..Order::new(route, request) };
    let (begun, before, peak) = (Instant::now(), thread_time(), peak());
    let sent = wire.send(&order, None, &mut || false, &mut Cost::default()).expect("an answer");
    let Reply::Stream(_, mut stream) = sent else { unreachable!("a stream was ordered") };
    let mut total = 0;
    while let Some(piece) = stream.next(Timeouts::default(), None, &mut || false).expect("a piece") {
        total += piece.len();
    }
    assert_eq!(total, SIZE);
    let (took, used) = (begun.elapsed().as_secs_f64(), thread_time() - before);
    println!(
        "a gigabyte: {:.2} GB/s, {:.2} s of processor time, {} KiB more memory at the peak",
        SIZE as f64 / 1e9 / took,
        used.as_secs_f64(),
        self::peak() - peak
    );
}

/// KiB of memory that the process had at most.
fn peak() -> i64 {
    // SAFETY: the structure is plain data, and the call fills it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage.ru_maxrss
    }
}
