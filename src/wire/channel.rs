//! The bytes of a connection: plain, in TLS, or in TLS inside of TLS. No I/O: what is received is put in, what is to be
//! transmitted is taken out.

use std::io::{BufRead, ErrorKind, Write};

use rustls::ClientConnection;

/// A connection from the request's side (plaintext) and from the socket's.
#[derive(Debug, Default)]
pub struct Channel {
    /// The outermost first.
    layers: Vec<ClientConnection>,
    outgoing: Vec<u8>,
    taken: usize,
    /// Bytes received while it was idle, which the next request counts.
    silent: u64,
}

/// What a received piece brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Nothing.
    Open,
    /// A layer of TLS was closed: no more plaintext comes.
    Closed,
}

/// A layer of TLS failed; or what takes the plaintext.
#[derive(Debug)]
pub(super) enum Fault<E> {
    Tls(rustls::Error),
    Sink(E),
}

impl Channel {
    /// Whether there is no TLS: what is written is what is transmitted.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.layers.is_empty()
    }

    /// Begins a handshake in what there is already.
    pub(super) fn add_layer(&mut self, tls: ClientConnection) {
        if let Some(outer) = self.layers.last_mut() {
            // The inner layer has a bound of its own.
            outer.set_buffer_limit(None);
        }
        self.layers.push(tls);
    }

    /// Whether the innermost layer is not ready for plaintext.
    pub(super) fn is_handshaking(&self) -> bool {
        self.layers.last().is_some_and(|layer| layer.is_handshaking())
    }

    /// Takes what the socket has received; plaintext goes to the sink, in pieces.
    pub(super) fn receive<E>(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Received, Fault<E>> {
        feed(&mut self.layers, bytes, sink)
    }

    /// Takes what was received while nothing was asked: whether it is nothing but what TLS says for itself.
    pub(crate) fn takes_silently(&mut self, bytes: &[u8]) -> bool {
        self.silent += bytes.len() as u64;
        matches!(self.receive::<()>(bytes, &mut |_| Err(())), Ok(Received::Open))
    }

    /// Bytes received while it was idle and not counted yet.
    pub(super) fn take_silent(&mut self) -> u64 {
        std::mem::take(&mut self.silent)
    }

    /// Takes plaintext to be transmitted, as much as there is room for; how much that was.
    pub(super) fn write(&mut self, plain: &[u8]) -> usize {
        match self.layers.last_mut() {
            // Writing into memory does not fail.
            Some(layer) => layer.writer().write(plain).unwrap_or(0),
            None => {
                self.outgoing.extend_from_slice(plain);
                plain.len()
            }
        }
    }

    /// Says that no more plaintext comes, where there is a layer that can.
    pub(super) fn end_writing(&mut self) {
        if let Some(layer) = self.layers.last_mut() {
            layer.send_close_notify();
        }
    }

    /// Whether something is to be transmitted.
    pub(super) fn has_outgoing(&self) -> bool {
        self.taken < self.outgoing.len() || self.layers.iter().any(|layer| layer.wants_write())
    }

    /// What is to be transmitted now.
    pub(super) fn outgoing(&mut self) -> &[u8] {
        if self.taken == self.outgoing.len() {
            self.outgoing.clear();
            self.taken = 0;
            self.encrypt();
        }
        &self.outgoing[self.taken..]
    }

    /// So much of it was transmitted.
    pub(super) fn transmitted(&mut self, count: usize) {
        self.taken = (self.taken + count).min(self.outgoing.len());
        if self.taken == self.outgoing.len() && self.outgoing.capacity() > KEPT {
            // An idle connection does not hold what one large request needed.
            (self.outgoing, self.taken) = (Vec::new(), 0);
        }
    }

    fn encrypt(&mut self) {
        for inner in (1..self.layers.len()).rev() {
            let (outer, layer) = self.layers.split_at_mut(inner);
            drain(&mut layer[0], &mut outer[inner - 1].writer());
        }
        if let Some(outermost) = self.layers.first_mut() {
            drain(outermost, &mut self.outgoing);
        }
    }
}

/// Bytes of memory for what is transmitted that a connection keeps between two requests.
const KEPT: usize = 4 << 10;

fn drain(layer: &mut ClientConnection, out: &mut dyn Write) {
    while layer.wants_write() {
        // Writing into memory does not fail, and takes everything.
        if !layer.write_tls(out).is_ok_and(|count| count > 0) {
            return;
        }
    }
}

fn feed<E>(
    layers: &mut [ClientConnection],
    mut bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Received, Fault<E>> {
    let Some((layer, inner)) = layers.split_first_mut() else {
        return sink(bytes).map(|()| Received::Open).map_err(Fault::Sink);
    };
    while !bytes.is_empty() {
        let taken = layer.read_tls(&mut bytes).map_err(|_| Fault::Tls(rustls::Error::PeerSentOversizedRecord))?;
        let result = layer.process_new_packets();
        // Records before a bad one count.
        if pass_on(layer, inner, sink)? == Received::Closed {
            return Ok(Received::Closed);
        }
        result.map_err(Fault::Tls)?;
        if taken == 0 {
            break;
        }
    }
    Ok(Received::Open)
}

/// Passes on what a layer has decrypted.
fn pass_on<E>(
    layer: &mut ClientConnection,
    inner: &mut [ClientConnection],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Received, Fault<E>> {
    let mut reader = layer.reader();
    loop {
        let count = match reader.fill_buf() {
            Ok([]) => return Ok(Received::Closed),
            Ok(plain) => {
                let count = plain.len();
                if feed(inner, plain, sink)? == Received::Closed {
                    return Ok(Received::Closed);
                }
                count
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Open),
            Err(_) => return Ok(Received::Closed),
        };
        reader.consume(count);
    }
}
