//! Tunnels: bytes in both directions until one side ends, with the proxy's latency at every turn.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::sleep;

use super::hang;
use super::state::ProxyState;
use super::upstream::Upstream;
use crate::fleet::fault::Fault;
use crate::fleet::http::buffer::Buffer;
use crate::fleet::net::{PATIENCE, Wire, reset};
use crate::fleet::script::Plan;

/// The first byte of a TLS handshake record.
const HANDSHAKE: u8 = 0x16;

/// Carries bytes until the end. `early` holds what the client sent behind its request.
pub(super) async fn run<W: Wire>(mut wire: W, early: Buffer, mut upstream: Upstream, proxy: &ProxyState, plan: Plan) {
    let budget = (plan.fault == Some(Fault::Cut)).then_some(plan.cut_after);
    let broken = {
        let (mut from_client, to_client) = split(&mut wire);
        let (mut from_site, to_site) = upstream.stream.split();
        // Which side sends, and how many pieces came back. Relaxed: both directions run in one task.
        let client_speaks = AtomicBool::new(false);
        let pieces = AtomicU64::new(0);
        let up = async {
            upwards(&mut from_client, to_site, early, proxy, &client_speaks).await?;
            until_quiet(&pieces).await
        };
        let down = downwards(&mut from_site, to_client, budget, proxy, &client_speaks, &pieces);
        tokio::select! {
            // Both sides are done, or one is gone, or the script cut it: all end the same way.
            _ = async { tokio::try_join!(up, down) } => None,
            fault = outage(proxy) => Some(fault),
        }
    };
    match broken {
        Some(Fault::Hang) => hang(&mut wire, proxy).await,
        Some(Fault::Refuse | Fault::Reset) => {
            reset(&wire);
            reset(&upstream.stream);
        }
        _ => {}
    }
}

/// The client has ended its half. It may still read what comes, and may as well be gone, which only a write would tell:
/// the tunnel ends when nothing has come for a while.
async fn until_quiet(pieces: &AtomicU64) -> io::Result<()> {
    loop {
        let before = pieces.load(Ordering::Relaxed);
        sleep(PATIENCE).await;
        if pieces.load(Ordering::Relaxed) == before {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

async fn upwards<R, W>(
    source: &mut R,
    mut sink: W,
    mut buffer: Buffer,
    proxy: &ProxyState,
    client_speaks: &AtomicBool,
) -> io::Result<()>
where
    R: tokio::io::AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        if buffer.is_empty() && buffer.fill(source).await? == 0 {
            return sink.shutdown().await;
        }
        if !client_speaks.swap(true, Ordering::Relaxed) && buffer.filled()[0] != HANDSHAKE {
            let delay = proxy.turn();
            if !delay.is_zero() {
                sleep(delay).await;
            }
        }
        let n = buffer.len();
        sink.write_all(buffer.filled()).await?;
        buffer.consume(n);
        proxy.counters.bytes_up.add(n as u64);
    }
}

/// Ends as an error, so that the other direction stops too.
async fn downwards<R, W>(
    source: &mut R,
    mut sink: W,
    mut budget: Option<u64>,
    proxy: &ProxyState,
    client_speaks: &AtomicBool,
    pieces: &AtomicU64,
) -> io::Result<()>
where
    R: tokio::io::AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut data = vec![0; 4096];
    loop {
        let mut n = source.read(&mut data).await?;
        if n == 0 {
            // Nothing more can come back: the tunnel ends, though the client might go on sending.
            sink.shutdown().await?;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        client_speaks.store(false, Ordering::Relaxed);
        pieces.fetch_add(1, Ordering::Relaxed);
        let full = n == data.len();
        if let Some(left) = &mut budget {
            n = usize::try_from(*left).map_or(n, |left| left.min(n));
            *left -= n as u64;
        }
        sink.write_all(&data[..n]).await?;
        sink.flush().await?;
        proxy.counters.bytes_down.add(n as u64);
        if budget == Some(0) {
            sink.shutdown().await?;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if full && data.len() < MAX {
            data = vec![0; data.len() * 4];
        }
    }
}

/// A busy direction reads in pieces of up to this.
const MAX: usize = 64 * 1024;

/// Waits until the proxy is set to fail always: what is open then does not go on as if nothing had happened.
async fn outage(proxy: &ProxyState) -> Fault {
    let mut changes = proxy.changes();
    loop {
        if changes.changed().await.is_err() {
            // The proxy is being taken down, and this task with it.
            std::future::pending::<()>().await;
        }
        if let Some(fault) = proxy.outage() {
            return fault;
        }
    }
}
