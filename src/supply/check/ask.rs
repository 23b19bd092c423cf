//! Requests of checks, and what their errors say of a proxy.

use std::io;
use std::net::SocketAddr;

use super::plan::Plan;
use super::report::Failure;
use crate::drive::order::Order;
use crate::judge::handshake::of_refusal;
use crate::judge::outcome::Outcome;
use crate::net::address::{Address, Protocol};
use crate::net::handshake::Refusal;
use crate::net::http1;
use crate::net::target::Target;
use crate::net::tls::{BadCertificates, Verification};
use crate::sync::Arc;
use crate::wire::error::{Cut, Error, Kind, Stage};
use crate::wire::limits::Limits;
use crate::wire::request::{Headers, Request};
use crate::wire::route::{Origin, Proxy, Route, RouteOptions};
use crate::wire::tls::Profile;

/// Bytes of a head; real ones have a tenth of it.
const HEAD: usize = 32 << 10;

/// How a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) protocol: Protocol,
    /// `CONNECT` for pages of plain HTTP, too.
    pub(super) tunnel: bool,
}

impl Way {
    /// Whether the proxy reads the request, and answers it itself.
    pub(super) fn forwards(self, target: &Target) -> bool {
        is_http(self.protocol) && !target.tls && !self.tunnel
    }
}

/// A proxy on its way to be asked.
pub(super) struct Through<'a> {
    pub(super) number: usize,
    pub(super) address: &'a Address,
    pub(super) way: Way,
    /// Where it is, as was found before.
    pub(super) places: &'a Arc<[SocketAddr]>,
}

/// Makes requests.
pub(super) struct Asker {
    user_agent: Box<str>,
    /// `None` where no TLS is to be expected: to load certificates takes milliseconds.
    tls: Option<Arc<Profile>>,
    /// Stands where no TLS is spoken.
    none: Arc<Profile>,
    limits: Limits,
}

fn is_http(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Https)
}

impl Asker {
    pub(super) fn new(plan: &Plan, may_need_tls: bool) -> Result<Self, BadCertificates> {
        let profile = |verification| Profile::new(verification, None).map(Arc::new);
        Ok(Self {
            user_agent: plan.user_agent.clone(),
            tls: may_need_tls.then(|| profile(&plan.verification)).transpose()?,
            none: profile(&Verification::Nothing)?,
            limits: Limits { head: http1::Limits { bytes: HEAD, ..http1::Limits::default() }, ..Limits::streamed() },
        })
    }

    /// Asks for a page, of which `enough` bytes are read; through a proxy, or directly.
    pub(super) fn order(
        &self,
        through: Option<&Through<'_>>,
        target: &Target,
        enough: usize,
        deadline: u64,
    ) -> Result<Order, Failure> {
        let mut headers = Headers::new();
        headers.push(b"Host", target.authority().as_bytes());
        headers.push(b"User-Agent", self.user_agent.as_bytes());
        headers.push(b"Accept", b"*/*");
        headers.push(b"Connection", b"close");
        let request = Request::new("GET", &*target.path, headers).map_err(|_| Failure::Internal)?;
        let origin = Origin { tls: target.tls, host: target.host.clone(), port: target.port };
        let proxy = through.map(|through| {
            Arc::new(Proxy {
                id: through.number as u128,
                protocol: through.way.protocol,
                host: through.address.host.clone(),
                port: through.address.effective_port(),
                credentials: through.address.credentials.clone(),
                // Its addresses are known, and were judged.
                public_only: false,
            })
        });
        let needs_tls = target.tls || proxy.as_ref().is_some_and(|proxy| proxy.protocol == Protocol::Https);
        let tls = if needs_tls { self.tls.as_ref().ok_or(Failure::Tls)? } else { &self.none };
        let mut options = RouteOptions::new(proxy, origin, Arc::clone(tls));
        options.always_tunnel = through.is_some_and(|through| through.way.tunnel);
        Ok(Order {
            deadline: Some(deadline),
            limits: self.limits,
            enough: Some(enough),
            addresses: through.map(|through| Arc::clone(through.places)),
            ..Order::new(Route::new(options), request)
        })
    }
}

/// What an error of a request says of the proxy.
pub(super) fn failure_of(error: &Error, protocol: Protocol) -> Failure {
    if let Some(number) = error.errno {
        return broken(&io::Error::from_raw_os_error(number));
    }
    match (&error.kind, error.cut) {
        (Kind::Proxy(Some(refusal)), _) => refused(refusal),
        (_, Some(Cut::Amid)) if error.stage == Stage::Head => Failure::BadAnswer,
        (_, Some(Cut::Amid)) if error.stage == Stage::Handshake && is_http(protocol) => Failure::BadAnswer,
        (_, Some(_)) => Failure::Closed,
        (Kind::Proxy(None), None) if is_http(protocol) => Failure::BadAnswer,
        (Kind::Proxy(None), None) => Failure::Protocol,
        (Kind::Deadline | Kind::ConnectTimeout | Kind::ReadTimeout | Kind::WriteTimeout | Kind::PoolTimeout, None) => {
            Failure::Timeout
        }
        (Kind::Connect, None) if error.stage <= Stage::Tcp => Failure::Unreachable,
        // What breaks without a word of the system's is TLS.
        (Kind::Connect | Kind::Read | Kind::Write, None) => Failure::Tls,
        (Kind::RemoteProtocol | Kind::Decoding | Kind::TooLarge(_), None) => Failure::BadAnswer,
        (Kind::LocalProtocol | Kind::Unsupported | Kind::Interrupted, None) => Failure::Internal,
    }
}

/// Whether there was no descriptor or port left for a connection: that is not the proxy's fault, and others give theirs back.
pub(super) fn is_shortage(error: &Error) -> bool {
    // Not by ErrorKind: it has no name for most of them.
    error.stage <= Stage::Tcp
        && [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EADDRNOTAVAIL]
            .iter()
            .any(|code| error.errno == Some(*code))
}

/// What happened to a connection.
fn broken(error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Failure::Refused,
        Kind::TimedOut => Failure::Timeout,
        Kind::UnexpectedEof
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected => Failure::Closed,
        _ => Failure::Unreachable,
    }
}

fn refused(refusal: &Refusal) -> Failure {
    // A pause that the proxy asks for ends no check, so the time does not matter.
    let (judgement, _) = of_refusal(refusal, || 0.0);
    if judgement.outcome() == Some(Outcome::ProxyAuth) {
        return Failure::Auth;
    }
    match refusal {
        Refusal::Connect(reply) => Failure::Denied(reply.status),
        Refusal::Socks4(reply) => Failure::Denied(u16::from(reply.code())),
        Refusal::Socks5(reply) => Failure::Denied(u16::from(reply.code())),
        Refusal::Method { .. } | Refusal::Login => Failure::Auth,
        Refusal::Inexpressible(_) => Failure::Protocol,
    }
}
