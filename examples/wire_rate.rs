//! What a request costs the thread that sends it: `cargo run --release --features fleet,wire --example wire_rate [requests]`.
//!
//! Pages of 1,000 bytes through a proxy of the fleet with keep-alive, one after another: processor time of the sending thread
//! alone, forwarded and through CONNECT with TLS.

#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use proxywhirl::drive::answer::Cost;
use proxywhirl::drive::blocking::Wire;
use proxywhirl::drive::order::Order;
use proxywhirl::fleet::{Fleet, FleetSpec, ProxySpec};
use proxywhirl::net::protocol::Protocol;
use proxywhirl::net::tls::Verification;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::connections::Bounds;
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
}
