//! One request and one answer of HTTP/1.1, as much of them as a check needs.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::report::Failure;
use crate::net::http1::{Framing, HeadReader, Limits, ResponseHead};
use crate::sync::{AtomicU64, Ordering};

/// Bytes of a head; real ones have a tenth of it.
const HEAD: usize = 32 << 10;

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Counts what is read against what all checks together may read.
pub(super) struct Meter<'a> {
    pub(super) all: &'a AtomicU64,
    pub(super) budget: Option<u64>,
    pub(super) own: u64,
}

impl Meter<'_> {
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.own += bytes as u64;
        // Relaxed: a sum, and nothing hangs on it but itself.
        let before = self.all.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.budget.is_some_and(|budget| before + bytes as u64 > budget) { Err(Failure::Budget) } else { Ok(()) }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.budget.is_some_and(|budget| self.all.load(Ordering::Relaxed) >= budget)
    }
}

/// What happened to a connection.
pub(super) fn broken(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Failure::Refused,
        Kind::TimedOut => Failure::Timeout,
        Kind::UnexpectedEof
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected => Failure::Closed,
        Kind::InvalidData => Failure::Tls,
        _ => Failure::Unreachable,
    }
}

async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    meter: &mut Meter<'_>,
) -> Result<usize, Failure> {
    let got = stream.read_buf(buffer).await.map_err(|error| broken(&error))?;
    meter.count(got)?;
    Ok(got)
}

/// Reads until the head of a final answer is there; the reader keeps what follows it.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut HeadReader,
    meter: &mut Meter<'_>,
) -> Result<ResponseHead, Failure> {
    loop {
        if let Some(head) = reader.head().map_err(|_| Failure::BadAnswer)? {
            return Ok(head);
        }
        if read_some(stream, reader.buffer(), meter).await? == 0 {
            return Err(if reader.buffer().is_empty() { Failure::Closed } else { Failure::BadAnswer });
        }
    }
}

/// Sends a request and reads the answer, of its body no more than `most` bytes.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &[u8],
    most: usize,
    meter: &mut Meter<'_>,
) -> Result<Answer, Failure> {
    stream.write_all(request).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let mut reader = HeadReader::new(Limits { bytes: HEAD, ..Limits::default() });
    let head = read_head(stream, &mut reader, meter).await?;
    let mut buffer = std::mem::take(reader.buffer());
    let location = head.values("location").next().map(|to| String::from_utf8_lossy(to).into_owned());
    let mut answer = Answer { status: head.status, location, body: Vec::new() };
    let framing = head.framing(false).map_err(|_| Failure::BadAnswer)?;
    if framing == Framing::Empty {
        return Ok(answer);
    }
    answer.body = if framing == Framing::Chunked {
        read_chunks(stream, buffer, most, meter).await?
    } else {
        let length = if let Framing::Length(length) = framing { Some(length) } else { None };
        let want = length.map_or(most, |length| usize::try_from(length).unwrap_or(usize::MAX).min(most));
        while buffer.len() < want {
            let got = match read_some(stream, &mut buffer, meter).await {
                // A peer that closes without close_notify has still sent everything, if no length was announced.
                Err(Failure::Closed) if length.is_none() => 0,
                got => got?,
            };
            if got == 0 {
                if length.is_some() {
                    return Err(Failure::Closed);
                }
                break;
            }
        }
        buffer.truncate(want);
        buffer
    };
    Ok(answer)
}

async fn read_chunks<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut buffer: Vec<u8>,
    most: usize,
    meter: &mut Meter<'_>,
) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    // What of the buffer has been used; it is moved only when it has grown.
    let mut at = 0;
    let begun = meter.own;
    loop {
        // Chunks of one byte take six; what takes more is there to be counted, not to be read.
        if meter.own - begun > 8 * most as u64 + (64 << 10) {
            return Err(Failure::BadAnswer);
        }
        match httparse::parse_chunk_size(&buffer[at..]) {
            Ok(httparse::Status::Complete((_, 0))) => return Ok(body),
            Ok(httparse::Status::Complete((skip, size))) => {
                at += skip;
                let room = most - body.len();
                let want = usize::try_from(size).unwrap_or(usize::MAX).min(room);
                while buffer.len() - at < want {
                    if read_some(stream, &mut buffer, meter).await? == 0 {
                        return Err(Failure::Closed);
                    }
                }
                body.extend_from_slice(&buffer[at..at + want]);
                at += want;
                if body.len() >= most {
                    return Ok(body);
                }
                // The line's end behind the chunk.
                while buffer.len() - at < 2 {
                    if read_some(stream, &mut buffer, meter).await? == 0 {
                        return Err(Failure::Closed);
                    }
                }
                if &buffer[at..at + 2] != b"\r\n" {
                    return Err(Failure::BadAnswer);
                }
                at += 2;
                if at > 16 << 10 {
                    buffer.drain(..at);
                    at = 0;
                }
            }
            Ok(httparse::Status::Partial) => {
                if buffer.len() - at > 4096 {
                    return Err(Failure::BadAnswer);
                }
                if read_some(stream, &mut buffer, meter).await? == 0 {
                    return Err(Failure::Closed);
                }
            }
            Err(_) => return Err(Failure::BadAnswer),
        }
    }
}
