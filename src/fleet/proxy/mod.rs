//! The proxies: one accepted connection at a time, from its first byte to its last.

mod answer;
mod connect;
mod forward;
mod http;
mod request;
mod response;
mod socks;
mod state;
mod tunnel;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until};

use super::net::{Port, Wire};
use super::spec::Scheme;
pub(crate) use answer::{CAPTCHA, reason};
pub(crate) use state::{ProxyState, World};

/// Serves one proxy's port for ever: open while its script says so, each connection in a task of its own.
pub(crate) async fn listen(port: Arc<Port>, proxy: Arc<ProxyState>) {
    let mut changes = proxy.changes();
    let mut listening = None;
    loop {
        let epoch = *changes.borrow_and_update();
        let gate = proxy.gate();
        // A port that was open and stays open is left alone: connections waiting in its queue would be lost.
        if !gate.open {
            listening = None;
        } else if listening.is_none() {
            match port.listen() {
                Ok(open) => listening = Some(open),
                Err(_) => {
                    // The port is held, so only a lack of descriptors comes here: it passes.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            }
        }
        proxy.applied(epoch);
        let until = async {
            match gate.until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let accept = async {
            match &listening {
                Some(listening) => loop {
                    let (stream, _) = listening.accept().await;
                    tokio::spawn(serve(stream, Arc::clone(&proxy)));
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accept => {}
            () = until => {}
            _ = changes.changed() => {}
        }
    }
}

async fn serve(stream: TcpStream, proxy: Arc<ProxyState>) {
    proxy.counters.connections.add(1);
    {
        let _open = proxy.counters.active.hold();
        speak(stream, &proxy).await;
    }
    if proxy.counters.active.get() == 0 && proxy.pool.begin_sweep() {
        tokio::spawn(sweep(proxy));
    }
}

/// Closes the idle connections of a proxy that has had no client for a while.
async fn sweep(proxy: Arc<ProxyState>) {
    let mut served = proxy.counters.connections.get();
    loop {
        sleep(IDLE).await;
        let now = proxy.counters.connections.get();
        if proxy.counters.active.get() == 0 && now == served {
            break proxy.pool.sweep();
        }
        served = now;
    }
}

/// How long connections to destinations are kept for the next client.
const IDLE: Duration = Duration::from_millis(250);

async fn speak(stream: TcpStream, proxy: &ProxyState) {
    match proxy.scheme {
        Scheme::Http => http::serve(stream, proxy).await,
        Scheme::Https => match proxy.world.acceptor.accept(stream).await {
            Ok(tls) => http::serve(tls, proxy).await,
            Err(_) => proxy.counters.bad_requests.add(1),
        },
        Scheme::Socks4 | Scheme::Socks5 => socks::serve(stream, proxy).await,
    }
}

/// Swallows what comes and answers nothing, until the client gives up or the behaviour changes.
async fn hang(wire: &mut impl Wire, proxy: &ProxyState) {
    use tokio::io::AsyncReadExt;
    let mut changes = proxy.changes();
    let mut sink = [0; 1024];
    let swallow = async { while !matches!(wire.read(&mut sink).await, Ok(0) | Err(_)) {} };
    tokio::select! {
        () = swallow => {}
        _ = changes.changed() => {}
    }
}
