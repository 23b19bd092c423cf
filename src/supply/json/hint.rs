//! What encloses a value of a document, and what follows from it for the value.

use crate::net::address::Credentials;
use crate::supply::label::{Label, Labels};

/// Names under which a list of texts is meant to be one of proxies, and so each is accounted for.
const LIST_NAMES: [&str; 16] = [
    "proxies",
    "proxy",
    "data",
    "list",
    "results",
    "items",
    "proxy_list",
    "proxylist",
    "hosts",
    "ips",
    "servers",
    "endpoints",
    "addresses",
    "nodes",
    "proxysettings",
    "backup",
];

pub(super) fn is_list_name(name: &str) -> bool {
    LIST_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What encloses a value.
#[derive(Clone)]
pub(super) struct Hint {
    pub(super) labels: Labels,
    pub(super) login: Option<Credentials>,
    /// Whether texts in a list here are meant to be proxies.
    pub(super) list: bool,
}

impl Hint {
    /// What encloses a value of that name in a list of proxies.
    pub(super) fn under(&self, name: &str) -> Self {
        let labels = Label::parse(name).map_or_else(|| self.labels.clone(), Labels::of);
        Self { labels, login: self.login.clone(), list: true }
    }
}
