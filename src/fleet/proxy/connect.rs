//! CONNECT: a tunnel asked for over HTTP.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;

use super::http::{Client, Next};
use super::request::Asked;
use super::state::ProxyState;
use super::upstream::Upstream;
use crate::fleet::net::Wire;
use crate::fleet::script::Plan;

/// Connects to the destination and says so; what follows is the tunnel's.
pub(super) async fn open<W: Wire>(
    client: &mut Client<W>,
    proxy: &ProxyState,
    asked: &Asked,
    address: SocketAddr,
    plan: Plan,
) -> io::Result<Next> {
    let Ok(upstream) = Upstream::connect(proxy, address).await else {
        return client.answer(asked, 502).await;
    };
    client.wire.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    client.wire.flush().await?;
    proxy.counters.tunnels.add(1);
    Ok(Next::Tunnel(Box::new(upstream), plan))
}
