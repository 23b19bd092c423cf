//! What a proxy's results weigh, and the powers of two that weights are sorted by.

/// Number of buckets: weights below `2**-63` share the last one.
pub(crate) const BUCKETS: usize = 64;

/// The documented floor of a weight by success rate, so that every proxy is tried again some day.
pub(crate) fn with_floor(rate: f64) -> f64 {
    rate.max(0.1)
}

/// Weight of a latency average: its inverse, scaled so that a nanosecond weighs 1.
pub(crate) fn latency_weight(ms: f64) -> f64 {
    if ms > 0.0 { 1e-6 / ms.max(1e-6) } else { 0.0 }
}

/// Number of the bucket for a weight from 0 up to 1: bucket `b` holds weights of at most `2**-b`.
pub(crate) fn bucket_of(weight: f64) -> u8 {
    let exponent = ((weight.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    (-(exponent + 1)).clamp(0, BUCKETS as i64 - 1) as u8
}
