//! The SOCKS proxies: a handshake, then a tunnel.

mod v4;
mod v5;

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::state::ProxyState;
use super::upstream::Upstream;
use super::{hang, tunnel};
use crate::fleet::fault::Fault;
use crate::fleet::http::buffer::Buffer;
use crate::fleet::net::{Wire, close, gone, reset};
use crate::fleet::spec::Scheme;

/// Where a client wants to go. A name is resolved here, by the proxy.
pub(super) enum Target {
    Name(String, u16),
    Address(IpAddr, u16),
}

/// How a handshake went.
pub(super) enum Handshake {
    /// The client may have what it asks for.
    Wants(Target),
    /// The request is refused, and the reply is sent.
    Refused,
    /// The client broke the protocol.
    Broken,
}

/// The answer to a request, before it is written in the version's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Connected; the proxy's own address at the other side.
    Granted(SocketAddr),
    Failed,
    NotAllowed,
    HostUnreachable,
    ConnectionRefused,
    Expired,
}

impl Reply {
    /// What a status, as an HTTP proxy would answer it, is in SOCKS.
    fn of_status(status: u16) -> Self {
        match status {
            403 | 407 | 429 => Self::NotAllowed,
            502 => Self::HostUnreachable,
            504 => Self::Expired,
            _ => Self::Failed,
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve<W: Wire>(mut wire: W, proxy: &ProxyState) {
    let mut buffer = Buffer::default();
    let shaken = match proxy.scheme {
        Scheme::Socks4 => v4::handshake(&mut wire, &mut buffer, proxy).await,
        _ => v5::handshake(&mut wire, &mut buffer, proxy).await,
    };
    let target = match shaken {
        Ok(Handshake::Wants(target)) => target,
        Ok(Handshake::Refused) => return close(&mut wire).await,
        Ok(Handshake::Broken) => {
            proxy.counters.bad_requests.add(1);
            return close(&mut wire).await;
        }
        Err(_) => return,
    };
    proxy.counters.socks_handshakes.add(1);
    let plan = proxy.next();
    if !plan.delay.is_zero() {
        tokio::select! {
            () = sleep(plan.delay) => {}
            () = gone(wire.tcp()) => return,
        }
    }
    match plan.fault {
        Some(Fault::Refuse | Fault::Reset) => return reset(&wire),
        Some(Fault::Hang) => return hang(&mut wire, proxy).await,
        Some(Fault::Status(status)) => {
            // If the client is gone, so be it.
            let _ = say(&mut wire, proxy, Reply::of_status(status)).await;
            return close(&mut wire).await;
        }
        Some(Fault::Cut) | None => {}
    }
    match connect(proxy, target).await {
        Ok((upstream, reply)) => {
            if say(&mut wire, proxy, reply).await.is_ok() {
                proxy.counters.tunnels.add(1);
                tunnel::run(wire, buffer, upstream, proxy, plan).await;
            }
        }
        Err(reply) => {
            // As above.
            let _ = say(&mut wire, proxy, reply).await;
            close(&mut wire).await;
        }
    }
}

async fn connect(proxy: &ProxyState, target: Target) -> Result<(Upstream, Reply), Reply> {
    let names = &proxy.world.names;
    let address = match &target {
        Target::Name(name, port) => names.resolve(name, *port),
        Target::Address(ip, port) => names.literal(*ip, *port),
    };
    let Some(address) = address else {
        proxy.counters.blocked.add(1);
        return Err(match target {
            Target::Name(..) => Reply::HostUnreachable,
            Target::Address(..) => Reply::NotAllowed,
        });
    };
    let upstream = Upstream::connect(proxy, address).await.map_err(|_| Reply::ConnectionRefused)?;
    let own = upstream.stream.local_addr().map_err(|_| Reply::Failed)?;
    Ok((upstream, Reply::Granted(own)))
}

async fn say<W: Wire>(wire: &mut W, proxy: &ProxyState, reply: Reply) -> io::Result<()> {
    let bytes = match proxy.scheme {
        Scheme::Socks4 => v4::reply(reply),
        _ => v5::reply(reply),
    };
    wire.write_all(&bytes).await?;
    wire.flush().await
}
