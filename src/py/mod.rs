//! The Python face of the crate: conversion and documentation, no decisions.

mod attached;
mod attempts;
mod border;
mod breaker;
mod check;
mod chooser;
mod connections;
mod context;
mod convert;
mod errors;
#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod exit;
#[cfg(feature = "fleet")]
mod fleet;
mod foreign;
mod guard;
mod handshake;
mod histogram;
mod journal;
mod judge;
mod lease;
mod limiter;
mod log;
mod metadata;
mod once;
mod policy;
mod pool;
mod proxy;
mod queue;
mod redact;
#[cfg(unix)]
mod relay;
mod rotation;
mod session;
mod site;
mod storage;
mod strategy;
mod supply;
mod wire;

use pyo3::prelude::*;

/// The native half of `proxywhirl`.
#[pymodule(gil_used = false)]
mod _core {
    #[allow(non_upper_case_globals)]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::attempts::{AttemptBook, AttemptLog, AttemptMetrics};
    #[pymodule_export]
    use super::border::{_cross_locked, _locks_held, _panic, _refuse_subinterpreters};
    #[pymodule_export]
    use super::breaker::PyBreaker;
    #[pymodule_export]
    use super::check::{CheckResult, CheckRun};
    #[pymodule_export]
    use super::chooser::{
        PyChooser,
        acquirer::{LeaseAsk, PyAcquirer},
        wishes::PyWishes,
    };
    #[pymodule_export]
    use super::connections::ConnectionsLimit;
    #[pymodule_export]
    use super::context::PyContext;
    #[cfg(feature = "fleet")]
    #[pymodule_export]
    use super::fleet::{PyFleet, check_fleet_proxy};
    #[pymodule_export]
    use super::handshake::{HandshakeRefusal, PyHandshake, basic_authorization, judge_connect, judge_socks};
    #[pymodule_export]
    use super::histogram::PyHistogram;
    #[pymodule_export]
    use super::journal::Journal;
    #[pymodule_export]
    use super::judge::{
        PyRuleJudge, PyStatusJudge,
        ban::{PyAnswerView, PyBanRules, PyBanTable},
        headers::{body_text, hold_of, is_tunnelled, may_be_of_the_proxy, pause_of, retry_after},
        report::PyReportJudge,
    };
    #[pymodule_export]
    const BAN_BODY_LIMIT: usize = crate::judge::ban::BODY_LIMIT;
    #[pymodule_export]
    const BAN_STATUSES: (u16, u16) = {
        let [ban, limit] = crate::judge::status::BAN_STATUSES;
        (ban, limit)
    };
    #[pymodule_export]
    const LONGEST_HOLD: f64 = crate::judge::retry_after::LONGEST;
    #[pymodule_export]
    use super::guard::{guard_defaults, reason_words};
    #[pymodule_export]
    use super::lease::PyLease;
    #[pymodule_export]
    use super::limiter::{PyRateBuckets, RateGate};
    #[pymodule_export]
    use super::metadata::{ProxyMetadataView, moving_average};
    #[pymodule_export]
    use super::policy::{PyRetryPolicy, kept_policy};
    #[pymodule_export]
    const POLICY_FACTS: [&str; 9] = super::policy::FACTS;
    #[pymodule_export]
    use super::pool::{AddReport, PyPool};
    #[pymodule_export]
    use super::proxy::{PyProxy, parse_proxy_url};
    #[pymodule_export]
    use super::queue::{Place, WaitingLine};
    #[pymodule_export]
    use super::redact::{PyLoginSecrets, is_plain_name, is_secret_key, mask_url, redact_url, scrub_text, shown_url};
    #[cfg(unix)]
    #[pymodule_export]
    use super::relay::PyRelay;
    #[pymodule_export]
    use super::rotation::{PyRotation, may_call_again};
    #[pymodule_export]
    const RETRY_STATUSES: (u16, u16, u16) = {
        let [bad, unavailable, late] = crate::rotation::policy::RETRY_STATUSES;
        (bad, unavailable, late)
    };
    #[pymodule_export]
    use super::session::{PySession, PySessionManager};
    #[pymodule_export]
    use super::site::site_key;
    #[pymodule_export]
    use super::storage::{
        PoolImage, SaveExtras, SaveMarks, SealedTexts, UnsealedText, dump_proxies, has_credentials,
        proxies_with_extras, proxy_seal_binding, records_of, seal_binding,
    };
    #[pymodule_export]
    const DEFAULT_STRATEGY: &str = crate::strategy::names::Builtin::default().name;
    #[pymodule_export]
    use super::strategy::{
        PyStrategy,
        composite::PyComposite,
        cost_aware::PyCostAware,
        geo_targeted::PyGeoTargeted,
        least_used::PyLeastUsed,
        names::{builtin_strategy_classes, settings_strategy_names, strategy_key},
        performance::PyPerformance,
        random::PyRandom,
        round_robin::PyRoundRobin,
        session::PySessionStrategy,
        weighted::PyWeighted,
    };
    #[pymodule_export]
    use super::supply::{
        address_locality, ascii_host,
        deduplicate::deduplicate,
        entry::read_proxy_entry,
        literal_address, parse_proxies, parse_proxy_file,
        parsed::{ParsedIterator, PyParsed, RejectedLine},
    };
    #[pymodule_export]
    use super::wire::looped::LoopedWire;
    #[pymodule_export]
    use super::wire::{
        answer::WireAnswer,
        blocking::PyWire,
        decoder::BodyDecoder,
        failure::WireFailure,
        objects::HttpObjects,
        order::{WireOrder, WireOrders, must_be_public},
        read::request_facts,
        short::{ShortWay, changes::Changes, handed_over::HandedOver},
        tls::WireTls,
    };

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(py: Python<'_>) -> PyResult<()> {
        super::border::_refuse_subinterpreters()?;
        super::border::keep_panics_quiet();
        super::border::tell_who_is_attached();
        #[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
        super::exit::hang_threads_at_exit();
        let os = py.import("os")?;
        if os.hasattr("register_at_fork")? {
            let hooks = pyo3::types::PyDict::new(py);
            hooks.set_item("before", pyo3::wrap_pyfunction!(super::border::before_fork, py)?)?;
            hooks.set_item("after_in_parent", pyo3::wrap_pyfunction!(super::border::after_fork_in_parent, py)?)?;
            hooks.set_item("after_in_child", pyo3::wrap_pyfunction!(super::border::after_fork_in_child, py)?)?;
            os.call_method("register_at_fork", (), Some(&hooks))?;
        }
        Ok(())
    }
}
