//! How many requests per second the fleet carries: one proxy and the origin on one thread, kept connections.
//!
//! ```text
//! cargo run --release --features fleet --example fleet_rate -- [connections] [seconds] [workers]
//! ```
//!
//! The load comes from one other thread of this process. Beside the rate seen by the client it prints the processor time
//! that the fleet's threads used per request, which does not depend on how fast the load generator is.

// It measures real time.
#![allow(clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use proxywhirl::fleet::{Fleet, FleetSpec, ProxySpec};

const REQUEST: &[u8] = b"GET http://site-a.test/ HTTP/1.1\r\nHost: site-a.test\r\nAccept: */*\r\n\
Accept-Encoding: gzip, deflate\r\nUser-Agent: fleet-rate\r\n\r\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (connections, seconds, workers) = (number(32)?, number(5)?, number(1)?);
    let fleet = Fleet::start(&FleetSpec {
        proxies: vec![ProxySpec::default()],
        workers: workers as usize,
        ..FleetSpec::default()
    })?;
    let target = fleet.addresses()[0];
    run(target, connections as usize, Duration::from_secs(1))?;
    let (before, own_before) = (used(libc::RUSAGE_SELF), used(libc::RUSAGE_THREAD));
    let start = Instant::now();
    let requests = run(target, connections as usize, Duration::from_secs(seconds))?;
    let elapsed = start.elapsed().as_secs_f64();
    let own = used(libc::RUSAGE_THREAD) - own_before;
    let fleets = used(libc::RUSAGE_SELF) - before - own;
    println!("{connections} connections, {workers} worker(s), {elapsed:.1} s");
    println!("{:.0} requests/s seen by the client", requests as f64 / elapsed);
    println!(
        "fleet: {:.1} us of processor time per request, {:.0} requests per second of it; load generator: {:.1} us",
        fleets * 1e6 / requests as f64,
        requests as f64 / fleets,
        own * 1e6 / requests as f64,
    );
    Ok(())
}

/// Sends on every connection in turn, then reads on every connection in turn: few switches, and the fleet always has work.
fn run(target: SocketAddr, connections: usize, time: Duration) -> std::io::Result<u64> {
    let mut open = (0..connections)
        .map(|_| {
            let stream = TcpStream::connect(target)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let length = response_length(&mut open[0])?;
    let mut buffer = vec![0; length];
    let start = Instant::now();
    let mut requests = 0;
    for stream in &mut open {
        stream.write_all(REQUEST)?;
    }
    while start.elapsed() < time {
        for stream in &mut open {
            stream.read_exact(&mut buffer)?;
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "not a success");
            stream.write_all(REQUEST)?;
            requests += 1;
        }
    }
    for stream in &mut open {
        stream.read_exact(&mut buffer)?;
        requests += 1;
    }
    Ok(requests)
}

/// Every response is the same; this one is read slowly to learn its length.
fn response_length(stream: &mut TcpStream) -> std::io::Result<usize> {
    stream.write_all(REQUEST)?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = stream.read(&mut piece)?;
        seen.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or(0);
        if body.len() >= length {
            return Ok(seen.len());
        }
    }
}

/// Processor time used so far, in seconds.
fn used(who: libc::c_int) -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid, and every bit pattern of zeros is a `rusage`, should the call fail.
    let usage = unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
