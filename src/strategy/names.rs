//! The built-in strategies by name: the one list that every place reads which takes a strategy's name.

/// A built-in strategy.
#[derive(Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name, as messages show it.
    pub name: &'static str,
    /// Further names.
    pub aliases: &'static [&'static str],
    /// Its class, by the name that users know.
    pub class: &'static str,
    /// Whether the settings of the command line take it: it needs neither arguments nor a session or a place in the request.
    pub in_settings: bool,
}

/// One line a strategy; the first is the default.
pub const BUILTIN: &[Builtin] = &[
    builtin("round-robin", &[], "RoundRobinStrategy").in_settings(),
    builtin("random", &[], "RandomStrategy").in_settings(),
    builtin("weighted", &["weighted-random"], "WeightedStrategy").in_settings(),
    builtin("least-used", &[], "LeastUsedStrategy").in_settings(),
    builtin("performance-based", &["performance"], "PerformanceBasedStrategy"),
    builtin("session", &["session-persistence"], "SessionPersistenceStrategy"),
    builtin("geo-targeted", &["geo"], "GeoTargetedStrategy"),
    builtin("cost-aware", &[], "CostAwareStrategy"),
    builtin("composite", &[], "CompositeStrategy"),
];

const fn builtin(name: &'static str, aliases: &'static [&'static str], class: &'static str) -> Builtin {
    Builtin { name, aliases, class, in_settings: false }
}

impl Builtin {
    const fn in_settings(self) -> Self {
        Self { in_settings: true, ..self }
    }

    /// The strategy of that name; `None` where no built-in strategy has it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        let key = key(name);
        BUILTIN.iter().find(|builtin| builtin.names().any(|known| known == key))
    }

    /// The strategy that serves where none is named.
    #[must_use]
    pub const fn default() -> &'static Self {
        &BUILTIN[0]
    }

    /// All its names, the canonical one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// A strategy's name as names are compared: case does not matter, and `_` is as good as `-`.
#[must_use]
pub fn key(name: &str) -> String {
    name.trim().to_lowercase().replace('_', "-")
}

/// Every name of every built-in strategy, in the order of the list.
pub fn all() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().flat_map(Builtin::names)
}
