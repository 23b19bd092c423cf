//! Bodies: where they end, and passing them on as they come.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::buffer::Buffer;
use crate::fleet::net::{Wire, gone};

/// How a message says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// In chunks, the last of which is empty.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Finds the end of a body in a stream of bytes.
#[derive(Debug)]
pub(crate) enum Scanner {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Scanner {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// How many of these bytes belong to the body.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Length(left) => {
                let n = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= n as u64;
                Ok(n)
            }
            Self::Chunked(chunks) => chunks.advance(bytes, |_| {}),
            Self::UntilClose => Ok(bytes.len()),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.state == ChunkState::Done,
            Self::UntilClose => false,
        }
    }
}

/// The chunked coding (RFC 9112, 7.1), byte by byte outside the data.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: ChunkState,
    left: u64,
    /// Bytes of the present line (size with extensions, or a trailer field).
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a trailer line.
    Trailer,
    TrailerLine,
    TrailerEnd,
    Done,
}

/// A line of a chunk's size or of a trailer is no longer than this.
const LINE_MAX: usize = 8 * 1024;

impl Chunks {
    /// How many of these bytes belong to the body; its data is shown to `data`, piece by piece.
    pub(crate) fn advance(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() && self.state != ChunkState::Done {
            if self.state == ChunkState::Data {
                let rest = bytes.len() - at;
                let n = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                data(&bytes[at..at + n]);
                at += n;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = ChunkState::DataCr;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> io::Result<()> {
        use ChunkState as S;
        self.line += 1;
        if self.line > LINE_MAX {
            return Err(bad());
        }
        self.state = match (self.state, byte) {
            (S::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                self.left = self.left.checked_mul(16).and_then(|left| left.checked_add(digit)).ok_or_else(bad)?;
                S::Size
            }
            (S::Size, b';' | b' ' | b'\t') if self.line > 1 => S::Extension,
            (S::Size, b'\r') if self.line > 1 => S::SizeEnd,
            (S::Extension, b'\r') => S::SizeEnd,
            (S::Extension, _) => S::Extension,
            (S::SizeEnd, b'\n') => {
                self.line = 0;
                if self.left == 0 { S::Trailer } else { S::Data }
            }
            (S::DataCr, b'\r') => S::DataLf,
            (S::DataLf, b'\n') => {
                self.line = 0;
                S::Size
            }
            (S::Trailer, b'\r') => S::TrailerEnd,
            (S::Trailer | S::TrailerLine, byte) if byte != b'\n' => S::TrailerLine,
            (S::TrailerLine, _) => {
                self.line = 0;
                S::Trailer
            }
            (S::TrailerEnd, b'\n') => S::Done,
            _ => return Err(bad()),
        };
        Ok(())
    }
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed chunked coding")
}

/// Passes the rest of a body on as it is framed; returns how many bytes that were.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if the source ends before the body does.
pub(crate) async fn relay<R, W>(
    scanner: &mut Scanner,
    buffer: &mut Buffer,
    source: &mut R,
    sink: &mut W,
) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut total = 0;
    while !scanner.is_done() {
        if buffer.is_empty() && buffer.fill(source).await? == 0 {
            return ended(scanner, total);
        }
        total += pass_on(scanner, buffer, sink).await?;
    }
    Ok(total)
}

/// What the end of the source means where the body has no end yet.
fn ended(scanner: &Scanner, total: u64) -> io::Result<u64> {
    match scanner {
        Scanner::UntilClose => Ok(total),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn pass_on<W: AsyncWrite + Unpin>(scanner: &mut Scanner, buffer: &mut Buffer, sink: &mut W) -> io::Result<u64> {
    let n = scanner.advance(buffer.filled())?;
    sink.write_all(&buffer.filled()[..n]).await?;
    buffer.consume(n);
    Ok(n as u64)
}

/// Passes the rest of a body on to a client, as [`relay`] does, for as long as the client is there.
///
/// # Errors
/// [`io::ErrorKind::ConnectionAborted`] if the client has hung up; otherwise as [`relay`].
pub(crate) async fn relay_to_client<R, W>(
    scanner: &mut Scanner,
    buffer: &mut Buffer,
    source: &mut R,
    client: &mut W,
) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
    W: Wire,
{
    let mut total = 0;
    while !scanner.is_done() {
        if buffer.is_empty() {
            let read = tokio::select! {
                biased;
                read = buffer.fill(source) => read?,
                // A source that drips, or has fallen silent, would be waited for without a reader.
                () = gone(client.tcp()) => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            if read == 0 {
                return ended(scanner, total);
            }
        }
        total += pass_on(scanner, buffer, client).await?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5;x=y\r\nhello\r\n00a\r\n0123456789\r\n0\r\nT: v\r\n\r\nREST";

    #[test]
    fn the_end_of_a_chunked_body_is_found_however_it_is_cut() {
        for step in 1..BODY.len() {
            let (mut chunks, mut data, mut used) = (Chunks::default(), Vec::new(), 0);
            for piece in BODY.chunks(step) {
                used += chunks.advance(piece, |bytes| data.extend_from_slice(bytes)).unwrap();
            }
            assert_eq!(&BODY[used..], b"REST", "in pieces of {step}");
            assert_eq!(data, b"hello0123456789");
        }
    }

    #[test]
    fn malformed_chunks_are_errors() {
        for bad in [&b"\r\n"[..], b"g\r\n", b"-1\r\n", b"1\n", b"1\r\nab", b"fffffffffffffffff\r\n", b";\r\n"] {
            let done = Chunks::default().advance(bad, |_| {});
            assert!(done.is_err(), "{bad:?}");
        }
        let long = [b'0'; LINE_MAX + 1];
        assert!(Chunks::default().advance(&long, |_| {}).is_err());
    }
}
