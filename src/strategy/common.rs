//! The settings every strategy has.

use crate::pool::context::Thresholds;
use crate::strategy::Shared;
use crate::strategy::config::Config;
use crate::sync::{Arc, ArcSwapOption, AtomicBool, AtomicF64, AtomicU32, Ordering};

/// See the module. Read without a lock.
#[derive(Default)]
pub struct Common {
    alpha: Value,
    max_response_time_ms: Value,
    min_success_rate: Value,
    // Seconds; 0 while none is configured.
    window: AtomicU32,
    has_fallback: AtomicBool,
    fallback: ArcSwapOption<Shared>,
}

struct Value(AtomicF64);

impl Default for Value {
    fn default() -> Self {
        Self(AtomicF64::none())
    }
}

impl Common {
    /// The weight of the newest sample that the strategy insists on, if any.
    #[inline]
    #[must_use]
    pub fn alpha(&self) -> Option<f64> {
        self.alpha.0.get()
    }

    /// Sets [`Common::alpha`].
    pub fn set_alpha(&self, alpha: Option<f64>) {
        self.alpha.0.set(alpha);
    }

    /// The thresholds in force.
    #[inline]
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            max_response_time_ms: self.max_response_time_ms.0.get(),
            min_success_rate: self.min_success_rate.0.get(),
        }
    }

    /// Length of the counting window that the strategy wants of the proxies it reads, in seconds, if it was configured.
    #[inline]
    #[must_use]
    pub fn window(&self) -> Option<u32> {
        match self.window.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(seconds),
        }
    }

    /// The strategy that serves when this one finds no proxy.
    #[must_use]
    pub fn fallback(&self) -> Option<Shared> {
        // The flag spares the usual case the load of a pointer.
        if !self.has_fallback.load(Ordering::Relaxed) {
            return None;
        }
        self.fallback.load().as_ref().map(|shared| Shared::clone(shared))
    }

    /// Sets [`Common::fallback`].
    pub fn set_fallback(&self, fallback: Option<Shared>) {
        self.has_fallback.store(fallback.is_some(), Ordering::Relaxed);
        self.fallback.store(fallback.map(Arc::new));
    }

    /// Applies a configuration: alpha and the thresholds.
    pub fn configure(&self, config: &Config) {
        if let Some(alpha) = config.ema_alpha {
            self.set_alpha(Some(alpha));
        }
        if let Some(seconds) = config.window_duration_seconds.filter(|_| config.sets("window_duration_seconds")) {
            self.window.store(u32::try_from(seconds).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
        let thresholds = config.thresholds();
        self.max_response_time_ms.0.set(thresholds.max_response_time_ms);
        self.min_success_rate.0.set(thresholds.min_success_rate);
        if config.enable_fallback == Some(false) {
            self.set_fallback(None);
        }
    }
}
