//! Amounts of money as whole numbers, so that sums are exact in any order and a budget is met to the last unit.

/// Units of a [`Money`] in one of the user's currency.
const UNITS: f64 = 1e10;
/// Bytes that a price per GB is for.
pub const GB: f64 = 1e9;

/// An amount in tenths of a billionth of the user's currency. At most 1.8 billion; more is that much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(pub(crate) u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount nearest to a number of at least 0.
    #[must_use]
    pub fn of(amount: f64) -> Self {
        // A cast saturates, and makes nothing of what is no number.
        Self((amount * UNITS).round() as u64)
    }

    /// The price of so many bytes.
    #[must_use]
    pub fn of_bytes(bytes: u64, per_gb: f64) -> Self {
        Self::of(bytes as f64 * per_gb / GB)
    }

    /// As a number.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.0 as f64 / UNITS
    }
}

impl std::ops::Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn ten_tenths_are_one_whole() {
        let tenths: u64 = (0..10).map(|_| Money::of(0.1).0).sum();
        assert_eq!(Money(tenths), Money::of(1.0));
        assert_eq!(Money::of_bytes(1_000_000_000, 0.5).amount(), 0.5);
        assert_eq!(Money::of_bytes(1, 0.5).0, 5);
    }

    #[test]
    fn what_is_no_amount_is_nothing_and_too_much_is_the_most() {
        assert_eq!([Money::of(f64::NAN), Money::of(-1.0)], [Money::ZERO; 2]);
        assert_eq!(Money::of(1e300), Money(u64::MAX));
    }
}
