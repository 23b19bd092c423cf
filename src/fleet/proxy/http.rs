//! The HTTP proxy: one request after the other on a connection, sent on, tunnelled, or turned down.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::request::{Asked, Want, digest};
use super::state::ProxyState;
use super::upstream::Upstream;
use super::{answer, connect, forward, hang, tunnel};
use crate::fleet::fault::Fault;
use crate::fleet::http::body::{Framing, Scanner};
use crate::fleet::http::buffer::Buffer;
use crate::fleet::http::head::{self, BadHead, Read};
use crate::fleet::net::{Wire, close, gone, linger, reset};
use crate::fleet::script::Plan;

/// A client's connection and what belongs to it.
pub(super) struct Client<W> {
    pub(super) wire: W,
    pub(super) buffer: Buffer,
    /// The head to be sent on.
    pub(super) out: Vec<u8>,
    /// The head to be sent back.
    pub(super) back: Vec<u8>,
    /// The connection that carried the last request; most clients go on with the same site.
    pub(super) upstream: Option<Upstream>,
}

/// What becomes of a connection after an exchange.
pub(super) enum Next {
    /// The next request.
    Stay,
    /// The end.
    Close,
    /// The end, with the client still sending.
    Linger,
    /// The end, with RST.
    Reset,
    /// A tunnel.
    Tunnel(Box<Upstream>, Plan),
}

/// Serves a connection to its end.
pub(super) async fn serve<W: Wire>(wire: W, proxy: &ProxyState) {
    let mut client = Client { wire, buffer: Buffer::default(), out: Vec::new(), back: Vec::new(), upstream: None };
    let next = loop {
        match exchange(&mut client, proxy).await {
            Ok(Next::Stay) => {}
            Ok(next) => break next,
            // The client is gone, or the body broke off: nothing more can be said on this connection.
            Err(_) => break Next::Close,
        }
    };
    if let Some(upstream) = client.upstream.take() {
        proxy.pool.put(upstream);
    }
    match next {
        Next::Stay | Next::Close => close(&mut client.wire).await,
        Next::Linger => linger(&mut client.wire).await,
        Next::Reset => reset(&client.wire),
        Next::Tunnel(upstream, plan) => {
            tunnel::run(client.wire, client.buffer, *upstream, proxy, plan).await;
        }
    }
}

async fn exchange<W: Wire>(client: &mut Client<W>, proxy: &ProxyState) -> io::Result<Next> {
    let Client { wire, buffer, out, .. } = client;
    let login = proxy.login.as_ref();
    let asked = match head::read(buffer, wire, |bytes| digest(bytes, login, out)).await? {
        Read::Head(asked) => asked,
        Read::End => return Ok(Next::Close),
        Read::Bad(bad) => {
            proxy.counters.bad_requests.add(1);
            let status = if bad == BadHead::TooLarge { 431 } else { 400 };
            return client.turn_down(status).await;
        }
    };
    client.buffer.consume(asked.length);
    if asked.want == Want::Own {
        proxy.counters.bad_requests.add(1);
        return client.answer(&asked, 400).await;
    }
    if !asked.authorised {
        proxy.counters.auth_failures.add(1);
        return client.answer(&asked, 407).await;
    }
    proxy.counters.requests.add(1);
    let plan = proxy.next();
    if !plan.delay.is_zero() {
        tokio::select! {
            () = sleep(plan.delay) => {}
            () = gone(client.wire.tcp()) => return Ok(Next::Close),
        }
    }
    match plan.fault {
        Some(Fault::Refuse | Fault::Reset) => return Ok(Next::Reset),
        Some(Fault::Hang) => {
            hang(&mut client.wire, proxy).await;
            return Ok(Next::Close);
        }
        Some(Fault::Status(status)) => return client.answer(&asked, status).await,
        Some(Fault::Cut) | None => {}
    }
    let Some(address) = proxy.world.names.resolve(&asked.host, asked.port) else {
        proxy.counters.blocked.add(1);
        return client.answer(&asked, 502).await;
    };
    if asked.want == Want::Connect {
        connect::open(client, proxy, &asked, address, plan).await
    } else {
        forward::forward(client, proxy, &asked, address, plan).await
    }
}

impl<W: Wire> Client<W> {
    /// Answers a request that goes nowhere. The connection stays if the request is here to its end.
    pub(super) async fn answer(&mut self, asked: &Asked, status: u16) -> io::Result<Next> {
        let mut scanner = Scanner::new(asked.facts.framing);
        let whole = match scanner.advance(self.buffer.filled()) {
            Ok(n) if scanner.is_done() => {
                self.buffer.consume(n);
                true
            }
            _ => asked.facts.framing == Framing::None,
        };
        let stay = whole && asked.modern && asked.facts.keep_alive;
        self.back.clear();
        answer::write(&mut self.back, status, stay);
        if asked.is_head {
            // The same head without the body.
            let end = self.back.windows(4).position(|four| four == b"\r\n\r\n");
            self.back.truncate(end.map_or(self.back.len(), |end| end + 4));
        }
        self.wire.write_all(&self.back).await?;
        self.wire.flush().await?;
        Ok(match (stay, whole) {
            (true, _) => Next::Stay,
            (false, true) => Next::Close,
            (false, false) => Next::Linger,
        })
    }

    /// Answers something that is no request.
    async fn turn_down(&mut self, status: u16) -> io::Result<Next> {
        self.back.clear();
        answer::write(&mut self.back, status, false);
        self.wire.write_all(&self.back).await?;
        self.wire.flush().await?;
        Ok(Next::Linger)
    }
}
