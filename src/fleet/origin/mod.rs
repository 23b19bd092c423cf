//! The origin: one site under many names, over HTTP and HTTPS, that returns to callers what it saw of them.

mod json;
mod page;
mod request;
mod routes;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::counters::OriginCounters;
use super::http::buffer::Buffer;
use super::net::{Listening, Wire, close, gone, linger};
use super::proxy::{ProxyState, World};
use page::{Content, Page};
use request::{Asked, Reading};

/// What all connections of the origin share.
pub(crate) struct Origin {
    pub(crate) world: Arc<World>,
    pub(crate) counters: OriginCounters,
    pub(crate) proxies: Vec<Arc<ProxyState>>,
}

/// Serves one port for ever.
pub(crate) async fn listen(listening: Listening, origin: Arc<Origin>, tls_only: bool) {
    loop {
        let (stream, peer) = listening.accept().await;
        let origin = Arc::clone(&origin);
        tokio::spawn(async move { origin.serve(stream, peer, tls_only).await });
    }
}

/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;

impl Origin {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, tls_only: bool) {
        self.counters.connections.add(1);
        let _open = self.counters.active.hold();
        // Sites have one address for all their ports, so this one understands both: a tunnel to `site.test:8443` and
        // one to `site.test:8080` both come here.
        let mut first = [0];
        let tls = tls_only || matches!(stream.peek(&mut first).await, Ok(1) if first[0] == HANDSHAKE);
        if !tls {
            return self.requests(stream, peer, false).await;
        }
        if let Ok(stream) = self.world.acceptor.accept(stream).await {
            self.counters.tls_handshakes.add(1);
            self.requests(stream, peer, true).await;
        }
    }

    async fn requests<W: Wire>(&self, mut wire: W, peer: SocketAddr, tls: bool) {
        let mut buffer = Buffer::default();
        let mut out = Vec::new();
        // Looked up with the first request, when it is known to be there: see `Registry::enter`.
        let mut proxy = None;
        loop {
            out.clear();
            let asked = match request::read(&mut wire, &mut buffer).await {
                Ok(Reading::Asked(asked)) => asked,
                Ok(Reading::Bad(status)) => {
                    Page::text(status, "not a request this origin understands\n").write(&mut out, false);
                    // If the client is gone, so be it.
                    let _ = wire.write_all(&out).await;
                    return linger(&mut wire).await;
                }
                Ok(Reading::End) | Err(_) => break,
            };
            let proxy = *proxy.get_or_insert_with(|| self.world.registry.proxy_of(peer));
            self.counters.request(proxy, &asked.site);
            let caller = routes::Caller {
                proxy: proxy.and_then(|index| self.proxies.get(index)).map(|proxy| &**proxy),
                peer,
                tls,
            };
            let page = tokio::select! {
                biased;
                page = routes::answer(&asked, &caller) => page,
                // The client has hung up before a slow page was ready.
                () = gone(wire.tcp()) => break,
            };
            page.write_head(&mut out, asked.keep_alive, asked.modern);
            let sent = send(&mut wire, &mut out, page, &asked).await;
            if sent.is_err() || !asked.keep_alive {
                break;
            }
        }
        close(&mut wire).await;
    }
}

/// Sends the head that is in `out` and the page's body behind it.
async fn send<W: Wire>(wire: &mut W, out: &mut Vec<u8>, page: Page, asked: &Asked) -> io::Result<()> {
    if !asked.is_head
        && let Content::Whole(body) = &page.content
    {
        // One packet for all of a small page.
        out.extend_from_slice(body);
    }
    wire.write_all(out).await?;
    if !asked.is_head {
        stream::send(wire, &page.content, asked.modern).await?;
    }
    wire.flush().await
}
