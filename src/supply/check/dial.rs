//! From a connection to a proxy to a page through it, in each of the four protocols.

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{Answer, Meter, broken, exchange};
use super::report::Failure;
use super::run::Shared;
use crate::judge::handshake::of_refusal;
use crate::judge::outcome::Outcome;
use crate::net::address::{Address, Credentials, Protocol};
use crate::net::destination::Destination;
use crate::net::handshake::{Handshake, Progress, Refusal};
use crate::net::http1;
use crate::net::target::Target;

/// How a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) protocol: Protocol,
    /// `CONNECT` for pages of plain HTTP, too.
    pub(super) tunnel: bool,
}

/// Fetches a page through a proxy that is connected to.
pub(super) async fn fetch(
    shared: &Shared,
    stream: TcpStream,
    address: &Address,
    way: Way,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    if way.protocol == Protocol::Https {
        let stream = in_tls(shared, stream, &address.host).await?;
        return through(shared, stream, address, way, target, meter).await;
    }
    through(shared, stream, address, way, target, meter).await
}

/// Fetches a page without a proxy.
pub(super) async fn fetch_directly(
    shared: &Shared,
    stream: TcpStream,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    ask(shared, stream, target, meter).await
}

async fn through<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Shared,
    mut stream: S,
    address: &Address,
    way: Way,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    let login = address.credentials.as_ref();
    if matches!(way.protocol, Protocol::Http | Protocol::Https) && !target.tls && !way.tunnel {
        let path = format!("http://{}{}", target.authority(), target.path);
        let request = request(shared, target, &path, login)?;
        let answer = exchange(&mut stream, &request, shared.plan.max_body, meter).await?;
        return if answer.status == 407 { Err(Failure::Auth) } else { Ok(answer) };
    }
    open_tunnel(&mut stream, way.protocol, login, target, meter).await?;
    ask(shared, stream, target, meter).await
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Shared,
    mut stream: S,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    let request = request(shared, target, &target.path, None)?;
    if target.tls {
        let mut stream = in_tls(shared, stream, &target.host).await?;
        return exchange(&mut stream, &request, shared.plan.max_body, meter).await;
    }
    exchange(&mut stream, &request, shared.plan.max_body, meter).await
}

async fn in_tls<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Shared,
    stream: S,
    host: &str,
) -> Result<tokio_rustls::client::TlsStream<S>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Tls)?;
    let connector = shared.tls().ok_or(Failure::Tls)?;
    connector.connect(name, stream).await.map_err(|error| match broken(&error) {
        Failure::Unreachable => Failure::Tls,
        other => other,
    })
}

fn request(shared: &Shared, target: &Target, path: &str, login: Option<&Credentials>) -> Result<Vec<u8>, Failure> {
    let (host, login) = (target.authority(), login.map(Credentials::basic));
    let mut headers: Vec<(&str, &str)> =
        vec![("Host", &host), ("User-Agent", &shared.plan.user_agent), ("Accept", "*/*")];
    headers.extend(login.as_deref().map(|login| ("Proxy-Authorization", login)));
    headers.push(("Connection", "close"));
    let mut request = Vec::with_capacity(256);
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    http1::write_request(&mut request, "GET", path, headers).map_err(|_| Failure::Internal)?;
    Ok(request)
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))
}

/// Has the proxy connect to the target.
async fn open_tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    login: Option<&Credentials>,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    let is_http = matches!(protocol, Protocol::Http | Protocol::Https);
    let to = Destination::new(&target.host, target.port).map_err(|_| Failure::Protocol)?;
    let mut handshake = Handshake::new(protocol, to, login.cloned());
    let first = handshake.start().map_err(|what| failure_of(&Refusal::Inexpressible(what)))?;
    write(stream, &first).await?;
    let mut buffer = [0; READ];
    let mut has_begun = false;
    loop {
        let got = stream.read(&mut buffer).await.map_err(|error| broken(&error))?;
        if got == 0 {
            return Err(if is_http && has_begun { Failure::BadAnswer } else { Failure::Closed });
        }
        has_begun = true;
        meter.count(got)?;
        match handshake.feed(&buffer[..got]).client_speaks_first() {
            Progress::NeedMore(_) => {}
            Progress::Write(message) => write(stream, &message).await?,
            Progress::Done { .. } => return Ok(()),
            Progress::Refused(refusal) => return Err(failure_of(&refusal)),
            Progress::Malformed(_) => return Err(if is_http { Failure::BadAnswer } else { Failure::Protocol }),
        }
    }
}

/// Bytes of one read of a handshake.
const READ: usize = 512;

fn failure_of(refusal: &Refusal) -> Failure {
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
