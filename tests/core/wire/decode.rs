//! Content codings: in every split, one over the other, cut off, damaged, and bombs.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use proxywhirl::wire::collect::{Body, Collector};
use proxywhirl::wire::decode::{Decoder, Progress};
use proxywhirl::wire::error::{Error, Excess, Kind};
use proxywhirl::wire::limits::Limits;

use super::common::{cut, get};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; zstd_safe::compress_bound(plain.len())];
    let length = zstd_safe::compress(&mut packed[..], plain, 3).unwrap();
    packed.truncate(length);
    packed
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*plain, &mut packed, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    packed
}

pub fn encoded(coding: &str, plain: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => gzip(plain),
        "zlib" => zlib(plain),
        "raw" => raw(plain),
        "br" => brotli(plain),
        _ => zstd(plain),
    }
}

pub const CODINGS: [&str; 5] = ["gzip", "zlib", "raw", "br", "zstd"];

pub fn named(coding: &str) -> &str {
    if ["zlib", "raw"].contains(&coding) { "deflate" } else { coding }
}

fn collect<'a>(coding: &str, pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Result<Body, Error> {
    let head = get(format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n").as_bytes()).head.unwrap();
    let mut collector = Collector::new(&head, limits, true)?;
    for piece in pieces {
        collector.push(piece)?;
    }
    collector.finish()
}

fn decoded(coding: &str, packed: &[u8]) -> Result<Vec<u8>, String> {
    collect(coding, [packed], &Limits::default()).map(|body| body.decoded).map_err(|error| {
        assert_eq!(error.kind, Kind::Decoding);
        error.text().to_owned()
    })
}

fn text(length: usize) -> Vec<u8> {
    (0..u32::MAX)
        .flat_map(|n| format!("<li>{} item</li>\n", n.wrapping_mul(2_654_435_761) >> 12).into_bytes())
        .take(length)
        .collect()
}

#[test]
fn each_coding_in_single_bytes_and_in_one_piece() {
    for coding in CODINGS {
        for length in [0, 1, 1000, 70_000, 400_000] {
            let plain = text(length);
            let packed = encoded(coding, &plain);
            for piece in [1, 7, 4096, packed.len()] {
                let body = collect(named(coding), packed.chunks(piece), &Limits::default()).unwrap();
                assert!(body.decoded == plain, "{coding}, {length} bytes in pieces of {piece}");
                assert!(body.coded.as_ref() == Some(&packed) && body.received == packed.len() as u64);
            }
        }
    }
}

#[test]
fn codings_that_are_not_known_are_left_as_in_httpx() {
    for coding in ["identity", "", "compress", "x-gzip", "gzipped", "aes128gcm"] {
        let body = collect(coding, [&b"as it is"[..]], &Limits::default()).unwrap();
        assert_eq!((&*body.decoded, body.coded, body.received), (&b"as it is"[..], None, 8), "{coding}");
    }
    // Those beside them are taken off.
    assert_eq!(decoded("compress, GZIP , identity", &gzip(b"plain")).unwrap(), b"plain");
}

#[test]
fn codings_one_over_the_other() {
    let plain = text(300_000);
    for (names, packed) in [
        ("gzip, br", brotli(&gzip(&plain))),
        ("zstd, gzip, deflate", raw(&gzip(&zstd(&plain)))),
        ("br,br,br,br,br", brotli(&brotli(&brotli(&brotli(&brotli(&plain)))))),
    ] {
        for piece in [1, 1000, packed.len()] {
            let body = collect(names, packed.chunks(piece), &Limits::default()).unwrap();
            assert!(body.decoded == plain, "{names} in pieces of {piece}");
        }
    }
    assert_eq!(decoded("gzip,gzip,gzip,gzip,gzip,gzip", b"").unwrap_err(), "more than 5 content codings");
    // In several headers too.
    let values = [&b"gzip"[..], b"br"];
    let mut decoder = Decoder::new(values.into_iter(), &Limits::default()).unwrap().unwrap();
    let mut out = Vec::new();
    assert_eq!(decoder.decode(&mut &*brotli(&gzip(b"plain")), &mut out, 100).unwrap(), Progress::Drained);
    assert_eq!((&*out, format!("{decoder:?}")), (&b"plain"[..], "[\"br\", \"gzip\"]".to_owned()));
}

#[test]
fn what_is_cut_off_is_an_error() {
    let plain = text(2000);
    for coding in CODINGS {
        let packed = encoded(coding, &plain);
        for length in 1..packed.len() {
            let error = decoded(named(coding), &packed[..length]).unwrap_err();
            assert!(error.contains("is incomplete"), "{coding} cut to {length}: {error}");
        }
        assert_eq!(decoded(named(coding), b"").unwrap(), b"", "a body of no bytes is none: {coding}");
    }
    let stacked = gzip(&brotli(&plain));
    assert_eq!(decoded("br, gzip", &stacked[..stacked.len() - 1]).unwrap_err(), "gzip data is incomplete");
    assert_eq!(decoded("br, gzip", &gzip(&brotli(&plain)[..9])).unwrap_err(), "br data is incomplete");
}

#[test]
fn what_is_damaged_is_an_error() {
    for (coding, packed, says) in [
        ("gzip", &b"plain text, and the header lies"[..], "Error -3 while decompressing data: incorrect header check"),
        (
            "deflate",
            b"\xff\xffplain text, and the header lies",
            "Error -3 while decompressing data: invalid block type",
        ),
        ("br", b"plain text, and the header lies", "brotli data is damaged"),
        ("zstd", b"plain text, and the header lies", "zstd data is damaged: Unknown frame descriptor"),
    ] {
        assert_eq!(decoded(coding, packed).unwrap_err(), says);
    }
    let mut wrong_sum = gzip(b"plain");
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    assert_eq!(decoded("gzip", &wrong_sum).unwrap_err(), "Error -3 while decompressing data: incorrect data check");
    // A window above 8 MiB, which no encoder for HTTP has (RFC 9659).
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 0x01, 0x00, 0x00];
    assert!(decoded("zstd", &wide).unwrap_err().contains("too much memory"));
}

#[test]
fn members_frames_and_what_follows() {
    for piece in [1, 2, 3, 1000] {
        let of = |coding: &str, packed: &[u8]| {
            collect(coding, packed.chunks(piece), &Limits::default()).map(|body| body.decoded)
        };
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(of("gzip", &two).unwrap(), b"one two");
        assert_eq!(of("zstd", &[zstd(b"one "), zstd(b"two")].concat()).unwrap(), b"one two");
        // Padding, and bytes that begin as another member would.
        for tail in [&b"\0\0\0\0"[..], b"garbage", b"\x1f", b"\x1f\x1f\x8b", b"\n"] {
            assert_eq!(of("gzip", &[&*gzip(b"one"), tail].concat()).unwrap(), b"one", "{tail:?}");
            assert_eq!(of("deflate", &[&*zlib(b"one"), tail].concat()).unwrap(), b"one", "{tail:?}");
            assert_eq!(of("br", &[&*brotli(b"one"), tail].concat()).unwrap(), b"one", "{tail:?}");
        }
        assert!(of("gzip", &two[..two.len() - 1]).is_err(), "the second member is cut off");
    }
}

/// Bytes of zeros, packed.
fn bomb(coding: &str, mebibytes: usize) -> Vec<u8> {
    encoded(coding, &vec![0; mebibytes << 20])
}

#[test]
fn a_bomb_is_stopped_before_it_is_held() {
    let limits = Limits { decoded: 4 << 20, ..Limits::default() };
    for coding in CODINGS {
        let error = collect(named(coding), [&*bomb(coding, 8)], &limits).unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge(Excess::Decoded), "{coding}");
        assert!(collect(named(coding), [&*bomb(coding, 4)], &limits).is_ok(), "{coding}");
    }
    // What a stream hands on has no limit, but no layer may make too much of too little, whatever the layers above make.
    let streamed = Limits { ratio_from: 1 << 20, ..Limits::streamed() };
    for names in ["br", "zstd", "zstd, gzip", "gzip, br"] {
        let mut packed = vec![0; 8 << 20];
        for name in names.split(", ") {
            packed = encoded(name, &packed);
        }
        let error = collect(names, [&*packed], &streamed).unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge(Excess::Decoded), "{names}");
    }
    assert!(collect("gzip", [&*bomb("gzip", 8)], &streamed).is_ok(), "what deflate can do is no bomb");
    // Members without content make nothing, and still end.
    let began = Instant::now();
    let hollow = brotli(&gzip(b"").repeat(50_000));
    let error = collect("gzip, br", [&*hollow], &Limits { ratio_from: 1 << 10, ..streamed }).unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge(Excess::Decoded));
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_step_makes_no_more_than_there_is_room_for() {
    for coding in CODINGS {
        let packed = bomb(coding, 2);
        let mut decoder = Decoder::new([named(coding).as_bytes()].into_iter(), &Limits::default()).unwrap().unwrap();
        let (mut input, mut made) = (&*packed, 0);
        loop {
            let mut out = vec![7; 3];
            let progress = decoder.decode(&mut input, &mut out, 10_000).unwrap();
            assert!(out.len() <= 10_003 && out.capacity() < 100_000, "{coding}: {}", out.len());
            assert_eq!(out[..3], [7; 3]);
            made += out.len() - 3;
            if progress == Progress::Drained {
                break;
            }
        }
        assert!(input.is_empty() && made == 2 << 20 && decoder.finish().is_ok(), "{coding}: {made}");
    }
}

proptest! {
    #[test]
    fn the_split_decides_nothing(
        length in 0usize..5000,
        coding in prop::sample::select(CODINGS.to_vec()),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        flip in prop::option::of((any::<usize>(), any::<u8>())),
    ) {
        let mut packed = encoded(coding, &text(length));
        if let Some((at, byte)) = flip {
            let at = at % packed.len();
            packed[at] = byte;
        }
        let limits = Limits { decoded: 1 << 20, ..Limits::default() };
        // What zlib says of damage depends on where it meets it.
        let whole = collect(named(coding), [&*packed], &limits).map_err(|error| error.kind);
        let split = collect(named(coding), cut(&packed, &cuts), &limits).map_err(|error| error.kind);
        let single = collect(named(coding), packed.chunks(1), &limits).map_err(|error| error.kind);
        prop_assert!(flip.is_some() || whole.is_ok());
        prop_assert_eq!(&whole, &split);
        prop_assert_eq!(&whole, &single);
    }

    #[test]
    fn no_bytes_make_it_panic(
        names in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate"]),
        start in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"x\x9c", b"\x1b"]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let packed = [start, &rest].concat();
        let limits = Limits { decoded: 1 << 20, ..Limits::default() };
        let whole = collect(names, [&*packed], &limits).map_err(|error| error.kind);
        let single = collect(names, packed.chunks(1), &limits).map_err(|error| error.kind);
        prop_assert_eq!(whole, single);
    }
}
