//! A fleet, orders for it, and servers that say what a test tells them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proxywhirl::drive::answer::{Answer, Cost};
use proxywhirl::drive::blocking::{Reply, Wire};
use proxywhirl::drive::order::Order;
use proxywhirl::drive::stream::Stream;
use proxywhirl::fleet::{Behaviour, Fleet, FleetSpec, Login, ProxySpec, Scheme};
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::http1::ResponseHead;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::net::tls::Verification;
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::Error;
use proxywhirl::wire::request::{Headers, Request};
use proxywhirl::wire::route::{Origin, Proxy, Route, RouteOptions};
use proxywhirl::wire::tls::Profile;

pub fn fleet(proxies: Vec<ProxySpec>) -> Fleet {
    Fleet::start(&FleetSpec { proxies, ..FleetSpec::default() }).unwrap()
}

pub fn plain_fleet(behaviour: Behaviour) -> Fleet {
    fleet(vec![ProxySpec { behaviour, ..ProxySpec::default() }])
}

pub fn scheme(scheme: Scheme) -> ProxySpec {
    ProxySpec { scheme, ..ProxySpec::default() }
}

pub fn with_login(spec: ProxySpec) -> ProxySpec {
    ProxySpec { login: Some(Login { user: "user".into(), password: "pass".into() }), ..spec }
}

pub fn login() -> Option<Credentials> {
    Some(Credentials { username: "user".into(), password: "pass".into() })
}

pub fn wire() -> Wire {
    Wire::new(Bounds { keep_alive: Some(Duration::from_secs(60)), ..Bounds::default() })
}

/// Reading the system's certificates takes long; nothing of these tests needs them.
pub fn no_tls() -> Arc<Profile> {
    static PROFILE: OnceLock<Arc<Profile>> = OnceLock::new();
    let make = || Arc::new(Profile::new(&Verification::Nothing, None).unwrap());
    Arc::clone(PROFILE.get_or_init(make))
}

pub fn trusting(fleet: &Fleet) -> Arc<Profile> {
    Arc::new(Profile::new(&Verification::Authorities(fleet.ca_pem().into()), None).unwrap())
}

pub fn proxy(id: u128, protocol: Protocol, at: SocketAddr, credentials: Option<Credentials>) -> Arc<Proxy> {
    Arc::new(Proxy { id, protocol, host: at.ip().to_string().into(), port: at.port(), credentials, public_only: false })
}

pub fn origin(tls: bool, host: &str, port: u16) -> Origin {
    Origin { tls, host: host.into(), port }
}

pub fn site(tls: bool) -> Origin {
    origin(tls, "site-a.test", if tls { 443 } else { 80 })
}

pub fn get(route: &Route, target: &str) -> Order {
    ask("GET", route, target, &[])
}

pub fn ask(method: &str, route: &Route, target: &str, more: &[(&str, &str)]) -> Order {
    let host = route.origin().host.to_string();
    let mut headers = Headers::from_iter([("Host", host.as_str())]);
    for (name, value) in more {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    Order::new(route.clone(), Request::new(method, target, headers).unwrap())
}

/// The way through the proxy of the fleet at an index.
pub fn through(fleet: &Fleet, index: usize, protocol: Protocol, tls: bool) -> Route {
    through_with(fleet, index, protocol, tls, None)
}

pub fn through_with(
    fleet: &Fleet,
    index: usize,
    protocol: Protocol,
    tls: bool,
    credentials: Option<Credentials>,
) -> Route {
    let proxy = proxy(index as u128 + 1, protocol, fleet.addresses()[index], credentials);
    Route::new(RouteOptions::new(Some(proxy), site(tls), trusting(fleet)))
}

/// Without a proxy.
pub fn direct(to: SocketAddr) -> Route {
    Route::new(RouteOptions::new(None, origin(false, &to.ip().to_string(), to.port()), no_tls()))
}

pub fn send(wire: &Wire, order: &Order) -> Result<Answer, Error> {
    match wire.send(order, None, &mut || false, &mut Cost::default())? {
        Reply::Whole(answer) => Ok(answer),
        Reply::Stream(..) => panic!("a stream was not ordered"),
    }
}

pub fn open(wire: &Wire, order: &Order) -> Result<(ResponseHead, Stream), Error> {
    let order = Order { is_whole: false, ..order.clone() };
    match wire.send(&order, None, &mut || false, &mut Cost::default())? {
        Reply::Stream(head, stream) => Ok((head, stream)),
        Reply::Whole(_) => panic!("a whole body was not ordered"),
    }
}

pub fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.decoded.clone()).unwrap()
}

/// Serves connections, one after another, each with the script of its number.
pub fn serve(script: impl Fn(usize, TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            script(number, stream);
        }
    });
    at
}

/// Reads until the end of a head; whether there was one.
pub fn read_head(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers each request of a connection.
pub fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    while read_head(&mut stream) {
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// Closes with RST instead of FIN.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

pub fn wait_until(mut what: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited for half a minute");
}
