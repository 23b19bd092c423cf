//! Bodies that the caller takes in pieces.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxywhirl::drive::answer::Cost;
use proxywhirl::drive::blocking::Reply;
use proxywhirl::drive::order::{Order, OrderBody};
use proxywhirl::drive::stream::Stream;
use proxywhirl::fleet::Behaviour;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::allowance::Timeouts;
use proxywhirl::wire::error::Kind;

use crate::common::*;

fn next(stream: &mut Stream) -> Option<Vec<u8>> {
    stream.next(Timeouts::default(), None, &mut || false).unwrap()
}

#[test]
fn a_stream_that_is_read_gives_its_connection_back() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    for tls in [false, true] {
        let order = get(&through(&fleet, 0, Protocol::Http, tls), "/bytes/3000000");
        for _ in 0..3 {
            let (head, mut stream) = open(&wire, &order).unwrap();
            assert_eq!(head.status, 200);
            let mut total = 0;
            while let Some(piece) = next(&mut stream) {
                assert!(!piece.is_empty() && piece.len() <= 1 << 20);
                total += piece.len();
            }
            assert_eq!(total, 3_000_000);
            assert!(stream.is_ended() && stream.bytes().1 > 3_000_000);
            assert_eq!(next(&mut stream), None);
        }
    }
    assert_eq!(fleet.counts(0).unwrap().connections, 2);
}

#[test]
fn chunks_come_as_they_are_sent() {
    let fleet = plain_fleet(Behaviour::default());
    let (_, mut stream) = open(&wire(), &get(&through(&fleet, 0, Protocol::Http, false), "/stream/100")).unwrap();
    let mut body = Vec::new();
    while let Some(piece) = next(&mut stream) {
        body.extend(piece);
    }
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 100);
}

#[test]
fn a_stream_that_is_dropped_closes_its_connection() {
    let fleet = plain_fleet(Behaviour::default());
    let wire = wire();
    let (_, mut stream) = open(&wire, &get(&through(&fleet, 0, Protocol::Http, false), "/bytes/50000000")).unwrap();
    assert!(next(&mut stream).is_some());
    assert_eq!(wire.counts().open, 1);
    drop(stream);
    assert_eq!(wire.counts().open, 0);
    wait_until(|| fleet.counts(0).unwrap().active_connections == 0);
}

#[test]
fn a_server_is_not_read_ahead_of_the_caller() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let at = serve(move |_, mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {
            counted.fetch_add(65536, Ordering::SeqCst);
        }
    });
    let (_, mut stream) = open(&wire(), &get(&direct(at), "/")).unwrap();
    next(&mut stream).unwrap();
    let mut before = usize::MAX;
    // What the buffers of both sockets hold, and no more.
    wait_until(|| {
        std::thread::sleep(Duration::from_millis(50));
        let now = written.load(Ordering::SeqCst);
        let is_still = now > 0 && now == before;
        before = now;
        is_still
    });
    for _ in 0..1000 {
        assert!(next(&mut stream).unwrap().len() <= 64 << 10);
    }
    assert!(written.load(Ordering::SeqCst) > before);
}

#[test]
fn a_body_that_breaks_off_is_an_error_after_what_came() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    });
    let wire = wire();
    let (_, mut stream) = open(&wire, &get(&direct(at), "/")).unwrap();
    let mut seen = Vec::new();
    let error = loop {
        match stream.next(Timeouts::default(), None, &mut || false) {
            Ok(piece) => seen.extend(piece.unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(seen, b"hello");
    assert_eq!(error.kind, Kind::RemoteProtocol);
    assert_eq!(wire.counts().open, 0);
}

#[test]
fn a_silent_stream_times_out_by_the_read() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello");
        std::mem::forget(stream);
    });
    let (_, mut stream) = open(&wire(), &get(&direct(at), "/")).unwrap();
    assert_eq!(next(&mut stream).unwrap(), b"hello");
    let soon = Timeouts { read: Some(Duration::from_millis(50)), ..Timeouts::default() };
    assert_eq!(stream.next(soon, None, &mut || false).unwrap_err().kind, Kind::ReadTimeout);
    assert!(stream.is_ended());
}

#[test]
fn an_early_answer_is_read_while_the_body_is_still_to_be_sent() {
    let at = serve(|_, mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        // Nothing more is read, and the rest of the body never fits.
        std::mem::forget(stream);
    });
    let wire = wire();
    let order = ask("POST", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let order = Order { body: OrderBody::Pulled, ..order };
    let mut pulled = 0;
    let mut pull = || {
        pulled += 1;
        Ok(Some(vec![0; 64 << 10]))
    };
    let reply = wire.send(&order, Some(&mut pull), &mut || false, &mut Cost::default()).unwrap();
    let Reply::Whole(answer) = reply else { panic!() };
    assert_eq!((answer.head.status, &answer.body.decoded[..]), (413, &b"big"[..]));
    assert_eq!(wire.counts().open, 0, "half a request was written");
}

#[test]
fn an_answer_before_the_close_is_read_though_writing_fails() {
    let at = serve(|_, mut stream| {
        let mut some = [0; 1000];
        let _ = stream.read(&mut some);
        let _ = stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // Long enough that the answer is there when the connection breaks.
        std::thread::sleep(Duration::from_millis(100));
    });
    let body = vec![7_u8; 30 << 20];
    let order = ask("POST", &direct(at), "/", &[("Content-Length", &body.len().to_string())]);
    let order = Order { body: OrderBody::Bytes(Arc::new(body)), ..order };
    let answer = send(&wire(), &order).unwrap();
    assert_eq!((answer.head.status, &answer.body.decoded[..]), (403, &b"no"[..]));
}

#[test]
fn a_body_is_given_to_its_end_though_the_answer_is_not_taken() {
    let at = serve(|_, mut stream| {
        std::thread::spawn(move || {
            read_head(&mut stream);
            let mut answering = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                write!(answering, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 16 << 20).unwrap();
                let _ = answering.write_all(&vec![b'x'; 16 << 20]);
            });
            let mut seen = Vec::new();
            let mut piece = [0; 1024];
            while !seen.ends_with(b"0\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                seen.extend_from_slice(&piece[..count]);
            }
        });
    });
    let order = ask("POST", &direct(at), "/", &[("Transfer-Encoding", "chunked")]);
    let order = Order { body: OrderBody::Pulled, is_whole: false, ..order };
    let mut pieces = 0;
    let mut pull = || {
        pieces += 1;
        std::thread::sleep(Duration::from_millis(2));
        Ok((pieces <= 100).then(|| b"piece".to_vec()))
    };
    let mut asked = 0;
    let mut interrupted = || {
        asked += 1;
        asked > 100
    };
    let reply = wire().send(&order, Some(&mut pull), &mut interrupted, &mut Cost::default()).unwrap();
    let Reply::Stream(_, mut stream) = reply else { panic!("a stream was ordered") };
    let mut total = 0;
    while let Some(piece) = next(&mut stream) {
        total += piece.len();
    }
    assert_eq!((total, pieces), (16 << 20, 101));
}
