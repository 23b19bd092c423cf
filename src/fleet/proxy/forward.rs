//! Forwarding: the request to its destination, the response back, bodies as they come.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::http::{Client, Next};
use super::request::Asked;
use super::response::{self, Answered};
use super::state::ProxyState;
use super::upstream::Upstream;
use crate::fleet::fault::Fault;
use crate::fleet::http::body::{Framing, Scanner, relay, relay_to_client};
use crate::fleet::http::head::{self, Read};
use crate::fleet::net::{PATIENCE, Wire, gone, reset};
use crate::fleet::script::Plan;

/// Sends a request on and its answer back.
pub(super) async fn forward<W: Wire>(
    client: &mut Client<W>,
    proxy: &ProxyState,
    asked: &Asked,
    address: SocketAddr,
    plan: Plan,
) -> io::Result<Next> {
    let mut scanner = Scanner::new(asked.facts.framing);
    // What is here of the body goes out with the head, in one packet where it fits.
    let n = match scanner.advance(client.buffer.filled()) {
        Ok(n) => n,
        Err(_) => return client.answer(asked, 400).await,
    };
    client.out.extend_from_slice(&client.buffer.filled()[..n]);
    client.buffer.consume(n);
    let whole = scanner.is_done();
    if asked.facts.expects && !whole && asked.modern {
        client.wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        client.wire.flush().await?;
    }
    let Some(mut upstream) = route(client, proxy, address).await else {
        return client.answer(asked, 502).await;
    };
    loop {
        let mut sent = upstream.stream.write_all(&client.out).await;
        if !whole && sent.is_ok() {
            let up = relay(&mut scanner, &mut client.buffer, &mut client.wire, &mut upstream.stream);
            match up.await {
                Ok(bytes) => proxy.counters.bytes_up.add(bytes),
                Err(error) => return cut_short(client, proxy, asked, upstream, error, plan).await,
            }
        }
        if sent.is_ok() {
            proxy.counters.bytes_up.add(client.out.len() as u64);
            match answered(client, &mut upstream, asked).await {
                Ok(Some(answered)) => {
                    return hand_back(client, proxy, upstream, &answered, plan).await;
                }
                Ok(None) => sent = Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    return Err(error);
                }
                Err(error) => sent = Err(error),
            }
        }
        // A kept connection may have been closed just when it was used again: then nothing was answered, and the
        // request, if it is here to its end, is sent once more on a new one.
        let again = upstream.used && whole && sent.is_err() && upstream.buffer.is_empty();
        drop(upstream);
        match Upstream::connect(proxy, address).await {
            Ok(fresh) if again => upstream = fresh,
            _ => return client.answer(asked, 502).await,
        }
    }
}

/// The body did not get through. A destination may answer before it has all and hang up: then that is the answer.
async fn cut_short<W: Wire>(
    client: &mut Client<W>,
    proxy: &ProxyState,
    asked: &Asked,
    mut upstream: Upstream,
    error: io::Error,
    plan: Plan,
) -> io::Result<Next> {
    // The client ended the request: the destination still waits for the body, and no client waits for the answer.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Err(error);
    }
    match timeout(PATIENCE, answered(client, &mut upstream, asked)).await {
        Ok(Ok(Some(answered))) => {
            hand_back(client, proxy, upstream, &answered, plan).await?;
            client.upstream = None;
            Ok(Next::Linger)
        }
        _ => Err(error),
    }
}

/// The connection to use: the last one, an idle one, a new one.
async fn route<W>(client: &mut Client<W>, proxy: &ProxyState, address: SocketAddr) -> Option<Upstream> {
    if let Some(last) = client.upstream.take() {
        if last.address != address {
            proxy.pool.put(last);
        } else if last.is_idle() {
            return Some(last);
        }
    }
    if let Some(idle) = proxy.pool.take(address) {
        return Some(idle);
    }
    Upstream::connect(proxy, address).await.ok()
}

/// Reads the response's head, past those that are provisional. `None`: the destination closed or makes no sense.
async fn answered<W: Wire>(
    client: &mut Client<W>,
    upstream: &mut Upstream,
    asked: &Asked,
) -> io::Result<Option<Answered>> {
    let may_stay = asked.modern && asked.facts.keep_alive;
    let back = &mut client.back;
    loop {
        let Upstream { stream, buffer, .. } = &mut *upstream;
        let digest = |bytes: &[u8]| response::digest(bytes, asked.is_head, may_stay, back);
        // A client that gives up waiting must not be answered, and its destination not be waited for.
        let read = tokio::select! {
            biased;
            read = head::read(buffer, stream, digest) => read?,
            () = gone(client.wire.tcp()) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match read {
            // 100 is dropped because the proxy has sent it already, the others because the fleet's clients do not use
            // them.
            Read::Head(answered) if answered.status < 200 => buffer.consume(answered.length),
            Read::Head(answered) => return Ok(Some(answered)),
            Read::End => return Ok(None),
            Read::Bad(_) => return Ok(None),
        }
    }
}

async fn hand_back<W: Wire>(
    client: &mut Client<W>,
    proxy: &ProxyState,
    mut upstream: Upstream,
    answered: &Answered,
    plan: Plan,
) -> io::Result<Next> {
    if plan.fault == Some(Fault::Cut) {
        return cut(client, proxy, &mut upstream, answered, plan.cut_after).await;
    }
    let mut scanner = Scanner::new(answered.framing);
    let body = &upstream.buffer.filled()[answered.length..];
    let n = scanner.advance(body)?;
    let first = if answered.rewritten {
        client.back.extend_from_slice(&body[..n]);
        &client.back[..]
    } else {
        &upstream.buffer.filled()[..answered.length + n]
    };
    client.wire.write_all(first).await?;
    let mut down = first.len() as u64;
    upstream.buffer.consume(answered.length + n);
    if !scanner.is_done() {
        let Upstream { stream, buffer, .. } = &mut upstream;
        match relay_to_client(&mut scanner, buffer, stream, &mut client.wire).await {
            Ok(bytes) => down += bytes,
            Err(error) => {
                // The client must see that the body broke off, even where only the end of the connection ends it.
                reset(&client.wire);
                return Err(error);
            }
        }
    }
    // TLS holds back what it can.
    client.wire.flush().await?;
    proxy.counters.bytes_down.add(down);
    if answered.keep_alive {
        upstream.used = true;
        client.upstream = Some(upstream);
    }
    Ok(if answered.stay { Next::Stay } else { Next::Close })
}

/// Sends the head and less than the whole body.
async fn cut<W: Wire>(
    client: &mut Client<W>,
    proxy: &ProxyState,
    upstream: &mut Upstream,
    answered: &Answered,
    after: u64,
) -> io::Result<Next> {
    let Upstream { stream, buffer, .. } = upstream;
    let mut piece = if answered.rewritten { client.back.clone() } else { buffer.filled()[..answered.length].to_vec() };
    buffer.consume(answered.length);
    let mut budget = match answered.framing {
        Framing::Length(length) => after.min(length / 2),
        Framing::Chunked | Framing::UntilClose => after,
        Framing::None => {
            // No body to cut: the head itself breaks off.
            piece.truncate(piece.len() / 2);
            0
        }
    };
    while budget > 0 {
        if buffer.is_empty() && buffer.fill(stream).await? == 0 {
            break;
        }
        let mut n = usize::try_from(budget).map_or(buffer.len(), |budget| budget.min(buffer.len()));
        if answered.framing == Framing::Chunked {
            // The end of a short chunked body may be in here already: half of it is never the whole.
            n = n.min(buffer.len().div_ceil(2));
            budget = n as u64;
        }
        piece.extend_from_slice(&buffer.filled()[..n]);
        buffer.consume(n);
        budget -= n as u64;
    }
    client.wire.write_all(&piece).await?;
    client.wire.flush().await?;
    proxy.counters.bytes_down.add(piece.len() as u64);
    Ok(if answered.framing == Framing::UntilClose {
        // Here a clean end would be a valid one.
        Next::Reset
    } else {
        Next::Close
    })
}
