//! Playing replies into a handshake.

use proxywhirl::net::handshake::{Malformed, Progress};

/// What a handshake said, and how it ended.
pub struct Talk {
    pub said: Vec<Vec<u8>>,
    pub end: Progress,
}

impl Talk {
    /// How it ended, as far as that does not hang on how the replies were cut: bytes that came together with those
    /// before them are early, the same bytes a moment later may be an answer.
    pub fn same_end(&self) -> Option<Progress> {
        match &self.end {
            Progress::Malformed(Malformed::EarlyData) | Progress::Done { .. } | Progress::NeedMore(_) => None,
            other => Some(other.clone()),
        }
    }
}

/// Sizes of the pieces that replies are cut into; 0 for none.
pub fn splits() -> impl Iterator<Item = usize> {
    0..=5
}

/// Feeds replies one after the other, until the handshake ends or wants more than there is.
pub fn play(first: Vec<u8>, replies: &[&[u8]], piece: usize, mut feed: impl FnMut(&[u8]) -> Progress) -> Talk {
    let mut said = vec![first];
    let mut end = Progress::NeedMore(1);
    for reply in replies {
        for part in reply.chunks(if piece == 0 { reply.len().max(1) } else { piece }) {
            end = feed(part);
            match end {
                Progress::NeedMore(least) => assert!(least > 0),
                Progress::Write(ref message) => said.push(message.clone()),
                _ => return Talk { said, end },
            }
        }
    }
    Talk { said, end }
}
