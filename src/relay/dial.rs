//! Opening a tunnel through the proxy that was chosen.

use std::net::SocketAddr;

use mio::Token;

use super::conn::{Front, State};
use super::server::{Server, nanos, now, since};
use super::socks::{reply4, reply5};
use super::splice::Splice;
use super::{Told, add};
use crate::drive::looped::sock::Sock;
use crate::drive::looped::watch::Ready;
use crate::drive::names::{admit, literal, look_up};
use crate::sync::Arc;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::route::{Origin, Proxy, Route, RouteOptions};
use crate::wire::tunnel::Tunnel;

/// What a look-up brings.
pub(super) type Found = Result<Vec<SocketAddr>, Error>;
/// Nanoseconds after which a look-up is asked for again, where too many were under way.
const ASK_AGAIN: u64 = 50_000_000;
const LATE: &str = "opening the way through the proxy took too long";

/// A tunnel on its way.
pub(super) struct Dialling {
    host: String,
    port: u16,
    phase: Phase,
    begun: u64,
    /// When the attempt under way has failed.
    attempt_ends: u64,
}

enum Phase {
    /// The director is asked.
    Asked,
    /// A pause.
    Paused,
    /// The name of the proxy is looked up; or asked for again later.
    Resolving { route: Box<Route>, is_asked: bool },
    /// TCP.
    Connecting { route: Box<Route>, others: Vec<SocketAddr>, sock: Sock },
    /// The handshake with the proxy.
    Opening { sock: Sock, tunnel: Box<Tunnel> },
}

impl Dialling {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { host, port, phase: Phase::Asked, begun: 0, attempt_ends: u64::MAX }
    }

    pub(super) fn note(&mut self, ready: Ready) {
        if let Phase::Connecting { sock, .. } | Phase::Opening { sock, .. } = &mut self.phase {
            sock.note(ready);
        }
    }
}

impl Server {
    fn dialling(&mut self, number: usize) -> Option<&mut Dialling> {
        match &mut self.conns.get_mut(number)?.state {
            State::Dialling(dialling) => Some(dialling),
            _ => None,
        }
    }

    /// Begins to open the tunnel through a proxy.
    pub(super) fn dial(&mut self, number: usize, proxy: Arc<Proxy>, time_left: Option<f64>) {
        let begun = now();
        let left = time_left.map_or(u64::MAX, |seconds| (seconds * 1e9) as u64);
        let ends = begun + nanos(self.settings.connect).min(left);
        let tls = Arc::clone(&self.tls);
        let Some(conn) = self.conns.get_mut(number) else { return };
        let State::Dialling(dialling) = &mut conn.state else { return };
        let origin = Origin { tls: false, host: dialling.host.as_str().into(), port: dialling.port };
        let route = Route::new(RouteOptions { always_tunnel: true, ..RouteOptions::new(Some(proxy), origin, tls) });
        (dialling.begun, dialling.attempt_ends) = (begun, ends);
        conn.ends = ends;
        self.look_by(ends);
        match literal(&route) {
            Ok(Some(address)) => self.connect(number, Box::new(route), vec![address]),
            Ok(None) => self.resolve(number, Box::new(route)),
            Err(error) => self.fail_dialling(number, error),
        }
    }

    fn resolve(&mut self, number: usize, route: Box<Route>) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let (ticket, back) = (conn.ticket(number), Arc::clone(&self.back));
        let (host, port) = route.first_hop();
        match look_up(host, port, move |found| back.found(ticket, found)) {
            Ok(is_asked) => {
                if let State::Dialling(dialling) = &mut conn.state {
                    dialling.phase = Phase::Resolving { route, is_asked };
                }
                if !is_asked {
                    conn.ends = now() + ASK_AGAIN;
                    self.look_by(now() + ASK_AGAIN);
                }
            }
            Err(error) => self.fail_dialling(number, error),
        }
    }

    /// A name was looked up.
    pub(super) fn found(&mut self, number: usize, found: Found) {
        let Some(dialling) = self.dialling(number) else { return };
        match std::mem::replace(&mut dialling.phase, Phase::Asked) {
            Phase::Resolving { route, .. } => match found {
                Ok(mut addresses) => {
                    addresses.reverse();
                    self.connect(number, route, addresses);
                }
                Err(error) => self.fail_dialling(number, error),
            },
            // The answer to a question that was given up.
            other => dialling.phase = other,
        }
    }

    /// Connects to the last of the addresses.
    fn connect(&mut self, number: usize, route: Box<Route>, mut others: Vec<SocketAddr>) {
        let mut last = Error::new(Kind::Connect, Stage::Tcp, "no address");
        while let Some(address) = others.pop() {
            let tried = admit(&route, address).and_then(|()| {
                Sock::connect(address, self.poll.registry(), Token(2 * number + 1))
                    .map_err(|error| Error::of_io(Kind::Connect, Stage::Tcp, &error))
            });
            match tried {
                Ok(sock) => {
                    let Some(conn) = self.conns.get_mut(number) else { return };
                    let State::Dialling(dialling) = &mut conn.state else { return };
                    let left = dialling.attempt_ends.saturating_sub(now());
                    conn.ends = now() + left / (others.len() as u64 + 1);
                    dialling.phase = Phase::Connecting { route, others, sock };
                    let ends = conn.ends;
                    return self.look_by(ends);
                }
                Err(error) => last = error,
            }
        }
        self.fail_dialling(number, last);
    }

    pub(super) fn go_on_dialling(&mut self, number: usize) {
        let Some(dialling) = self.dialling(number) else { return };
        let Phase::Connecting { sock, .. } = &dialling.phase else { return self.go_on_opening(number) };
        let Some(connected) = sock.connected() else { return };
        let Phase::Connecting { route, others, sock } = std::mem::replace(&mut dialling.phase, Phase::Asked) else {
            return;
        };
        match connected {
            Ok(()) => match Tunnel::begin(&route) {
                Ok(tunnel) => {
                    dialling.phase = Phase::Opening { sock, tunnel: Box::new(tunnel) };
                    let ends = dialling.attempt_ends;
                    self.conns[number].ends = ends;
                    self.go_on_opening(number);
                }
                Err(error) => self.fail_dialling(number, error),
            },
            Err(error) if others.is_empty() => {
                self.fail_dialling(number, Error::of_io(Kind::Connect, Stage::Tcp, &error));
            }
            Err(_) => {
                drop(sock);
                self.connect(number, route, others);
            }
        }
    }

    fn go_on_opening(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let State::Dialling(dialling) = &mut conn.state else { return };
        let Phase::Opening { sock, tunnel } = &mut dialling.phase else { return };
        let mut early = Vec::new();
        let mut advance = || -> Result<(), Error> {
            let io = |error: &std::io::Error, stage| Error::of_io(Kind::Connect, stage, error);
            loop {
                while !tunnel.outgoing().is_empty() && sock.is_writable() {
                    let stage = tunnel.stage();
                    if let Some(count) = sock.write(tunnel.outgoing()).map_err(|error| io(&error, stage))? {
                        tunnel.wrote(count);
                    }
                }
                if tunnel.is_open() || !sock.is_readable() {
                    return Ok(());
                }
                let stage = tunnel.stage();
                match sock.read(&mut self.buffer).map_err(|error| io(&error, stage))? {
                    None => {}
                    Some(0) => return tunnel.closed().map_or(Ok(()), Err),
                    Some(count) => drop(tunnel.received(&self.buffer[..count], &mut early)?),
                }
            }
        };
        if let Err(error) = advance() {
            return self.fail_dialling(number, error);
        }
        if !tunnel.is_open() {
            return;
        }
        let begun = dialling.begun;
        let Phase::Opening { sock, tunnel } = std::mem::replace(&mut dialling.phase, Phase::Asked) else { return };
        match conn.front {
            Front::Http => conn.output.push(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Front::Socks5 => conn.output.push(&reply5(200)),
            Front::Socks4 => conn.output.push(&reply4(true)),
        }
        let received = early.len() as u64;
        conn.output.push(&early);
        conn.ends = now() + nanos(self.settings.idle);
        conn.state = State::Open(Box::new(Splice::new(sock, *tunnel, received)));
        let ticket = conn.ticket(number);
        add(&self.counts.tunnels, 1);
        self.tell(ticket, Told::Opened(since(begun)), (0, 0));
        self.go_on_open(number);
    }

    fn fail_dialling(&mut self, number: usize, error: Error) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        let State::Dialling(dialling) = &mut conn.state else { return };
        dialling.phase = Phase::Asked;
        conn.ends = now() + nanos(self.settings.idle);
        let elapsed_ms = since(dialling.begun);
        self.tell(ticket, Told::Failed { error, elapsed_ms }, (0, 0));
        add(&self.counts.retried, 1);
    }

    pub(super) fn pause_dialling(&mut self, number: usize, seconds: f64) {
        let at = now() + (seconds.max(0.0) * 1e9) as u64;
        if let Some(conn) = self.conns.get_mut(number)
            && let State::Dialling(dialling) = &mut conn.state
        {
            dialling.phase = Phase::Paused;
            conn.ends = at;
            self.look_by(at);
        }
    }

    /// Time is up for what is under way.
    pub(super) fn late_dialling(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(number) else { return };
        let ticket = conn.ticket(number);
        conn.ends = now() + nanos(self.settings.idle);
        let State::Dialling(dialling) = &mut conn.state else { return };
        let is_late = dialling.attempt_ends <= now();
        match std::mem::replace(&mut dialling.phase, Phase::Asked) {
            // The director takes its time; its verdict comes.
            Phase::Asked => {}
            Phase::Paused => self.tell(ticket, Told::Done, (0, 0)),
            Phase::Resolving { route, is_asked: false } if !is_late => self.resolve(number, route),
            Phase::Connecting { route, others, sock } if !is_late && !others.is_empty() => {
                drop(sock);
                self.connect(number, route, others);
            }
            Phase::Resolving { .. } => {
                self.fail_dialling(number, Error::new(Kind::ConnectTimeout, Stage::Resolve, LATE))
            }
            Phase::Connecting { .. } => self.fail_dialling(number, Error::new(Kind::ConnectTimeout, Stage::Tcp, LATE)),
            Phase::Opening { tunnel, .. } => {
                self.fail_dialling(number, Error::new(Kind::ConnectTimeout, tunnel.stage(), LATE));
            }
        }
    }
}
