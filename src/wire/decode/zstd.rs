//! `zstd` (RFC 8878): frames one behind the other.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{Step, Stepped};

/// The logarithm of the largest window: 8 MiB, as RFC 9659 has it for HTTP. More would be the server's to take.
const WINDOW: u32 = 23;

pub(super) struct Zstd {
    context: DCtx<'static>,
    /// Behind the end of a frame.
    is_whole: bool,
}

impl Default for Zstd {
    fn default() -> Self {
        let mut context = DCtx::create();
        // The library refuses values outside of 10 to 31 alone.
        let set = context.set_parameter(DParameter::WindowLogMax(WINDOW));
        debug_assert!(set.is_ok());
        Self { context, is_whole: true }
    }
}

impl Zstd {
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Stepped {
        if input.is_empty() && self.is_whole {
            return Ok(Step { used: 0, made: 0 });
        }
        let (mut input, mut out) = (InBuffer::around(input), OutBuffer::around(out));
        match self.context.decompress_stream(&mut out, &mut input) {
            Ok(missing) => self.is_whole = missing == 0,
            Err(code) => return Err(format!("zstd data is damaged: {}", get_error_name(code)).into()),
        }
        Ok(Step { used: input.pos, made: out.pos() })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}
