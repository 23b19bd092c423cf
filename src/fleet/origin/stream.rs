//! Bodies that are made while they are sent.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::page::Content;
use crate::fleet::net::{Wire, gone};

/// A multiple of 256, so that each piece begins where the pattern does.
const PIECE: usize = 16 * 1024;

/// Byte i of `/bytes/N` and of a drip is i modulo 256.
static PATTERN: [u8; PIECE] = {
    let mut pattern = [0; PIECE];
    let mut i = 0;
    while i < PIECE {
        pattern[i] = (i % 256) as u8;
        i += 1;
    }
    pattern
};

/// Sends what is not in the first packet already.
pub(super) async fn send<W: Wire>(wire: &mut W, content: &Content, modern: bool) -> io::Result<()> {
    match *content {
        Content::Whole(_) => Ok(()),
        Content::Bytes(bytes) => {
            let mut left = bytes;
            while left > 0 {
                let n = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
                wire.write_all(&PATTERN[..n]).await?;
                left -= n as u64;
            }
            Ok(())
        }
        Content::Lines(lines) => {
            for line in 0..lines {
                let text = format!("{{\"line\": {line}}}\n");
                if modern {
                    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                    wire.write_all(chunk.as_bytes()).await?;
                } else {
                    wire.write_all(text.as_bytes()).await?;
                }
            }
            if modern {
                wire.write_all(b"0\r\n\r\n").await?;
            }
            Ok(())
        }
        Content::Drip { bytes, ms } => {
            let pause = Duration::from_secs_f64(ms as f64 / 1e3 / bytes.max(1) as f64);
            for i in 0..bytes {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = gone(wire.tcp()) => return Err(io::ErrorKind::ConnectionAborted.into()),
                }
                let at = (i % 256) as usize;
                wire.write_all(&PATTERN[at..=at]).await?;
                wire.flush().await?;
            }
            Ok(())
        }
    }
}
