//! Opening a TCP connection: the name, and its addresses in turn, each with an equal share of the time left.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::names::{admit, literal, look_up};
use super::order::Order;
use super::socket::{Ready, Socket};
use super::{Patience, now, slice};
use crate::wire::allowance::Allowance;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::route::Route;

/// Opens the connection of an order.
pub(super) fn dial(order: &Order, allowance: &mut Allowance, patience: &mut Patience<'_>) -> Result<Socket, Error> {
    let route = &order.route;
    allowance.enter(Stage::Resolve, now());
    let addresses = match (&order.addresses, literal(route)?) {
        (Some(known), _) => known.to_vec(),
        (None, Some(address)) => vec![address],
        (None, None) => resolve(route, allowance, patience)?,
    };
    allowance.enter(Stage::Tcp, now());
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        admit(route, *address)?;
        let begun = now();
        match connect(*address, share(allowance, begun, addresses.len() - index), patience)? {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(none_connected(route, allowance, last, now()))
}

/// When the next of so many addresses that are left has had its share of the time.
pub(super) fn share(allowance: &Allowance, now: u64, left: usize) -> Option<u64> {
    allowance.ends().map(|ends| now + ends.saturating_sub(now) / left as u64)
}

/// The error of a route none of whose addresses can be connected to: that of the last one.
pub(super) fn none_connected(route: &Route, allowance: &Allowance, last: Option<io::Error>, now: u64) -> Error {
    match last {
        Some(error) if error.kind() == io::ErrorKind::TimedOut && allowance.is_over(now) => allowance.error(now),
        Some(error) => failed(route, &error),
        None => Error::new(Kind::Connect, Stage::Tcp, "no address"),
    }
}

/// The addresses of the name that the connection is opened to.
fn resolve(route: &Route, allowance: &Allowance, patience: &mut Patience<'_>) -> Result<Vec<SocketAddr>, Error> {
    let (host, port) = route.first_hop();
    let mut wait = || -> Result<Duration, Error> {
        let now = now();
        if allowance.is_over(now) {
            return Err(allowance.error(now));
        }
        patience.check(now, Stage::Resolve)?;
        Ok(slice(allowance.ends(), now))
    };
    loop {
        let (sender, receiver) = channel();
        // The caller may have given up when the answer comes.
        if !look_up(host, port, move |found| drop(sender.send(found)))? {
            std::thread::park_timeout(wait()?.min(Duration::from_millis(10)));
            continue;
        }
        loop {
            match receiver.recv_timeout(wait()?) {
                Ok(found) => return found,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(Kind::Connect, Stage::Resolve, "the look-up ended without an answer"));
                }
            }
        }
    }
}

/// The error of an address that cannot be connected to.
fn failed(route: &Route, error: &io::Error) -> Error {
    let plain = Error::of_io(Kind::Connect, Stage::Tcp, error);
    if route.proxy().is_none() {
        return plain;
    }
    let mut told = Error::new(Kind::Connect, Stage::Tcp, format!("{plain} while connecting to the proxy"));
    told.errno = plain.errno;
    told
}

/// One address; the outer error ends dialling.
fn connect(address: SocketAddr, ends: Option<u64>, patience: &mut Patience<'_>) -> Result<io::Result<Socket>, Error> {
    let socket = match Socket::connect(address) {
        Ok(socket) => socket,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let now = now();
        if ends.is_some_and(|ends| ends <= now) {
            return Ok(Err(io::ErrorKind::TimedOut.into()));
        }
        patience.check(now, Stage::Tcp)?;
        match socket.wait(Ready { read: false, write: true }, slice(ends, now)) {
            Ok(ready) if ready.write => return Ok(socket.connected().map(|()| socket)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => patience.ask(now, Stage::Tcp)?,
            Err(error) => return Ok(Err(error)),
        }
    }
}
