//! Damaged answers and damaged bodies: nothing panics, nothing hangs, and the split decides nothing. The corpus is mutated
//! from a seed, for a bounded time (`PROXYWHIRL_FUZZ_SECONDS`, `PROXYWHIRL_FUZZ_SEED`; `make fuzz` takes longer).

use std::time::{Duration, Instant};

use proxywhirl::wire::collect::{Body, Collector};
use proxywhirl::wire::error::Kind;
use proxywhirl::wire::limits::Limits;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::common::{Played, cut, play, sent};
use super::decode::{CODINGS, encoded, named};
use super::h11::answers;

fn mutate(rng: &mut StdRng, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    const BYTES: &[u8] = b"\0\t\n\r \"%,-/0159:;=ACDFTacdft\x7f\xff\x1f\x8b\x01";
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=data.len());
        let byte = if rng.random_bool(0.7) { BYTES[rng.random_range(0..BYTES.len())] } else { rng.random() };
        match rng.random_range(0..6) {
            0 if at < data.len() => data[at] = byte,
            1 => data.insert(at, byte),
            2 if at < data.len() => drop(data.remove(at)),
            3 => data.truncate(at),
            4 => {
                let other = &corpus[rng.random_range(0..corpus.len())];
                let from = rng.random_range(0..=other.len());
                data.splice(at..at, other[from..].iter().copied());
            }
            _ => {
                let end = rng.random_range(at..=data.len().min(at + 16));
                let piece = data[at..end].to_vec();
                for _ in 0..rng.random_range(1..12) {
                    data.splice(at..at, piece.iter().copied());
                }
            }
        }
    }
    data.truncate(16 << 10);
}

/// The body with the codings off; the class of the error where that fails.
fn decoded(played: &Played, pieces: &[&[u8]]) -> Option<Result<Body, Kind>> {
    let head = played.head.as_ref()?;
    let limits = Limits { decoded: 1 << 20, ..Limits::default() };
    let collect = || {
        let mut collector = Collector::new(head, &limits, false)?;
        pieces.iter().try_for_each(|piece| collector.push(piece))?;
        collector.finish()
    };
    Some(collect().map_err(|error: proxywhirl::wire::error::Error| error.kind))
}

fn harmless(rng: &mut StdRng, answer: &[u8], said: impl Fn() -> String) {
    let method = ["GET", "HEAD", "CONNECT"][rng.random_range(0..3)];
    let cuts: Vec<usize> = (0..rng.random_range(0..6)).map(|_| rng.random_range(0..=answer.len())).collect();
    let whole = play(sent(method, Limits::default()), [answer]);
    let split = play(sent(method, Limits::default()), cut(answer, &cuts));
    let single = play(sent(method, Limits::default()), answer.chunks(1));
    assert_eq!(whole.verdict(), split.verdict(), "{}", said());
    assert_eq!(whole.verdict(), single.verdict(), "{}", said());
    if whole.end.is_ok() {
        let used = whole.exchange.bytes_read();
        assert_eq!(used, single.exchange.bytes_read(), "{}", said());
        assert_eq!(used, split.exchange.bytes_read(), "{}", said());
        assert_eq!(used + whole.left as u64, answer.len() as u64, "{}", said());
        let (at_once, in_bytes): (Vec<&[u8]>, Vec<&[u8]>) = (vec![&whole.body], whole.body.chunks(1).collect());
        assert_eq!(decoded(&whole, &at_once), decoded(&whole, &in_bytes), "{}", said());
    }
}

#[test]
fn damaged_answers_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("PROXYWHIRL_FUZZ_SECONDS").unwrap_or(3);
    let seed = number("PROXYWHIRL_FUZZ_SEED").unwrap_or(20_261_129);
    let mut corpus = answers();
    for first in CODINGS {
        for second in CODINGS {
            let body = encoded(second, &encoded(first, b"<p>one page</p> <p>one page</p>"));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {}, {}\r\n\r\n", named(first), named(second));
            // As often as the others together.
            corpus.extend(vec![[head.as_bytes(), &body].concat(); 40]);
        }
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0_u64;
    while rounds < 300 || Instant::now() < end {
        let mut answer = corpus[rng.random_range(0..corpus.len())].clone();
        mutate(&mut rng, &mut answer, &corpus);
        let said = || format!("seed {seed}, round {rounds}: {:?}", answer.escape_ascii().to_string());
        harmless(&mut rng, &answer, said);
        rounds += 1;
    }
}
