//! Randomness as a function of position: the n-th draw of a proxy depends on the seed, the proxy and n,
//! and on nothing else. Concurrent requests may arrive in any order, the n-th of them meets the same fate.

/// A stream of draws that can be read at any position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    key: u64,
}

impl Draws {
    /// The stream of one proxy in a fleet with this seed.
    pub(crate) fn new(seed: u64, proxy: usize) -> Self {
        Self { key: mix(seed ^ mix((proxy as u64).wrapping_add(1))) }
    }

    /// A number in [0, 1): draw `which` of exchange `n`.
    pub(crate) fn unit(self, n: u64, which: u64) -> f64 {
        let bits = mix(self
            .key
            .wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_add(which.wrapping_mul(0xD1B5_4A32_D192_ED03)));
        // The upper 53 bits fill a double's mantissa exactly.
        (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A standard normal number (Box and Muller), from draws `which` and `which + 1` of exchange `n`.
    pub(crate) fn normal(self, n: u64, which: u64) -> f64 {
        // 1 - u lies in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit(n, which)).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit(n, which + 1)).cos()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit moves every output bit.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_for_a_seed_and_differ_between_seeds_proxies_and_positions() {
        let draws = Draws::new(7, 3);
        assert_eq!(draws.unit(5, 0), Draws::new(7, 3).unit(5, 0));
        assert_ne!(draws.unit(5, 0), Draws::new(8, 3).unit(5, 0));
        assert_ne!(draws.unit(5, 0), Draws::new(7, 4).unit(5, 0));
        assert_ne!(draws.unit(5, 0), draws.unit(6, 0));
        assert_ne!(draws.unit(5, 0), draws.unit(5, 1));
    }

    #[test]
    fn units_are_uniform_and_normals_are_normal() {
        let draws = Draws::new(1, 0);
        let n = 100_000;
        let mean = (0..n).map(|i| draws.unit(i, 0)).sum::<f64>() / n as f64;
        // Standard error of the mean of a uniform: 0.2887 / sqrt(n) = 0.0009; five of them.
        assert!((mean - 0.5).abs() < 0.0046, "{mean}");
        let square = (0..n).map(|i| draws.normal(i, 0).powi(2)).sum::<f64>() / n as f64;
        // Variance of a squared standard normal is 2: standard error 0.0045; five of them.
        assert!((square - 1.0).abs() < 0.0225, "{square}");
    }
}
