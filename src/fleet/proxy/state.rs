//! What all connections of one proxy share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::upstream::Pool;
use crate::fleet::behaviour::Behaviour;
use crate::fleet::counters::ProxyCounters;
use crate::fleet::fault::{self, Fault};
use crate::fleet::names::Names;
use crate::fleet::registry::Registry;
use crate::fleet::rng::Draws;
use crate::fleet::script::{Gate, Plan, Script};
use crate::fleet::sites::{Sites, Verdict};
use crate::fleet::spec::{Login, ProxySpec, Scheme};

/// What all proxies share.
pub(crate) struct World {
    pub(crate) names: Names,
    pub(crate) registry: Arc<Registry>,
    pub(crate) acceptor: TlsAcceptor,
}

/// One proxy.
pub(crate) struct ProxyState {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) scheme: Scheme,
    pub(crate) login: Option<Login>,
    pub(crate) counters: ProxyCounters,
    pub(crate) world: Arc<World>,
    pub(crate) pool: Pool,
    script: Script,
    sites: Sites,
    /// Whether sites must be asked: nearly never, and then nothing is locked.
    site_rules: AtomicBool,
    /// Counts changes of behaviour and wakes the tasks that depend on them.
    changes: watch::Sender<u64>,
    /// The last change that the listener has heeded.
    applied: Mutex<u64>,
    heeded: Condvar,
}

impl ProxyState {
    /// The number of the behaviour that a proxy starts with.
    pub(crate) const FIRST: u64 = 1;

    pub(crate) fn new(index: usize, spec: &ProxySpec, seed: u64, world: Arc<World>) -> Self {
        Self {
            index,
            name: spec.name_at(index).into_owned(),
            scheme: spec.scheme,
            login: spec.login.clone(),
            counters: ProxyCounters::default(),
            world,
            pool: Pool::default(),
            site_rules: AtomicBool::new(spec.behaviour.has_site_rules()),
            script: Script::new(spec.behaviour.clone(), Draws::new(seed, index), Instant::now()),
            sites: Sites::default(),
            changes: watch::Sender::new(Self::FIRST),
            applied: Mutex::new(0),
            heeded: Condvar::new(),
        }
    }

    /// The fate of the next exchange; a fault in it is counted.
    pub(crate) fn next(&self) -> Plan {
        let plan = self.script.next(Instant::now());
        if let Some(fault) = plan.fault {
            self.counters.faults[fault.index()].add(1);
        }
        plan
    }

    /// How long the next turn in a tunnel takes.
    pub(crate) fn turn(&self) -> Duration {
        self.script.turn()
    }

    pub(crate) fn gate(&self) -> Gate {
        self.script.gate(Instant::now())
    }

    /// The fault that hits everything at present.
    pub(crate) fn outage(&self) -> Option<Fault> {
        self.script.behaviour().fault
    }

    /// What a site says to a request that came through this proxy.
    pub(crate) fn judge(&self, site: &str) -> Verdict {
        // Relaxed: a request that races with a change may meet either behaviour.
        if !self.site_rules.load(Ordering::Relaxed) {
            return Verdict::Serve;
        }
        let behaviour = self.script.behaviour();
        let verdict = self.sites.judge(&behaviour, site, Instant::now());
        match verdict {
            Verdict::Serve => {}
            Verdict::Ban => self.counters.faults[fault::BAN].add(1),
            Verdict::TooMany(_) => self.counters.faults[fault::RATE_LIMIT].add(1),
        }
        verdict
    }

    pub(crate) fn behaviour(&self) -> Arc<Behaviour> {
        self.script.behaviour()
    }

    /// Behaves otherwise from now on. Returns the number of the change, to wait for with [`wait`](Self::wait).
    pub(crate) fn change(&self, behaviour: Behaviour) -> u64 {
        self.sites.forget();
        self.site_rules.store(behaviour.has_site_rules(), Ordering::Relaxed);
        self.script.change(behaviour, Instant::now());
        let mut number = 0;
        self.changes.send_modify(|epoch| {
            *epoch += 1;
            number = *epoch;
        });
        number
    }

    /// A receiver that wakes at each change of behaviour from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Notes that the port is as this change wants it.
    pub(crate) fn applied(&self, epoch: u64) {
        let mut applied = self.applied.lock();
        *applied = (*applied).max(epoch);
        self.heeded.notify_all();
    }

    /// Waits until the port is as this change wants it; `false` if that takes too long.
    pub(crate) fn wait(&self, epoch: u64, patience: Duration) -> bool {
        let mut applied = self.applied.lock();
        !self.heeded.wait_while_for(&mut applied, |applied| *applied < epoch, patience).timed_out()
    }
}
