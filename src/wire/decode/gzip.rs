//! `gzip` (RFC 1952): members one behind the other. What follows the last and begins no other is passed over, as in zlib.

use flate2::Decompress;

use super::{Step, Stepped, inflate};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The window that every encoder keeps to.
const WINDOW: u8 = 15;

pub(super) struct Gzip {
    inflater: Decompress,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Member,
    /// Behind a member.
    Between,
    /// Behind a member and the first byte of what may be another.
    Begun,
    /// Behind the last.
    Over,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { inflater: Decompress::new_gzip(WINDOW), state: State::Member }
    }
}

impl Gzip {
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Stepped {
        match (&self.state, input) {
            (State::Member, _) => {
                let (step, is_end) = inflate(&mut self.inflater, input, out)?;
                if is_end {
                    self.state = State::Between;
                }
                return Ok(step);
            }
            (_, []) => return Ok(Step { used: 0, made: 0 }),
            (State::Between, [first, ..]) if *first == MAGIC[0] => {
                self.state = State::Begun;
                return Ok(Step { used: 1, made: 0 });
            }
            (State::Begun, [second, ..]) if *second == MAGIC[1] => {
                self.inflater = Decompress::new_gzip(WINDOW);
                self.state = State::Member;
                inflate(&mut self.inflater, &MAGIC[..1], out)?;
                return self.step(input, out);
            }
            _ => self.state = State::Over,
        }
        Ok(Step { used: input.len(), made: 0 })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state != State::Member
    }
}
