//! From bytes to a parsed list: unpacking, decoding, and the right reader for the layout.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::options::{Format, Options};
use super::parsed::{Parsed, Reason};
use super::text::Lines;
use super::{delimited, detect, html, json};

/// Why nothing could be read at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The source could not be read.
    Io(io::Error),
    /// The selector of tables is none that is understood.
    Selector(Box<str>),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Selector(text) => write!(f, "the selector {text:?} is not one of tags, classes and identifiers"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a list that is in memory.
///
/// # Errors
/// [`ReadError::Selector`] only: whatever is wrong with the list itself is in [`Parsed::rejected`].
pub fn parse(data: &[u8], options: &Options) -> Result<Parsed, ReadError> {
    if !detect::is_gzip(data) {
        return unpacked(data, options, false);
    }
    let mut plain = Vec::new();
    let limit = options.limits.bytes as u64;
    let mut source = Unpacking::new(data, options);
    (&mut source).take(limit + 1).read_to_end(&mut plain)?;
    let mut parsed = unpacked(&plain, options, true)?;
    source.tell(&mut parsed);
    Ok(parsed)
}

/// What comes out of packed data. It ends early where the data is damaged, and where so much comes out of so little that it
/// is made to cost time.
struct Unpacking<R> {
    source: MultiGzDecoder<Counting<R>>,
    unpacked: u64,
    expansion: u64,
    is_over: bool,
    damage: Option<io::Error>,
}

/// So much may always come out, in bytes.
const FREE: u64 = 16 << 20;

impl<R: Read> Unpacking<R> {
    fn new(source: R, options: &Options) -> Self {
        let source = MultiGzDecoder::new(Counting { source, count: 0, failed: false });
        Self { source, unpacked: 0, expansion: options.limits.expansion as u64, is_over: false, damage: None }
    }

    fn tell(&self, parsed: &mut Parsed) {
        if self.is_over {
            let times = self.expansion;
            parsed.cut(format!("the rest is not read: the list unpacks to more than {times} times its size"));
        }
        if let Some(error) = &self.damage {
            parsed.cut(format!("the rest is not read: the gzip data is damaged ({error})"));
        }
    }
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unpacked > FREE && self.unpacked / self.expansion.max(1) > self.source.get_ref().count {
            self.is_over = true;
        }
        if self.is_over || self.damage.is_some() {
            return Ok(0);
        }
        let count = match self.source.read(buffer) {
            Ok(count) => count,
            Err(error) if self.source.get_ref().failed || error.kind() == io::ErrorKind::Interrupted => {
                return Err(error);
            }
            // What came before is not lost.
            Err(error) => {
                self.damage = Some(error);
                0
            }
        };
        self.unpacked += count as u64;
        Ok(count)
    }
}

/// Counts what is read.
struct Counting<R> {
    source: R,
    count: u64,
    /// Whether the source itself could not be read.
    failed: bool,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer);
        self.failed = read.is_err();
        let count = read?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Reads a list from where it comes, packed or not. A list of lines is read as it comes and never held whole.
///
/// # Errors
/// [`ReadError`]
pub fn parse_reader(mut source: impl Read, options: &Options) -> Result<Parsed, ReadError> {
    let mut head = Vec::with_capacity(BLOCK);
    (&mut source).take(BLOCK as u64).read_to_end(&mut head)?;
    if detect::is_gzip(&head) {
        let mut unpacking = Unpacking::new(head.chain(source), options);
        let mut parsed = stream(&mut unpacking, options)?;
        parsed.gzip = true;
        unpacking.tell(&mut parsed);
        return Ok(parsed);
    }
    stream(head.chain(source), options)
}

const BLOCK: usize = 256 << 10;

fn stream(mut source: impl Read, options: &Options) -> Result<Parsed, ReadError> {
    let mut block = Vec::with_capacity(BLOCK);
    (&mut source).take(BLOCK as u64).read_to_end(&mut block)?;
    let in_lines = detect::wide(&block).is_none() && detect::format(&block, options).0 == Format::Text;
    if !in_lines || block.len() < BLOCK {
        (&mut source).take((options.limits.bytes + 1).saturating_sub(block.len()) as u64).read_to_end(&mut block)?;
        return unpacked(&block, options, false);
    }
    let mut parsed = Parsed::new(options, Format::Text, 8 * entries(&block, Format::Text));
    let mut lines = Lines::new(options);
    let mut total = block.len();
    let mut truncated = false;
    if block.starts_with(b"\xef\xbb\xbf") {
        block.drain(..3);
    }
    loop {
        let mut rest = &block[..];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if parsed.is_exhausted() {
                break;
            }
            lines.line(&rest[..end], &mut parsed);
            rest = &rest[end + 1..];
        }
        let kept = rest.len();
        let long = kept > BLOCK;
        if long {
            lines.too_long(rest, &mut parsed);
        }
        let start = if long { block.len() } else { block.len() - kept };
        block.drain(..start);
        if parsed.is_exhausted() {
            parsed.cut_exhausted();
            return Ok(parsed.done());
        }
        if total >= options.limits.bytes {
            truncated = true;
            break;
        }
        let want = BLOCK.min(options.limits.bytes - total);
        let mut got = (&mut source).take(want as u64).read_to_end(&mut block)?;
        if long {
            // The rest of a line that has been refused.
            while got > 0 && memchr::memchr(b'\n', &block).is_none() && total < options.limits.bytes {
                total += block.len();
                block.clear();
                got = (&mut source).take(want as u64).read_to_end(&mut block)?;
            }
            let end = memchr::memchr(b'\n', &block).map_or(block.len(), |at| at + 1);
            block.drain(..end);
        }
        if got == 0 {
            break;
        }
        total += got;
    }
    if !block.is_empty() {
        lines.line(&block, &mut parsed);
    }
    if truncated {
        parsed.cut(format!("the rest is not read: a list may have {} bytes", options.limits.bytes));
    }
    Ok(parsed.done())
}

fn unpacked(data: &[u8], options: &Options, gzip: bool) -> Result<Parsed, ReadError> {
    let truncated = data.len() > options.limits.bytes;
    let data = &data[..data.len().min(options.limits.bytes)];
    if let Some(kind) = detect::archive(data) {
        let mut parsed = Parsed::new(options, Format::Text, 0);
        parsed.gzip = gzip;
        parsed.lines = 1;
        parsed.reject(1, Reason::Broken(format!("this is {kind}, which is not unpacked").into()), "");
        return Ok(parsed.done());
    }
    let (data, encoding) = match detect::wide(data) {
        Some(order) => (
            Cow::Owned(detect::narrow(data, order)),
            if order == detect::Wide::Little { "utf-16-le" } else { "utf-16-be" },
        ),
        None => (Cow::Borrowed(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)), "utf-8"),
    };
    let mut parsed = decoded(&data, options)?;
    parsed.gzip = gzip;
    if truncated {
        parsed.cut(format!("the rest is not read: a list may have {} bytes", options.limits.bytes));
    }
    if encoding != "utf-8" {
        parsed.encoding = encoding;
    }
    Ok(parsed.done())
}

/// About how many entries a list has, by the lines that it begins with.
fn entries(data: &[u8], format: Format) -> usize {
    match format {
        Format::Json | Format::Html => data.len() / 200,
        _ => {
            let head = &data[..data.len().min(64 << 10)];
            let lines = memchr::memchr_iter(b'\n', head).count() + 1;
            data.len() / (head.len() / lines).max(8) * 17 / 16
        }
    }
}

fn decoded(data: &[u8], options: &Options) -> Result<Parsed, ReadError> {
    let (format, delimiter) = detect::format(data, options);
    let mut parsed = Parsed::new(options, format, entries(data, format));
    match format {
        Format::Text => {
            let mut lines = Lines::new(options);
            let mut rest = data;
            while let Some(end) = memchr::memchr(b'\n', rest) {
                if parsed.is_exhausted() {
                    parsed.cut_exhausted();
                    return Ok(parsed);
                }
                lines.line(&rest[..end], &mut parsed);
                rest = &rest[end + 1..];
            }
            if !rest.is_empty() {
                lines.line(rest, &mut parsed);
            }
        }
        Format::Csv | Format::Tsv => delimited::parse(data, delimiter, options, &mut parsed),
        Format::Json | Format::JsonLines | Format::Html => {
            let text = String::from_utf8_lossy(data);
            if matches!(text, Cow::Owned(_)) {
                parsed.encoding = "unknown-8bit";
            }
            match format {
                Format::Json => json::document(&text, options, &mut parsed),
                Format::JsonLines => json::lines(&text, options, &mut parsed),
                _ => html::parse(&text, options, &mut parsed)?,
            }
        }
    }
    Ok(parsed)
}
