//! Names and the addresses that they lead to.
//!
//! The system's resolver cannot be interrupted: with a name server that does not answer it takes minutes. So it runs on a
//! thread of its own, which is left behind when time is up.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::net::locality::{Locality, is_public, locality};
use crate::sync::global::{AtomicUsize, Ordering};
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::route::Route;

/// Look-ups under way at the same time; those left behind count until their name server answers, or is given up.
const MOST: usize = 64;
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

const PRIVATE: &str =
    "the proxy's name leads into a private network, where a list of others must not point (see allow_local)";

/// The address that a connection is opened to, where no look-up is needed for it.
///
/// # Errors
/// [`Kind::Connect`]: the host is in a private network, and must not be.
pub(crate) fn literal(route: &Route) -> Result<Option<SocketAddr>, Error> {
    let (host, port) = route.first_hop();
    if route.is_public_only() && locality(host) != Locality::Public {
        return Err(Error::new(Kind::Connect, Stage::Resolve, PRIVATE));
    }
    Ok(host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

/// Judges an address that is to be dialled: a name can lead anywhere, and elsewhere the next time.
///
/// # Errors
/// [`Kind::Connect`]: it is in a private network, and must not be.
pub(crate) fn admit(route: &Route, address: SocketAddr) -> Result<(), Error> {
    if route.is_public_only() && !is_public(address.ip()) {
        return Err(Error::new(Kind::Connect, Stage::Tcp, PRIVATE));
    }
    Ok(())
}

/// Looks a name up on a thread; `done` is called there, with the addresses in the resolver's order. `false`: too many are
/// under way, and `done` is not called.
///
/// # Errors
/// [`Kind::Connect`]: no thread is to be had.
pub(crate) fn look_up(
    host: &str,
    port: u16,
    done: impl FnOnce(Result<Vec<SocketAddr>, Error>) + Send + 'static,
) -> Result<bool, Error> {
    // Relaxed: a bound, and nothing hangs on it but itself.
    if UNDER_WAY.fetch_add(1, Ordering::Relaxed) >= MOST {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        return Ok(false);
    }
    let name = host.to_owned();
    let work = move || {
        let found = find(&name, port);
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        done(found);
    };
    let started = std::thread::Builder::new().name("proxywhirl-resolve".into()).stack_size(256 << 10).spawn(work);
    match started {
        Ok(_) => Ok(true),
        Err(error) => {
            UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
            Err(Error::of_io(Kind::Connect, Stage::Resolve, &error))
        }
    }
}

/// To be called in the child of a fork: the threads are not there.
#[cfg_attr(not(feature = "python"), allow(dead_code))]
pub(crate) fn after_fork() {
    UNDER_WAY.store(0, Ordering::Relaxed);
}

fn find(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found = (name, port).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        let reason = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned();
        Error::new(Kind::Connect, Stage::Resolve, format!("{reason} (the name {name})"))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Error::new(Kind::Connect, Stage::Resolve, format!("the name {name} has no address")));
    }
    Ok(addresses)
}
