//! A read buffer: bytes come in at the end and are taken from the front.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Enough for the head of nearly every message; thousands of idle connections hold one each.
const START: usize = 4 * 1024;
/// No head is longer than this.
pub(crate) const HEAD_MAX: usize = 64 * 1024;

/// Bytes read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    data: Vec<u8>,
    start: usize,
    end: usize,
    wanted: usize,
}

impl Buffer {
    /// What is there.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes bytes from the front.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads more, as much as there is and fits; 0 at the end of the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when [`HEAD_MAX`] bytes are waiting and none can be consumed.
    pub(crate) async fn fill<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> io::Result<usize> {
        self.make_room()?;
        let n = reader.read(&mut self.data[self.end..]).await?;
        self.end += n;
        // A stream that fills the buffer has more to say: bodies are read in larger and larger pieces.
        if self.start == 0 && self.end == self.data.len() && n > START / 2 {
            self.wanted = (self.data.len() * 2).min(HEAD_MAX);
        }
        Ok(n)
    }

    /// Reads until so many bytes are there.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the stream ends before.
    pub(crate) async fn need<R: AsyncRead + Unpin>(&mut self, reader: &mut R, n: usize) -> io::Result<()> {
        while self.len() < n {
            if self.fill(reader).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.is_empty() && self.wanted > self.data.len() {
            self.data = vec![0; self.wanted];
        }
        if self.end < self.data.len() {
            return Ok(());
        }
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            return Ok(());
        }
        if self.data.len() >= HEAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let size = (self.data.len() * 2).clamp(START, HEAD_MAX);
        self.data.resize(size, 0);
        Ok(())
    }
}
