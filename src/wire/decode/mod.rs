//! Content codings of a body (RFC 9110, 8.4.1), taken off as the pieces come.
//!
//! As in httpx, codings that are not known are left on, and `Content-Encoding` may name several. A body that is cut off is
//! an error, where httpx hands out what there is of gzip, deflate and br.

mod brotli;
mod deflate;
mod gzip;
mod zstd;

use std::borrow::Cow;
use std::fmt;

use self::brotli::Brotli;
use self::deflate::Deflate;
use self::gzip::Gzip;
use self::zstd::Zstd;
use super::error::{Error, Excess, Kind, Stage};
use super::limits::Limits;

/// Bytes between two codings, and the most that one step makes.
const STEP: usize = 64 << 10;
const SMALLEST_STEP: usize = 1 << 10;

/// How far one step came.
struct Step {
    used: usize,
    made: usize,
}

type Stepped = Result<Step, Cow<'static, str>>;

/// One coding. A step uses or makes something, unless it lacks input or room.
enum Coding {
    Gzip(Box<Gzip>),
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match () {
            () if is("gzip") => Some(Self::Gzip(Box::default())),
            () if is("deflate") => Some(Self::Deflate(Box::default())),
            () if is("br") => Some(Self::Brotli(Box::default())),
            () if is("zstd") => Some(Self::Zstd(Box::default())),
            () => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Stepped {
        match self {
            Self::Gzip(gzip) => gzip.step(input, out),
            Self::Deflate(deflate) => deflate.step(input, out),
            Self::Brotli(brotli) => brotli.step(input, out),
            Self::Zstd(zstd) => zstd.step(input, out),
        }
    }

    /// Whether the end of the data was reached.
    fn is_whole(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Deflate(deflate) => deflate.is_whole(),
            Self::Brotli(brotli) => brotli.is_whole(),
            Self::Zstd(zstd) => zstd.is_whole(),
        }
    }
}

/// A coding, what it has made, and what waits for it.
struct Layer {
    coding: Coding,
    has_input: bool,
    /// Whether the last step filled its room, so that there may be more without input.
    is_full: bool,
    made: u64,
    /// Out of the layer before; the first one reads what the caller has.
    waiting: Vec<u8>,
    /// What of that was used.
    at: usize,
}

/// Whether all input was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of it, and all that it makes was handed out.
    Drained,
    /// The room is full: there may be more.
    Full,
}

/// Takes the codings of one body off.
pub struct Decoder {
    /// The coding that was applied last comes first.
    layers: Vec<Layer>,
    bound: Bound,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.coding.name())).finish()
    }
}

impl Decoder {
    /// For a body with these values of `Content-Encoding`; `None` where there is nothing to be taken off.
    ///
    /// # Errors
    /// [`Kind::Decoding`]: more codings than the limit.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>, limits: &Limits) -> Result<Option<Self>, Error> {
        let names = values.flat_map(|value| value.split(|byte| *byte == b','));
        let mut layers = Vec::new();
        for coding in names.filter_map(|name| Coding::named(name.trim_ascii())) {
            if layers.len() == limits.codings {
                return Err(failed(format!("more than {} content codings", limits.codings)));
            }
            layers.push(Layer { coding, has_input: false, is_full: false, made: 0, waiting: Vec::new(), at: 0 });
        }
        layers.reverse();
        let bound = Bound { wire: 0, decoded: limits.decoded, ratio: limits.ratio, free: limits.ratio_from };
        Ok(Some(Self { layers, bound }).filter(|decoder| !decoder.layers.is_empty()))
    }

    /// Decodes what it can, puts at most `room` bytes behind what is in `out`, and moves the input behind what was used.
    /// While it says [`Progress::Full`] it is to be called again, also without input.
    ///
    /// # Errors
    /// [`Kind::Decoding`], [`Kind::TooLarge`]
    pub fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>, room: usize) -> Result<Progress, Error> {
        let before = input.len();
        let offered = Bound { wire: self.bound.wire + before as u64, ..self.bound };
        let progress = pull(&mut self.layers, offered, input, out, room);
        self.bound.wire += (before - input.len()) as u64;
        progress
    }

    /// There is no more input.
    ///
    /// # Errors
    /// [`Kind::Decoding`]: the data is cut off. A body of no bytes is none.
    pub fn finish(&self) -> Result<(), Error> {
        match self.layers.iter().find(|layer| layer.has_input && !layer.coding.is_whole()) {
            Some(layer) => Err(failed(format!("{} data is incomplete", layer.coding.name()))),
            None => Ok(()),
        }
    }
}

/// How much the layers may make.
#[derive(Clone, Copy)]
struct Bound {
    /// Bytes on the wire so far.
    wire: u64,
    decoded: u64,
    ratio: u64,
    free: u64,
}

impl Bound {
    fn check(&self, made: u64) -> Result<(), Error> {
        let text = if made > self.decoded {
            "the decoded body is longer than the limit"
        } else if made > self.free && made / self.ratio.max(1) >= self.wire {
            "the body decodes to too many times its size"
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::TooLarge(Excess::Decoded), Stage::Body, text))
    }
}

/// Runs the last of the layers, and those before it as it needs their output.
fn pull(
    layers: &mut [Layer],
    bound: Bound,
    input: &mut &[u8],
    out: &mut Vec<u8>,
    room: usize,
) -> Result<Progress, Error> {
    let Some((last, before)) = layers.split_last_mut() else { return Ok(Progress::Drained) };
    if before.is_empty() {
        return last.run(bound, input, out, room);
    }
    let most = out.len() + room;
    loop {
        let mut waiting = std::mem::take(&mut last.waiting);
        let mut rest = &waiting[last.at..];
        let progress = last.run(bound, &mut rest, out, most - out.len());
        last.at = waiting.len() - rest.len();
        if progress? == Progress::Full {
            last.waiting = waiting;
            return Ok(Progress::Full);
        }
        waiting.clear();
        last.at = 0;
        let refilled = pull(before, bound, input, &mut waiting, STEP);
        last.waiting = waiting;
        if refilled? == Progress::Drained && last.waiting.is_empty() {
            return Ok(Progress::Drained);
        }
    }
}

impl Layer {
    fn run(&mut self, bound: Bound, input: &mut &[u8], out: &mut Vec<u8>, room: usize) -> Result<Progress, Error> {
        self.has_input |= !input.is_empty();
        let most = out.len() + room;
        while !input.is_empty() || self.is_full {
            let start = out.len();
            let room = (most - start).min((4 * input.len()).clamp(SMALLEST_STEP, STEP));
            if room == 0 {
                return Ok(Progress::Full);
            }
            out.resize(start + room, 0);
            let step = self.coding.step(input, &mut out[start..]);
            let Step { used, made } = match step {
                Ok(step) => step,
                Err(text) => {
                    out.truncate(start);
                    return Err(failed(text));
                }
            };
            out.truncate(start + made);
            *input = &input[used..];
            self.made += made as u64;
            self.is_full = made == room;
            bound.check(self.made)?;
            if !input.is_empty() && used == 0 && made == 0 {
                return Err(failed(format!("{} data makes no progress", self.coding.name())));
            }
        }
        Ok(Progress::Drained)
    }
}

fn failed(text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::Decoding, Stage::Body, text)
}

/// As Python's `zlib` says it.
fn of_zlib(error: &flate2::DecompressError) -> Cow<'static, str> {
    match error.message() {
        // The cause was met behind bytes that could be handed out, and is not said again.
        Some("repeated call with bad state") | None => "Error -3 while decompressing data".into(),
        Some(message) => format!("Error -3 while decompressing data: {message}").into(),
    }
}

/// Inflates, and says whether the end was reached.
fn inflate(inflater: &mut flate2::Decompress, input: &[u8], out: &mut [u8]) -> Result<(Step, bool), Cow<'static, str>> {
    let (before, made_before) = (inflater.total_in(), inflater.total_out());
    let status = inflater.decompress(input, out, flate2::FlushDecompress::None).map_err(|error| of_zlib(&error))?;
    let size = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
    let step = Step { used: size(inflater.total_in(), before), made: size(inflater.total_out(), made_before) };
    Ok((step, status == flate2::Status::StreamEnd))
}
