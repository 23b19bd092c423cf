//! A proxy's identifier.

use std::fmt;

/// A proxy's 128-bit identifier (a UUID), as two words that order like its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64, pub u64);

impl Id {
    /// A random identifier.
    #[must_use]
    pub fn random() -> Self {
        Self::from_u128(
            uuid::Builder::from_u128((u128::from(crate::random::next()) << 64) | u128::from(crate::random::next()))
                .with_version(uuid::Version::Random)
                .with_variant(uuid::Variant::RFC4122)
                .into_uuid()
                .as_u128(),
        )
    }

    /// From the number a UUID stands for.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self((number >> 64) as u64, number as u64)
    }

    /// The number a UUID stands for.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        ((self.0 as u128) << 64) | self.1 as u128
    }

    /// Reads a UUID in any of its usual notations.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(|uuid| Self::from_u128(uuid.as_u128()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.as_u128()).hyphenated().fmt(f)
    }
}
