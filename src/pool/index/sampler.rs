//! Weighted random choice among weights that change with every result, in constant time.
//!
//! Members are kept in buckets by the power of two above their weight. A draw picks a bucket in proportion to the most it
//! can hold, a member of it uniformly, and keeps it with the probability that its own weight bears to that most: at least
//! one half, so two rounds are expected at worst (rejection sampling over powers of two, as in Matias, Vitter and Ni,
//! "Dynamic generation of discrete random variates", 2003, <https://doi.org/10.1007/s00224-003-1078-6>). A result moves
//! a member only when its weight passes a power of two. Draws take no lock; when a counter of moves shows that the
//! buckets changed during a draw, the draw starts again, since otherwise a member on its way would be drawn too often
//! or too rarely.

use crate::pool::filter::WeightTable;
use crate::proxy::Proxy;
use crate::proxy::weight::{BUCKETS, bucket_of, latency_weight, with_floor};
use crate::random::Random;
use crate::sync::{Arc, AtomicU32, AtomicU64, OnceLock, Ordering};

const NOWHERE: u64 = u64::MAX;

/// Where weights come from. All are scaled to at most 1.
#[derive(Debug, Clone)]
pub enum Weighting {
    /// The inverse of the latency average; nothing without one.
    Latency,
    /// The success rate, at least 0.1.
    Rate,
    /// Fixed weights per proxy where given, the success rate elsewhere.
    Table(Arc<WeightTable>),
    /// All the same.
    Even,
    /// By price: `boost` for what is free, else the inverse of the price.
    Cost {
        /// Weight of what costs nothing.
        boost: f64,
    },
}

impl PartialEq for Weighting {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Latency, Self::Latency) | (Self::Rate, Self::Rate) | (Self::Even, Self::Even) => true,
            (Self::Table(a), Self::Table(b)) => Arc::ptr_eq(a, b),
            (Self::Cost { boost: a }, Self::Cost { boost: b }) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }
}

fn ceiling(bucket: usize) -> f64 {
    f64::from_bits((1023 - bucket as u64) << 52)
}

impl Weighting {
    /// The weight of a proxy whose fixed weight, if any, is `fixed`.
    #[inline]
    fn weight(&self, proxy: &Proxy, fixed: f64) -> f64 {
        match self {
            Self::Latency => proxy.ema().map_or(0.0, latency_weight),
            Self::Rate => with_floor(proxy.success_rate()),
            Self::Table(table) => {
                if fixed > 0.0 {
                    fixed
                } else {
                    with_floor(proxy.success_rate()) * table.scale
                }
            }
            Self::Even => 1.0,
            Self::Cost { boost } => {
                let scale = 1.0 / boost.max(1000.0);
                let cost = proxy.cost();
                (if cost == 0.0 { *boost } else { 1.0 / (cost + 0.001) }) * scale
            }
        }
    }

    /// The weight of a proxy, looking up everything it depends on.
    pub(crate) fn weight_of(&self, proxy: &Proxy) -> f64 {
        self.weight(proxy, self.fixed(proxy))
    }

    fn fixed(&self, proxy: &Proxy) -> f64 {
        match self {
            Self::Table(table) => table.fixed_weight(proxy).unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// What must tell the pool of changes for these weights to stay right.
    pub(crate) fn watches(&self) -> u8 {
        use crate::proxy::watch;
        match self {
            Self::Latency => watch::LATENCY,
            Self::Rate | Self::Table(_) => watch::RATE,
            Self::Even | Self::Cost { .. } => 0,
        }
    }
}

/// The buckets over one view's slots. Writes are made under the pool's writer lock.
#[derive(Debug)]
pub(crate) struct Sampler {
    pub(crate) weigh: Weighting,
    // One array per bucket in use, as long as the view has slots; the system commits no page of it that is not written.
    // Zero is empty, else the slot plus one.
    buckets: [OnceLock<Box<[AtomicU32]>>; BUCKETS],
    sizes: [AtomicU32; BUCKETS],
    occupied: AtomicU64,
    // Sum over the buckets of size times ceiling: what a draw is made from.
    mass: AtomicU64,
    moves: AtomicU64,
    // bucket << 32 | index, the writer's alone.
    places: Box<[AtomicU64]>,
    fixed: Option<Box<[AtomicU64]>>,
}

impl Sampler {
    pub(crate) fn new(weigh: Weighting, capacity: usize) -> Self {
        let fixed = matches!(weigh, Weighting::Table(_)).then(|| (0..capacity).map(|_| AtomicU64::new(0)).collect());
        Self {
            weigh,
            buckets: std::array::from_fn(|_| OnceLock::new()),
            sizes: std::array::from_fn(|_| AtomicU32::new(0)),
            occupied: AtomicU64::new(0),
            mass: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            places: (0..capacity).map(|_| AtomicU64::new(NOWHERE)).collect(),
            fixed,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.occupied.load(Ordering::Acquire) == 0
    }

    /// Puts a slot where its proxy's weight belongs, or takes it out. The caller holds the pool's writer lock.
    pub(crate) fn reindex(&self, slot: u32, proxy: Option<&Proxy>) {
        let fixed = proxy.map_or(0.0, |proxy| self.weigh.fixed(proxy));
        if let Some(all) = &self.fixed {
            all[slot as usize].store(fixed.to_bits(), Ordering::Relaxed);
        }
        let weight = proxy.map_or(0.0, |proxy| self.weigh.weight(proxy, fixed));
        let wanted = (weight > 0.0 && weight.is_finite()).then(|| bucket_of(weight) as usize);
        let place = self.places[slot as usize].load(Ordering::Relaxed);
        let current = (place != NOWHERE).then_some((place >> 32) as usize);
        if wanted == current {
            return;
        }
        // Odd while the buckets change. The release of the second step makes the moves visible before it.
        self.moves.fetch_add(1, Ordering::AcqRel);
        // In before out: a sampler of one must not look empty while that one moves.
        let next = wanted.map_or(NOWHERE, |bucket| self.put_in(bucket, slot));
        if let Some(bucket) = current {
            self.take_out(bucket, place as u32 as usize);
        }
        self.places[slot as usize].store(next, Ordering::Relaxed);
        self.moves.fetch_add(1, Ordering::Release);
    }

    fn bucket(&self, number: usize) -> &[AtomicU32] {
        self.buckets[number].get_or_init(|| nobodies(self.places.len()))
    }

    /// Puts a slot behind the last member of a bucket; returns its place.
    fn put_in(&self, number: usize, slot: u32) -> u64 {
        let size = self.sizes[number].load(Ordering::Relaxed);
        self.bucket(number)[size as usize].store(slot + 1, Ordering::Relaxed);
        self.resize(number, size + 1);
        (number as u64) << 32 | u64::from(size)
    }

    fn take_out(&self, number: usize, index: usize) {
        let last = self.sizes[number].load(Ordering::Relaxed) - 1;
        let bucket = self.bucket(number);
        let mover = bucket[last as usize].load(Ordering::Relaxed);
        bucket[index].store(mover, Ordering::Release);
        self.places[mover as usize - 1].store((number as u64) << 32 | index as u64, Ordering::Relaxed);
        self.resize(number, last);
    }

    fn resize(&self, number: usize, size: u32) {
        // Release: a reader that sees the size sees the members.
        self.sizes[number].store(size, Ordering::Release);
        let occupied = self.occupied.load(Ordering::Relaxed);
        let occupied = if size == 0 { occupied & !(1 << number) } else { occupied | 1 << number };
        self.occupied.store(occupied, Ordering::Release);
        // Summed anew rather than adjusted, so that no rounding error piles up.
        let mut mass = 0.0;
        let mut rest = occupied;
        while rest != 0 {
            let number = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            mass += f64::from(self.sizes[number].load(Ordering::Relaxed)) * ceiling(number);
        }
        self.mass.store(mass.to_bits(), Ordering::Release);
    }

    /// Draws until `accept` takes what came, at most `rounds` times. `None` is "gave up", or "empty" if [`Self::is_empty`].
    #[inline]
    pub(crate) fn draw<'p>(
        &self,
        random: &Random,
        rounds: usize,
        proxy: impl Fn(u32) -> Option<&'p Proxy>,
        mut accept: impl FnMut(u32, &'p Proxy) -> bool,
    ) -> Option<u32> {
        for _ in 0..rounds {
            let before = self.moves.load(Ordering::Acquire);
            if before & 1 == 1 {
                std::hint::spin_loop();
                continue;
            }
            let Some((slot, spare, ceiling)) = self.propose(random) else {
                if self.is_empty() {
                    return None;
                }
                continue;
            };
            // The acquire above and this one enclose the reads of the buckets, and nothing else: to look at the candidate takes
            // longer for one that another core has just written to, and a round that is refused for what happened meanwhile
            // would be refused for being slow, which is for being busy.
            if self.moves.load(Ordering::Acquire) != before {
                continue;
            }
            let Some(candidate) = proxy(slot) else { continue };
            let fixed =
                self.fixed.as_ref().map_or(0.0, |all| f64::from_bits(all[slot as usize].load(Ordering::Relaxed)));
            if spare * ceiling >= self.weigh.weight(candidate, fixed) {
                continue;
            }
            if accept(slot, candidate) {
                return Some(slot);
            }
        }
        None
    }

    /// A member of a bucket, a number from 0 to 1 left over from the draw, and the bucket's ceiling.
    #[inline]
    fn propose(&self, random: &Random) -> Option<(u32, f64, f64)> {
        let mut rest = self.occupied.load(Ordering::Acquire);
        let mut point = random.unit() * f64::from_bits(self.mass.load(Ordering::Acquire));
        while rest != 0 {
            let number = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let ceiling = ceiling(number);
            let mass = f64::from(self.sizes[number].load(Ordering::Acquire)) * ceiling;
            if point < mass || rest == 0 {
                // One random number serves all three choices: what is left of it inside the bucket picks the member, and
                // what is left inside the member decides whether it is kept. A ceiling is a power of two, so that its
                // inverse is exact.
                let position = point * (1.0 / ceiling);
                let index = position as usize;
                let member = self.buckets[number].get()?.get(index)?.load(Ordering::Acquire);
                return Some((member.checked_sub(1)?, position - index as f64, ceiling));
            }
            point -= mass;
        }
        None
    }
}

/// An array of zeros that costs no memory before it is written.
fn nobodies(len: usize) -> Box<[AtomicU32]> {
    #[cfg(not(loom))]
    {
        // SAFETY: zero is a valid value of an atomic integer.
        unsafe { Box::<[AtomicU32]>::new_zeroed_slice(len).assume_init() }
    }
    #[cfg(loom)]
    {
        (0..len).map(|_| AtomicU32::new(0)).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_promise() {
        let mut weight = 1.0f64;
        while weight > 1e-18 {
            for w in [weight, weight * 0.999, weight * 0.75, weight * 0.5001] {
                let bucket = bucket_of(w) as usize;
                assert!(w <= ceiling(bucket), "{w} in {bucket}");
                assert!(bucket == BUCKETS - 1 || w >= ceiling(bucket) / 2.0, "{w} in {bucket}");
            }
            weight /= 3.0;
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::net::address::Address;
    use crate::proxy::health::Source;
    use crate::sync::model;
    use loom::thread;

    fn proxy(number: u8) -> Proxy {
        let address = Address::parse(&format!("http://10.0.0.{number}:80")).unwrap();
        let proxy = Proxy::new(&address, Source::User, 0);
        proxy.set_ema(Some(100.0));
        proxy
    }

    // Fails when a slot that moves is taken out of its bucket before it is put into the next.
    #[test]
    fn a_sampler_of_one_is_never_empty() {
        model(|| {
            let proxy = Arc::new(proxy(1));
            let sampler = Arc::new(Sampler::new(Weighting::Latency, 2));
            // Both buckets exist before threads meet: how they are made is the standard library's business.
            for ms in [100.0, 10.0] {
                proxy.set_ema(Some(ms));
                sampler.reindex(0, Some(&proxy));
            }
            let reader = thread::spawn({
                let (proxy, sampler) = (proxy.clone(), sampler.clone());
                move || {
                    assert!(!sampler.is_empty());
                    let drawn = sampler.draw(&Random::new(Some(1)), 2, |_| Some(&proxy), |_, _| true);
                    assert!(drawn.is_none_or(|slot| slot == 0));
                }
            });
            proxy.set_ema(Some(100.0));
            sampler.reindex(0, Some(&proxy));
            reader.join().unwrap();
        });
    }
}
