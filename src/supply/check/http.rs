//! One request and one answer of HTTP/1.1, as much of them as a check needs.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::report::Failure;
use crate::sync::{AtomicU64, Ordering};

/// Bytes of a head; real ones have a tenth of it.
const HEAD: usize = 32 << 10;
const HEADERS: usize = 128;
/// Answers of 1xx before the real one.
const INTERIM: usize = 8;

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

/// What of an answer's head is needed.
struct Head {
    length: usize,
    status: u16,
    content_length: Option<u64>,
    chunked: bool,
    location: Option<String>,
}

fn parse_head(buffer: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Failure::BadAnswer),
    };
    let mut head =
        Head { length, status: response.code.unwrap_or(0), content_length: None, chunked: false, location: None };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).ok().map(str::trim);
            head.content_length = Some(text.and_then(|text| text.parse().ok()).ok_or(Failure::BadAnswer)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = header.value.to_ascii_lowercase().ends_with(b"chunked");
        } else if header.name.eq_ignore_ascii_case("location") {
            head.location = Some(String::from_utf8_lossy(header.value).into_owned());
        }
    }
    Ok(Some(head))
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

/// Reads until the head of a final answer is there; the buffer keeps what follows it.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    meter: &mut Meter<'_>,
) -> Result<Head, Failure> {
    let mut interim = 0;
    let mut parsed_at = 0;
    loop {
        // Parsed again only when half as much has come again: a head that drips in bytes costs linear time.
        if !buffer.is_empty() && (buffer.len() >= parsed_at + parsed_at / 2 || buffer.ends_with(b"\n")) {
            if let Some(head) = parse_head(buffer)? {
                if !(100..200).contains(&head.status) || head.status == 101 {
                    return Ok(head);
                }
                buffer.drain(..head.length);
                interim += 1;
                parsed_at = 0;
                if interim > INTERIM {
                    return Err(Failure::BadAnswer);
                }
                continue;
            }
            parsed_at = buffer.len();
        }
        if buffer.len() > HEAD {
            return Err(Failure::BadAnswer);
        }
        if read_some(stream, buffer, meter).await? == 0 {
            return Err(if buffer.is_empty() { Failure::Closed } else { Failure::BadAnswer });
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
    let mut buffer = Vec::with_capacity(2048);
    let head = read_head(stream, &mut buffer, meter).await?;
    buffer.drain(..head.length);
    let mut answer = Answer { status: head.status, location: head.location, body: Vec::new() };
    if matches!(head.status, 204 | 304) {
        return Ok(answer);
    }
    answer.body = if head.chunked {
        read_chunks(stream, buffer, most, meter).await?
    } else {
        let want = head.content_length.map_or(most, |length| usize::try_from(length).unwrap_or(usize::MAX).min(most));
        while buffer.len() < want {
            let got = match read_some(stream, &mut buffer, meter).await {
                // Who closes without a farewell in TLS has still sent all there was, if nobody said how much that is.
                Err(Failure::Closed) if head.content_length.is_none() => 0,
                got => got?,
            };
            if got == 0 {
                if head.content_length.is_some() {
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

/// Sends a request without a body of its own or of the answer; its status. Nothing of what follows the head is read.
pub(super) async fn ask_for_tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &[u8],
    meter: &mut Meter<'_>,
) -> Result<u16, Failure> {
    stream.write_all(request).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let mut buffer = Vec::with_capacity(512);
    // Behind a tunnel's head the other side says nothing before it is asked.
    read_head(stream, &mut buffer, meter).await.map(|head| head.status)
}
