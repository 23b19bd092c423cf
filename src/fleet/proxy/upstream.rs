//! Connections from a proxy to destinations, kept and used again.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::state::ProxyState;
use crate::fleet::http::buffer::Buffer;
use crate::fleet::registry::Entry;

/// One outgoing connection.
pub(crate) struct Upstream {
    // Before the stream: dropped in this order, see `Entry`.
    _entry: Entry,
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Buffer,
    pub(crate) address: SocketAddr,
    /// Whether it carried a request before: then the other side may have closed it meanwhile.
    pub(crate) used: bool,
}

impl Upstream {
    /// Connects, and registers the connection as this proxy's.
    pub(crate) async fn connect(proxy: &ProxyState, address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let entry = proxy.world.registry.enter(stream.local_addr()?, proxy.index);
        Ok(Self { _entry: entry, stream, buffer: Buffer::default(), address, used: false })
    }

    /// Whether another request can be sent: no end of stream, no unexpected bytes.
    pub(crate) fn is_idle(&self) -> bool {
        let quiet = matches!(
            self.stream.try_read(&mut [0]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        );
        quiet && self.buffer.is_empty()
    }
}

/// Idle connections of one proxy, by destination.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    closed: bool,
    /// Whether a sweep is under way.
    sweeping: bool,
    count: usize,
    by_address: HashMap<SocketAddr, Vec<Upstream>>,
}

/// More idle connections than this per proxy are closed.
const IDLE_MAX: usize = 256;

impl Pool {
    /// An idle connection to this destination.
    pub(crate) fn take(&self, address: SocketAddr) -> Option<Upstream> {
        let mut idle = self.idle.lock();
        loop {
            let upstream = idle.by_address.get_mut(&address)?.pop()?;
            idle.count -= 1;
            if upstream.is_idle() {
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection for the next request that needs it.
    pub(crate) fn put(&self, upstream: Upstream) {
        let mut idle = self.idle.lock();
        if idle.closed || idle.count >= IDLE_MAX || !upstream.is_idle() {
            return;
        }
        idle.count += 1;
        idle.by_address.entry(upstream.address).or_default().push(upstream);
    }

    /// Whether a sweep has to begin: only one runs at a time.
    pub(crate) fn begin_sweep(&self) -> bool {
        let mut idle = self.idle.lock();
        let needed = !idle.sweeping && idle.count > 0;
        idle.sweeping |= needed;
        needed
    }

    /// Closes all.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.lock();
        idle.sweeping = false;
        idle.count = 0;
        idle.by_address.clear();
    }

    /// Closes all and keeps none from now on.
    pub(crate) fn close(&self) {
        let mut idle = self.idle.lock();
        idle.closed = true;
        idle.count = 0;
        idle.by_address.clear();
    }
}
