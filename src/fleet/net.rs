//! Sockets: what the servers need of a connection, and ports that can be closed and opened again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

/// A connection, inside TLS or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// The TCP connection under it.
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Ends a connection with RST.
pub(crate) fn reset(wire: &impl Wire) {
    // Fails only on a connection that is dead already.
    let _ = wire.tcp().set_zero_linger();
}

/// Ends a connection with FIN (and, inside TLS, close_notify).
pub(crate) async fn close(wire: &mut impl Wire) {
    // The peer may be gone already, which is as good.
    let _ = wire.shutdown().await;
}

/// Ends a connection whose client is still sending bytes that are not read: closed at once, the kernel would reset it,
/// and the reset would eat the answer.
pub(crate) async fn linger(wire: &mut impl Wire) {
    close(wire).await;
    let mut sink = [0; 4096];
    let drain = async { while matches!(wire.read(&mut sink).await, Ok(n) if n > 0) {} };
    // Either the client is done or it was given long enough.
    let _ = timeout(PATIENCE, drain).await;
}

/// How long a client may go on sending bytes that are not read.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until the client has hung up, also behind bytes that it sent before, such as the farewell of TLS. A client that
/// closes only its sending half is taken to be gone, as most proxies do.
pub(crate) async fn gone(tcp: &TcpStream) {
    while matches!(tcp.peek(&mut [0]).await, Ok(n) if n > 0) {
        // The end behind the bytes shows in the state of the socket alone, which nothing waits for.
        match tcp.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => sleep(LOOK_AGAIN).await,
            _ => return,
        }
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A port that stays ours while nothing listens on it.
///
/// A socket that is bound and does not listen refuses connections, and keeps the kernel from giving the port to
/// another process; `SO_REUSEADDR` lets the real listener come and go beside it.
#[derive(Debug)]
pub(crate) struct Port {
    _holder: Socket,
    address: SocketAddr,
}

impl Port {
    /// Takes any free port on this address.
    pub(crate) fn any(ip: IpAddr) -> io::Result<Self> {
        Self::at(SocketAddr::new(ip, 0))
    }

    /// Takes this address.
    pub(crate) fn at(address: SocketAddr) -> io::Result<Self> {
        let holder = bound(address)?;
        let address =
            holder.local_addr()?.as_socket().ok_or_else(|| io::Error::other("a TCP socket without an address"))?;
        Ok(Self { _holder: holder, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the port. Must run inside the runtime.
    pub(crate) fn listen(&self) -> io::Result<Listening> {
        let socket = bound(self.address)?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into()).map(Listening)
    }
}

/// A test may open a thousand connections at once.
const BACKLOG: i32 = 4096;

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// An open port. Dropped, it refuses at once.
pub(crate) struct Listening(TcpListener);

impl Listening {
    /// The next connection, without delay of small packets.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    // Fails only on a connection that is dead already.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                // A connection that died in the queue, or no descriptors left: the latter needs others to end first.
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A child forked meanwhile holds a copy of the descriptor: closing ours would leave the port open.
        let _ = SockRef::from(&self.0).shutdown(std::net::Shutdown::Both);
    }
}
