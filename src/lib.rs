//! Rotation of HTTP requests through a pool of proxies: choosing, leasing and judging proxies, fast.

#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "python")]
mod py;
