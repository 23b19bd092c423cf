//! From a connection to a proxy to a page through it, in each of the four protocols.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{Answer, Meter, ask_for_tunnel, broken, exchange};
use super::report::Failure;
use super::run::Shared;
use crate::net::address::{Address, Credentials, Protocol};
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
    match way.protocol {
        Protocol::Socks4 => socks4(&mut stream, login, target, meter).await?,
        Protocol::Socks5 => socks5(&mut stream, login, target, meter).await?,
        Protocol::Http | Protocol::Https if target.tls || way.tunnel => {
            let place = target.with_port();
            let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{}\r\n", authorization(login));
            match ask_for_tunnel(&mut stream, request.as_bytes(), meter).await? {
                200..=299 => {}
                407 => return Err(Failure::Auth),
                status => return Err(Failure::Denied(status)),
            }
        }
        Protocol::Http | Protocol::Https => {
            let path = format!("http://{}{}", target.authority(), target.path);
            let request = request(shared, target, &path, &authorization(login));
            let answer = exchange(&mut stream, request.as_bytes(), shared.plan.max_body, meter).await?;
            return if answer.status == 407 { Err(Failure::Auth) } else { Ok(answer) };
        }
    }
    ask(shared, stream, target, meter).await
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Shared,
    mut stream: S,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    let request = request(shared, target, &target.path, "");
    if target.tls {
        let mut stream = in_tls(shared, stream, &target.host).await?;
        return exchange(&mut stream, request.as_bytes(), shared.plan.max_body, meter).await;
    }
    exchange(&mut stream, request.as_bytes(), shared.plan.max_body, meter).await
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

fn request(shared: &Shared, target: &Target, path: &str, further: &str) -> String {
    let (host, agent) = (target.authority(), &shared.plan.user_agent);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{further}Connection: close\r\n\r\n"
    )
}

fn authorization(login: Option<&Credentials>) -> String {
    login.map_or_else(String::new, |login| {
        let both = STANDARD.encode(format!("{}:{}", login.username, login.password));
        format!("Proxy-Authorization: Basic {both}\r\n")
    })
}

async fn read<S: AsyncRead + Unpin, const N: usize>(stream: &mut S, meter: &mut Meter<'_>) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|error| broken(&error))?;
    meter.count(N)?;
    Ok(bytes)
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))
}

/// SOCKS 4, and 4a where the target is a name.
async fn socks4<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    login: Option<&Credentials>,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    let mut request = vec![4, 1];
    request.extend(target.port.to_be_bytes());
    let ip = target.host.parse::<std::net::Ipv4Addr>().ok();
    // An address of this form says that a name follows.
    request.extend(ip.map_or([0, 0, 0, 1], |ip| ip.octets()));
    request.extend(login.map_or("", |login| &*login.username).bytes().filter(|b| *b != 0));
    request.push(0);
    if ip.is_none() {
        request.extend(target.host.bytes());
        request.push(0);
    }
    write(stream, &request).await?;
    let answer: [u8; 8] = read(stream, meter).await?;
    match answer {
        [0, 90, ..] => Ok(()),
        [0, 92 | 93, ..] => Err(Failure::Auth),
        [0, code @ 91..=95, ..] => Err(Failure::Denied(u16::from(code))),
        _ => Err(Failure::Protocol),
    }
}

/// SOCKS 5 (RFC 1928) with passwords (RFC 1929).
async fn socks5<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    login: Option<&Credentials>,
    target: &Target,
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    write(stream, if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] }).await?;
    match (read::<_, 2>(stream, meter).await?, login) {
        ([5, 0], _) => {}
        ([5, 2], Some(login)) => {
            let mut message = vec![1];
            for part in [&login.username, &login.password] {
                message.push(u8::try_from(part.len()).map_err(|_| Failure::Auth)?);
                message.extend(part.bytes());
            }
            write(stream, &message).await?;
            let [_, status] = read(stream, meter).await?;
            if status != 0 {
                return Err(Failure::Auth);
            }
        }
        ([5, _], _) => return Err(Failure::Auth),
        _ => return Err(Failure::Protocol),
    }
    let mut request = vec![5, 1, 0];
    match target.host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Ok(std::net::IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.extend([3, u8::try_from(target.host.len()).map_err(|_| Failure::Protocol)?]);
            request.extend(target.host.bytes());
        }
    }
    request.extend(target.port.to_be_bytes());
    write(stream, &request).await?;
    let [version, code, _, kind] = read(stream, meter).await?;
    if version != 5 {
        return Err(Failure::Protocol);
    }
    if code != 0 {
        return Err(if code == 2 { Failure::Auth } else { Failure::Denied(u16::from(code)) });
    }
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<_, 1>(stream, meter).await?[0]),
        _ => return Err(Failure::Protocol),
    };
    let mut bound = vec![0; rest + 2];
    stream.read_exact(&mut bound).await.map_err(|error| broken(&error))?;
    meter.count(bound.len())
}
