//! The fleet itself: start, scripting, counters, stop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::behaviour::Behaviour;
use super::counters::{OriginCounters, OriginCounts, ProxyCounts};
use super::error::FleetError;
use super::names::Names;
use super::net::{Listening, Port};
use super::origin::{self, Origin};
use super::proxy::{self, ProxyState, World};
use super::registry::Registry;
use super::runtime::Threads;
use super::spec::FleetSpec;
use super::tls::Tls;

/// A running fleet: proxies and an origin on loopback. Dropped, it stops.
pub struct Fleet {
    threads: Mutex<Threads>,
    /// The process that started it; a forked child has a copy without threads.
    process: u32,
    proxies: Vec<Running>,
    origin: Arc<Origin>,
    http: SocketAddr,
    https: SocketAddr,
    ca_pem: String,
    stopped: AtomicBool,
}

struct Running {
    state: Arc<ProxyState>,
    address: SocketAddr,
}

/// The origin's two ports, on one address.
struct OriginPorts {
    http: Port,
    https: Port,
}

impl OriginPorts {
    fn on(ip: IpAddr) -> io::Result<Self> {
        Ok(Self { http: Port::any(ip)?, https: Port::any(ip)? })
    }
}

/// How long a change of behaviour waits for the port to open or close.
const PATIENCE: Duration = Duration::from_secs(5);

impl Fleet {
    /// Starts a fleet. When this returns, every port is open (or closed, where it shall be).
    ///
    /// # Errors
    /// A specification that makes no sense; no sockets, threads or certificates to be had.
    pub fn start(spec: &FleetSpec) -> Result<Self, FleetError> {
        spec.check()?;
        let tls = Tls::new()?;
        let ip: IpAddr = if spec.ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        let sockets = || FleetError::io("opening a port on loopback");
        let main = OriginPorts::on(ip).map_err(sockets())?;
        // SOCKS 4 knows no other addresses than these.
        let old = if spec.ipv6 { Some(OriginPorts::on(Ipv4Addr::LOCALHOST.into()).map_err(sockets())?) } else { None };
        let (http, https) = (main.http.address(), main.https.address());
        let world = Arc::new(World {
            names: Names::new(&spec.hosts, http),
            registry: Arc::new(Registry::default()),
            acceptor: tls.acceptor,
        });
        let mut proxies = Vec::with_capacity(spec.proxies.len());
        let mut ports = Vec::with_capacity(spec.proxies.len());
        for (index, proxy) in spec.proxies.iter().enumerate() {
            let port = proxy.address.map_or_else(|| Port::any(ip), Port::at).map_err(sockets())?;
            proxies.push(Running {
                state: Arc::new(ProxyState::new(index, proxy, spec.seed, Arc::clone(&world))),
                address: port.address(),
            });
            ports.push(Arc::new(port));
        }
        let origin = Arc::new(Origin {
            world,
            counters: OriginCounters::new(proxies.len()),
            proxies: proxies.iter().map(|proxy| Arc::clone(&proxy.state)).collect(),
        });
        let setup = serve(ports, main, old, Arc::clone(&origin));
        let threads = Threads::start(spec.workers, setup).map_err(FleetError::io("starting the fleet's threads"))?;
        let fleet = Self {
            threads: Mutex::new(threads),
            process: std::process::id(),
            proxies,
            origin,
            http,
            https,
            ca_pem: tls.ca_pem,
            stopped: AtomicBool::new(false),
        };
        for proxy in &fleet.proxies {
            // Nothing but a lack of descriptors delays it.
            if !proxy.state.wait(ProxyState::FIRST, PATIENCE) {
                let slow = io::Error::from(io::ErrorKind::TimedOut);
                return Err(FleetError::io("opening a proxy's port")(slow));
            }
        }
        Ok(fleet)
    }

    /// Stops: closes every socket and joins every thread. Counters stay readable. Does nothing the second time.
    /// In a forked child it does nothing at all: what there is to stop is the parent's.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if !self.is_here() {
            // Not even the lock can be trusted: it may have been copied while the parent held it.
            return;
        }
        for proxy in &self.proxies {
            proxy.state.pool.close();
        }
        self.threads.lock().stop();
    }

    /// Whether it serves: not stopped, and not a forked copy.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && self.is_here()
    }

    /// How many proxies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.proxies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proxies.is_empty()
    }

    /// The addresses of the proxies, in order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.iter().map(|proxy| proxy.address).collect()
    }

    /// The names of the proxies, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |proxy: &Running| proxy.state.name.clone();
        self.proxies.iter().map(name).collect()
    }

    /// Where the origin speaks HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the origin speaks HTTPS.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// The certificate of the authority that signs the origin's and the TLS proxies' certificates.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What one proxy has counted.
    ///
    /// # Errors
    /// There is no such proxy.
    pub fn counts(&self, index: usize) -> Result<ProxyCounts, FleetError> {
        Ok(self.proxy(index)?.state.counters.read())
    }

    /// What the origin has counted.
    ///
    /// # Errors
    /// In a forked child, where a lock may have been copied in a locked state.
    pub fn origin_counts(&self) -> Result<OriginCounts, FleetError> {
        self.check_process()?;
        Ok(self.origin.counters.read())
    }

    /// How a proxy behaves now.
    ///
    /// # Errors
    /// There is no such proxy; or this is a forked child.
    pub fn behaviour(&self, index: usize) -> Result<Behaviour, FleetError> {
        self.check_process()?;
        Ok((*self.proxy(index)?.state.behaviour()).clone())
    }

    /// Lets a proxy behave otherwise from now on: schedules begin anew, sites forget their bans, and a fault that hits
    /// everything also breaks the tunnels that are open. When this returns, the port is open or closed as it shall be.
    ///
    /// # Errors
    /// A behaviour that makes no sense; no such proxy; a fleet that is stopped or was started before a fork.
    pub fn set_behaviour(&self, index: usize, behaviour: Behaviour) -> Result<(), FleetError> {
        self.check_process()?;
        if self.stopped.load(Ordering::Relaxed) {
            return Err(FleetError::Stopped);
        }
        behaviour.check()?;
        let state = &self.proxy(index)?.state;
        let change = state.change(behaviour);
        if state.wait(change, PATIENCE) {
            Ok(())
        } else {
            let slow = io::Error::from(io::ErrorKind::TimedOut);
            Err(FleetError::io("opening or closing a proxy's port")(slow))
        }
    }

    fn proxy(&self, index: usize) -> Result<&Running, FleetError> {
        self.proxies.get(index).ok_or(FleetError::NoSuchProxy { index, proxies: self.proxies.len() })
    }

    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    fn check_process(&self) -> Result<(), FleetError> {
        if self.is_here() { Ok(()) } else { Err(FleetError::Forked) }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet")
            .field("proxies", &self.addresses())
            .field("http", &self.http)
            .field("https", &self.https)
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}

/// Opens all ports, each served by a task.
async fn serve(
    ports: Vec<Arc<Port>>,
    main: OriginPorts,
    old: Option<OriginPorts>,
    origin: Arc<Origin>,
) -> io::Result<()> {
    for pair in std::iter::once(main).chain(old) {
        let (http, https) = (pair.http.listen()?, pair.https.listen()?);
        spawn_origin(http, &origin, false);
        spawn_origin(https, &origin, true);
    }
    for (port, proxy) in ports.into_iter().zip(&origin.proxies) {
        tokio::spawn(proxy::listen(port, Arc::clone(proxy)));
    }
    Ok(())
}

fn spawn_origin(listening: Listening, origin: &Arc<Origin>, tls_only: bool) {
    tokio::spawn(origin::listen(listening, Arc::clone(origin), tls_only));
}
