//! `br` (RFC 7932).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Step, Stepped};

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_over: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new(alloc(), alloc(), alloc()), is_over: false }
    }
}

impl Brotli {
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Stepped {
        if self.is_over {
            return Ok(Step { used: input.len(), made: 0 });
        }
        let (mut left, mut used, mut room, mut made, mut total) = (input.len(), 0, out.len(), 0, 0);
        let (state, input) = (&mut self.state, input);
        match BrotliDecompressStream(&mut left, &mut used, input, &mut room, &mut made, out, &mut total, state) {
            BrotliResult::ResultFailure => return Err("brotli data is damaged".into()),
            BrotliResult::ResultSuccess => self.is_over = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step { used, made })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_over
    }
}
