//! A connection and a TLS ticket serve only requests that have everything in common that links them.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proxywhirl::fleet::Scheme;
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::route::{Route, RouteOptions};

use crate::common::*;

#[test]
fn connections_never_cross_identities() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let (one, two) = (trusting(&fleet), trusting(&fleet));
    let at = fleet.addresses()[0];
    let user = |name: &str| Some(Credentials { username: name.into(), password: "x".into() });
    let base = |credentials, tls: &Arc<_>, secure| {
        RouteOptions::new(Some(proxy(1, Protocol::Http, at, credentials)), site(secure), Arc::clone(tls))
    };
    let own = |owner, options| RouteOptions { owner, ..options };
    let told = |value: &[u8], options| RouteOptions { authorization: Some(value.into()), ..options };
    let other_site = RouteOptions { origin: origin(true, "site-b.test", 443), ..base(None, &one, true) };
    let other_port = RouteOptions { origin: origin(true, "site-a.test", 8443), ..base(None, &one, true) };
    let all = [
        base(None, &one, false),
        base(None, &one, true),
        base(None, &two, true),
        other_site,
        other_port,
        base(user("a"), &one, false),
        base(user("b"), &one, false),
        base(user("a"), &one, true),
        base(user("b"), &one, true),
        own(Some(1), base(None, &one, false)),
        own(Some(2), base(None, &one, false)),
        own(Some(1), base(None, &one, true)),
        own(Some(2), base(None, &one, true)),
        told(b"Basic eDp5", base(None, &one, true)),
        told(b"Basic eTp4", base(None, &one, true)),
    ];
    let wire = wire();
    let routes: Vec<Route> = all.into_iter().map(Route::new).collect();
    for round in 1..=2 {
        for route in &routes {
            assert_eq!(send(&wire, &get(route, "/")).unwrap().head.status, 200, "{route:?} {round}");
        }
        assert_eq!(fleet.counts(0).unwrap().connections, routes.len() as u64);
        assert_eq!(wire.counts().idle, routes.len());
    }
    // TLS settings do not matter to a plain connection, nor does a ready authorization.
    send(&wire, &get(&Route::new(base(None, &two, false)), "/")).unwrap();
    send(&wire, &get(&Route::new(told(b"Basic eDp5", base(None, &one, false))), "/")).unwrap();
    assert_eq!(fleet.counts(0).unwrap().connections, routes.len() as u64);
}

#[test]
fn evictions_close_what_is_idle_and_keep_nothing_in_use() {
    let fleet = fleet(vec![scheme(Scheme::Http), scheme(Scheme::Http)]);
    let wire = wire();
    let route = |index: usize, owner| {
        let proxy = proxy(index as u128 + 1, Protocol::Http, fleet.addresses()[index], None);
        Route::new(RouteOptions { owner, ..RouteOptions::new(Some(proxy), site(false), no_tls()) })
    };
    let fill = || {
        for index in 0..2 {
            for owner in [None, Some(7), Some(8)] {
                send(&wire, &get(&route(index, owner), "/")).unwrap();
            }
        }
        assert_eq!(wire.counts().open, 6);
    };
    fill();
    wire.evict_proxy(1);
    assert_eq!(wire.counts().open, 3);
    fill();
    wire.evict_owner(7);
    assert_eq!(wire.counts().open, 4);
    fill();
    wire.evict(route(0, None).identity());
    assert_eq!(wire.counts().open, 5);
    let (_, mut stream) = open(&wire, &get(&route(1, Some(8)), "/bytes/300000")).unwrap();
    wire.evict_all();
    assert_eq!((wire.counts().open, wire.counts().idle), (1, 0), "the one in use");
    let mut total = 0;
    while let Some(piece) = stream.next(Default::default(), None, &mut || false).unwrap() {
        total += piece.len();
    }
    assert_eq!(total, 300_000);
    assert_eq!(wire.counts().open, 0, "it was not kept");
    wait_until(|| fleet.counts(0).unwrap().active_connections + fleet.counts(1).unwrap().active_connections == 0);
}

#[test]
fn a_refused_login_ends_the_connections_that_were_opened_with_it() {
    let count = Arc::new(AtomicUsize::new(0));
    let at = serve(move |_, mut stream| {
        let count = Arc::clone(&count);
        std::thread::spawn(move || {
            while read_head(&mut stream) {
                let long = [b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", &[b'x'; 3_000_000][..]].concat();
                let answer = match count.fetch_add(1, Ordering::SeqCst) {
                    0 => &long[..],
                    1 => OK,
                    _ => b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n",
                };
                stream.write_all(answer).unwrap();
            }
        });
    });
    let route = Route::new(RouteOptions::new(Some(proxy(1, Protocol::Http, at, login())), site(false), no_tls()));
    let wire = wire();
    let (_, mut stream) = open(&wire, &get(&route, "/")).unwrap();
    assert_eq!(send(&wire, &get(&route, "/")).unwrap().head.status, 200);
    while stream.next(Default::default(), None, &mut || false).unwrap().is_some() {}
    assert_eq!(wire.counts().idle, 2);
    assert_eq!(send(&wire, &get(&route, "/")).unwrap().head.status, 407);
    assert_eq!((wire.counts().open, wire.counts().idle), (0, 0));
}

/// A TLS server that counts full and resumed handshakes.
#[test]
fn tickets_are_used_by_their_own_party_alone() {
    use proxywhirl::net::tls::Verification;
    use proxywhirl::wire::tls::Profile;

    let server = tls_server::start();
    let profile = Arc::new(Profile::new(&Verification::Nothing, None).unwrap());
    let route = |owner| {
        let site = origin(true, "127.0.0.1", server.at.port());
        Route::new(RouteOptions { owner, ..RouteOptions::new(None, site, Arc::clone(&profile)) })
    };
    // The server closes after each answer, so that every request needs a handshake.
    let kinds = |owner| {
        send(&wire(), &get(&route(owner), "/")).unwrap();
        server.last()
    };
    assert!(!kinds(None));
    assert!(kinds(None), "the same party takes its session up");
    assert!(!kinds(Some(1)), "another does not know it");
    assert!(kinds(Some(1)));
    assert!(!kinds(Some(2)));
    assert!(kinds(None));
}

mod tls_server {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};

    use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    pub struct Server {
        pub at: SocketAddr,
        resumed: Receiver<bool>,
    }

    impl Server {
        /// Whether the last handshake resumed a session.
        pub fn last(&self) -> bool {
            self.resumed.recv().unwrap()
        }
    }

    pub fn start() -> Server {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (sender, resumed) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(tls, stream.unwrap());
                let mut seen = Vec::new();
                let mut byte = [0];
                while !seen.ends_with(b"\r\n\r\n") {
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    seen.push(byte[0]);
                }
                let is_resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                stream.conn.send_close_notify();
                let _ = stream.flush();
                if sender.send(is_resumed).is_err() {
                    return;
                }
            }
        });
        Server { at, resumed }
    }
}
