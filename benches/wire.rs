//! One exchange of a 1,000-byte page, without I/O: what the wire costs beside the system calls.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, criterion_group, criterion_main};
use proxywhirl::net::http1::ResponseHead;
use proxywhirl::wire::collect::{Body, Collector};
use proxywhirl::wire::exchange::{Event, Exchange};
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::request::{Headers, Request};

const HEADERS: [(&str, &str); 6] = [
    ("Host", "shop.test"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    ("User-Agent", "proxywhirl/1.0 (+https://example.test/bots)"),
    ("Proxy-Authorization", "Basic dXNlcjpwYXNzd29yZA=="),
];

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.24\r\nDate: Sun, 29 Nov 2026 15:00:00 GMT\r\nContent-Type: text/html; \
         charset=utf-8\r\nSet-Cookie: session=0123456789abcdef; Path=/; HttpOnly\r\nCache-Control: no-cache\r\nVary: \
         Accept-Encoding\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn with_length(coding: &str, body: &[u8]) -> Vec<u8> {
    answer(&format!("{coding}Content-Length: {}\r\n", body.len()), body)
}

/// The request is made, sent, answered in one piece, and the body is collected.
fn exchange(answer: &[u8]) -> (ResponseHead, Body) {
    let request = Request::new("GET", "/a/page?with=query", Headers::from_iter(HEADERS)).unwrap();
    let limits = Limits::default();
    let mut exchange = Exchange::new(&request, "http://shop.test", &Headers::new(), limits).unwrap();
    exchange.wrote(black_box(exchange.outgoing()).len());
    let mut input = black_box(answer);
    let Ok(Event::Head(head)) = exchange.received(&mut input) else { panic!("no head") };
    let mut collector = Collector::new(&head, &limits, false).unwrap();
    while let Event::Data(piece) = exchange.received(&mut input).unwrap() {
        collector.push(piece).unwrap();
    }
    assert!(exchange.is_reusable());
    (head, collector.finish().unwrap())
}

fn benches(criterion: &mut Criterion) {
    let page: Vec<u8> = (0..1000).map(|n| b"<li>one item of a page</li>\n"[n % 28]).collect();
    let plain = with_length("", &page);
    criterion.bench_function("wire/exchange of 1,000 bytes", |b| b.iter(|| exchange(&plain)));
    let chunked = [b"3e8\r\n", &*page, b"\r\n0\r\n\r\n"].concat();
    let chunked = answer("Transfer-Encoding: chunked\r\n", &chunked);
    criterion.bench_function("wire/the same, chunked", |b| b.iter(|| exchange(&chunked)));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&page).unwrap();
    let gzip = with_length("Content-Encoding: gzip\r\n", &encoder.finish().unwrap());
    criterion.bench_function("wire/the same, gzip", |b| b.iter(|| exchange(&gzip)));
    let mut packed = vec![0; 2000];
    let length = zstd_safe::compress(&mut packed[..], &page, 3).unwrap();
    let zstd = with_length("Content-Encoding: zstd\r\n", &packed[..length]);
    criterion.bench_function("wire/the same, zstd", |b| b.iter(|| exchange(&zstd)));
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*page, &mut packed, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    let brotli = with_length("Content-Encoding: br\r\n", &packed);
    criterion.bench_function("wire/the same, br", |b| b.iter(|| exchange(&brotli)));
    let large = vec![b'x'; 1 << 20];
    let large = with_length("", &large);
    criterion.bench_function("wire/exchange of 1 MiB", |b| b.iter(|| exchange(&large)));
}

criterion_group!(wire, benches);
criterion_main!(wire);
