//! Every way to a site: forward, CONNECT, SOCKS, TLS to the proxy, TLS inside of TLS; and what refuses on it.

use proxywhirl::drive::answer::Cost;
use proxywhirl::drive::blocking::Abort;
use proxywhirl::drive::order::{Order, OrderBody};
use proxywhirl::fleet::{Behaviour, Fault, Scheme};
use proxywhirl::net::credentials::Credentials;
use proxywhirl::net::handshake::Refusal;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::net::tls::Verification;
use proxywhirl::wire::error::{Kind, Stage};
use proxywhirl::wire::route::{Route, RouteOptions, Way};
use proxywhirl::wire::tls::Profile;
use std::sync::Arc;

use crate::common::*;

const ALL: [(Scheme, Protocol); 4] = [
    (Scheme::Http, Protocol::Http),
    (Scheme::Https, Protocol::Https),
    (Scheme::Socks4, Protocol::Socks4),
    (Scheme::Socks5, Protocol::Socks5),
];

#[test]
fn every_proxy_leads_to_every_site_with_login_and_without() {
    for has_login in [false, true] {
        let spec = |(kind, _): &(Scheme, Protocol)| if has_login { with_login(scheme(*kind)) } else { scheme(*kind) };
        let fleet = fleet(ALL.iter().map(spec).collect());
        let wire = wire();
        for (index, (_, protocol)) in ALL.iter().enumerate() {
            for tls in [false, true] {
                let route = through_with(&fleet, index, *protocol, tls, if has_login { login() } else { None });
                for _ in 0..3 {
                    let answer = send(&wire, &get(&route, "/whoami")).unwrap();
                    let page = text(&answer);
                    assert_eq!(answer.head.status, 200);
                    assert!(page.contains(&format!("\"index\": {index}")), "{protocol:?} {tls}: {page}");
                    assert!(page.contains("\"site\": \"site-a.test\""), "{page}");
                    assert!(page.contains(&format!("\"tls\": {tls}")), "{page}");
                }
            }
            // One connection each to the plain and to the TLS site.
            assert_eq!(fleet.counts(index).unwrap().connections, 2, "{protocol:?}");
        }
        assert_eq!((wire.counts().open, wire.counts().idle), (8, 8));
    }
}

#[test]
fn a_login_for_the_proxy_does_not_reach_the_site() {
    let fleet = fleet(vec![with_login(scheme(Scheme::Http)), with_login(scheme(Scheme::Https))]);
    for (index, protocol) in [(0, Protocol::Http), (1, Protocol::Https)] {
        for tls in [false, true] {
            let route = through_with(&fleet, index, protocol, tls, login());
            let page = text(&send(&wire(), &get(&route, "/echo")).unwrap()).to_lowercase();
            assert!(!page.contains("proxy-authorization") && !page.contains("dxnlcjpwyxnz"), "{page}");
        }
    }
}

#[test]
fn a_ready_authorization_opens_tunnels_and_goes_with_forwarded_requests() {
    let fleet = fleet(vec![with_login(scheme(Scheme::Http))]);
    let wire = wire();
    for tls in [false, true] {
        let options = |authorization: Option<&[u8]>| RouteOptions {
            authorization: authorization.map(Into::into),
            ..RouteOptions::new(Some(proxy(1, Protocol::Http, fleet.addresses()[0], None)), site(tls), trusting(&fleet))
        };
        let right = Route::new(options(Some(b"Basic dXNlcjpwYXNz")));
        assert_eq!(send(&wire, &get(&right, "/")).unwrap().head.status, 200);
        let none = Route::new(options(None));
        let refused = send(&wire, &get(&none, "/"));
        if tls {
            // The open tunnel of the right authorization is not used.
            assert!(matches!(refused.unwrap_err().kind, Kind::Proxy(Some(_))));
        } else {
            assert_eq!(refused.unwrap().head.status, 407);
        }
    }
}

#[test]
fn a_plain_site_is_tunnelled_to_where_that_is_wanted() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let proxy = proxy(1, Protocol::Http, fleet.addresses()[0], None);
    let options = RouteOptions { always_tunnel: true, ..RouteOptions::new(Some(proxy), site(false), no_tls()) };
    let route = Route::new(options);
    assert_eq!(route.way(), Way::Tunnel);
    assert_eq!(send(&wire(), &get(&route, "/whoami")).unwrap().head.status, 200);
    assert_eq!(fleet.counts(0).unwrap().tunnels, 1);
}

#[test]
fn bodies_go_all_ways() {
    let fleet = fleet(ALL.iter().map(|(kind, _)| scheme(*kind)).collect());
    let wire = wire();
    for (index, (_, protocol)) in ALL.iter().enumerate() {
        for tls in [false, true] {
            let route = through(&fleet, index, *protocol, tls);
            for size in [1, 1000, 70_000, 700_000] {
                let body: Vec<u8> = (0..size).map(|at| b'a' + (at % 23) as u8).collect();
                let length = size.to_string();
                let order = ask("POST", &route, "/echo", &[("Content-Length", &length)]);
                let order = Order { body: OrderBody::Bytes(Arc::new(body.clone())), ..order };
                let page = text(&send(&wire, &order).unwrap());
                assert!(page.contains(std::str::from_utf8(&body).unwrap()), "{protocol:?} {tls} {size}");
            }
            let order = ask("POST", &route, "/echo", &[("Transfer-Encoding", "chunked")]);
            let order = Order { body: OrderBody::Pulled, ..order };
            let mut pieces = vec![b"third".to_vec(), Vec::new(), vec![b'2'; 100_000], b"first".to_vec()];
            let reply = wire.send(&order, Some(&mut || Ok(pieces.pop())), &mut || false, &mut Cost::default()).unwrap();
            let proxywhirl::drive::blocking::Reply::Whole(answer) = reply else { panic!() };
            let page = text(&answer);
            assert!(page.contains("first222") && page.contains("222third\""), "{}", &page[..200]);
        }
    }
}

#[test]
fn a_body_that_breaks_off_ends_the_request_and_its_connection() {
    let fleet = fleet(vec![scheme(Scheme::Http)]);
    let wire = wire();
    let order = ask("POST", &through(&fleet, 0, Protocol::Http, false), "/echo", &[("Transfer-Encoding", "chunked")]);
    let order = Order { body: OrderBody::Pulled, ..order };
    let mut calls = 0;
    let mut pull = || {
        calls += 1;
        if calls == 1 { Ok(Some(b"begun".to_vec())) } else { Err(Abort) }
    };
    let error = wire.send(&order, Some(&mut pull), &mut || false, &mut Cost::default()).unwrap_err();
    assert_eq!((error.kind, error.stage, error.sent), (Kind::Interrupted, Stage::Write, true));
    assert_eq!(wire.counts().open, 0);
}

#[test]
fn refusals_are_kept_whole() {
    let fleet = fleet(ALL.iter().map(|(kind, _)| with_login(scheme(*kind))).collect());
    let wire = wire();
    let wrong = Some(Credentials { username: "user".into(), password: "wrong".into() });
    for (index, protocol) in [(0, Protocol::Http), (1, Protocol::Https)] {
        let error = send(&wire, &get(&through_with(&fleet, index, protocol, true, wrong.clone()), "/")).unwrap_err();
        let Kind::Proxy(Some(refusal)) = &error.kind else { panic!("{error:?}") };
        assert!(matches!(&**refusal, Refusal::Connect(reply) if reply.status == 407), "{refusal:?}");
        assert_eq!((error.stage, error.sent), (Stage::Handshake, false));
        assert_eq!(error.text(), "the proxy answered CONNECT with 407");
    }
    let error = send(&wire, &get(&through_with(&fleet, 3, Protocol::Socks5, true, wrong), "/")).unwrap_err();
    assert!(matches!(&error.kind, Kind::Proxy(Some(refusal)) if **refusal == Refusal::Login), "{error:?}");
    let error = send(&wire, &get(&through(&fleet, 3, Protocol::Socks5, true), "/")).unwrap_err();
    let without = Refusal::Method { login_offered: false };
    assert!(matches!(&error.kind, Kind::Proxy(Some(refusal)) if **refusal == without), "{error:?}");
    assert_eq!(wire.counts().open, 0);
}

#[test]
fn statuses_to_connect_come_with_what_the_proxy_says() {
    let fleet = plain_fleet(Behaviour { fault: Some(Fault::Status(429)), ..Behaviour::default() });
    let error = send(&wire(), &get(&through(&fleet, 0, Protocol::Http, true), "/")).unwrap_err();
    let Kind::Proxy(Some(refusal)) = &error.kind else { panic!("{error:?}") };
    let Refusal::Connect(reply) = &**refusal else { panic!("{refusal:?}") };
    assert_eq!(reply.status, 429);
    // The same status from a proxy that forwards is an answer.
    assert_eq!(send(&wire(), &get(&through(&fleet, 0, Protocol::Http, false), "/")).unwrap().head.status, 429);
}

#[test]
fn certificates_are_judged_at_the_proxy_and_at_the_site_apart() {
    let fleet = fleet(vec![scheme(Scheme::Http), scheme(Scheme::Https)]);
    let good = trusting(&fleet);
    let other = plain_fleet(Behaviour::default());
    let bad = Arc::new(Profile::new(&Verification::Authorities(other.ca_pem().into()), None).unwrap());
    let route = |index: usize, protocol, proxy_tls: &Arc<Profile>, target_tls: &Arc<Profile>| {
        Route::new(RouteOptions {
            proxy_tls: Arc::clone(proxy_tls),
            ..RouteOptions::new(
                Some(proxy(index as u128 + 1, protocol, fleet.addresses()[index], None)),
                site(true),
                Arc::clone(target_tls),
            )
        })
    };
    let wire = wire();
    let fate =
        |route: Route| send(&wire, &get(&route, "/")).map_err(|error| (error.kind, error.stage, error.sent)).err();
    assert_eq!(fate(route(1, Protocol::Https, &good, &good)), None);
    assert_eq!(fate(route(1, Protocol::Https, &bad, &good)), Some((Kind::Connect, Stage::ProxyTls, false)));
    assert_eq!(fate(route(1, Protocol::Https, &good, &bad)), Some((Kind::Connect, Stage::TargetTls, false)));
    assert_eq!(fate(route(0, Protocol::Http, &bad, &good)), None);
    assert_eq!(fate(route(0, Protocol::Http, &good, &bad)), Some((Kind::Connect, Stage::TargetTls, false)));
    let blind = Arc::new(Profile::new(&Verification::Nothing, None).unwrap());
    assert_eq!(fate(route(1, Protocol::Https, &blind, &blind)), None);
}

#[test]
fn a_trusted_authority_may_be_the_server_itself() {
    let server_of = |name: &str, year: i32| {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let at = serve(move |_, stream| {
            let mut stream =
                rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut read = [0; 1024];
            // A client that refuses the certificate sends nothing.
            if std::io::Read::read(&mut stream, &mut read).is_ok_and(|count| count > 0) {
                std::io::Write::write_all(&mut stream, OK).unwrap();
            }
        });
        (at, certificate.pem())
    };
    let fate = |at: std::net::SocketAddr, trusted: &str| {
        let profile = Arc::new(Profile::new(&Verification::Authorities(trusted.into()), None).unwrap());
        let route = Route::new(RouteOptions::new(None, origin(true, "127.0.0.1", at.port()), profile));
        send(&wire(), &get(&route, "/")).map(|answer| answer.head.status).map_err(|error| error.text().to_owned())
    };
    let refused = |fate: Result<u16, String>| {
        let text = fate.unwrap_err();
        assert!(text.contains("certificate verify failed"), "{text}");
    };
    let (at, own) = server_of("127.0.0.1", 4096);
    assert_eq!(fate(at, &own), Ok(200));
    let (elsewhere, other) = server_of("10.0.0.1", 4096);
    refused(fate(at, &other));
    refused(fate(elsewhere, &other));
    let (late, expired) = server_of("127.0.0.1", 2000);
    refused(fate(late, &expired));
}

#[test]
fn a_closed_port_refuses() {
    let fleet = plain_fleet(Behaviour { fault: Some(Fault::Refuse), ..Behaviour::default() });
    for tls in [false, true] {
        let error = send(&wire(), &get(&through(&fleet, 0, Protocol::Http, tls), "/")).unwrap_err();
        assert_eq!((error.kind.clone(), error.stage, error.sent), (Kind::Connect, Stage::Tcp, false));
        assert!(error.errno.is_some() && error.text().contains("Connection refused"), "{error}");
    }
}

#[test]
fn a_proxy_that_a_list_named_is_not_dialled_on_this_machine() {
    let fleet = plain_fleet(Behaviour::default());
    let known = proxy(1, Protocol::Http, fleet.addresses()[0], None);
    for host in ["127.0.0.1", "localhost"] {
        let listed =
            Arc::new(proxywhirl::wire::route::Proxy { public_only: true, host: host.into(), ..(*known).clone() });
        let route = Route::new(RouteOptions::new(Some(listed), site(false), no_tls()));
        let error = send(&wire(), &get(&route, "/")).unwrap_err();
        assert_eq!(error.kind, Kind::Connect);
        assert!(error.text().contains("private network"), "{error}");
    }
    assert_eq!(fleet.counts(0).unwrap().connections, 0);
}

#[test]
fn names_are_resolved() {
    let fleet = plain_fleet(Behaviour::default());
    let named = |host: &str| {
        let proxy = proxywhirl::wire::route::Proxy {
            host: host.into(),
            ..(*proxy(1, Protocol::Http, fleet.addresses()[0], None)).clone()
        };
        Route::new(RouteOptions::new(Some(Arc::new(proxy)), site(false), no_tls()))
    };
    assert_eq!(send(&wire(), &get(&named("localhost"), "/")).unwrap().head.status, 200);
    let error = send(&wire(), &get(&named("no-such-host.invalid"), "/")).unwrap_err();
    assert_eq!((error.kind.clone(), error.stage), (Kind::Connect, Stage::Resolve), "{error}");
}
