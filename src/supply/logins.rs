//! Logins in JSON that stand beside the proxies or below: `"auth": {"username": ..., "password": ...}`, or one object of them
//! by the names of the proxies, as SwitchyOmega keeps them.

use ahash::AHashMap;

use super::column::Column;
use super::fields::Fields;
use super::visit::{scalar, visit_list, visit_map};
use crate::net::address::Credentials;

/// Logins by name that are kept of one object.
const MOST: usize = 100_000;

/// Whether a value of that name is a login, or has logins in it.
pub(super) fn is_login(name: &str) -> bool {
    Column::named(name) == Some(Column::Login)
        || ["login", "logins", "users", "accounts"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The logins that stand in one object.
#[derive(Debug, Default)]
pub(super) struct Logins {
    own: Option<Credentials>,
    by_name: AHashMap<Box<str>, Credentials>,
    strange: bool,
}

impl Logins {
    /// Reads an object of a login's parts, or of logins.
    pub(super) fn read(&mut self, raw: &str) {
        let mut own = Fields::default();
        let mut any = false;
        visit_map(raw, |name, value| {
            any = true;
            if value.starts_with('{') {
                let mut fields = Fields::default();
                visit_map(value, |name, value| {
                    if let Some(text) = scalar(value) {
                        fields.set(&name, &text);
                    }
                });
                match fields.login_of_parts() {
                    Some(login) if matches!(&*name, "all" | "basic" | "default") => self.own = Some(login),
                    Some(login) if self.by_name.len() < MOST => drop(self.by_name.insert(name.as_ref().into(), login)),
                    _ => self.strange = true,
                }
            } else if let Some(text) = scalar(value) {
                own.set(&name, &text);
            }
        });
        match own.login_of_parts() {
            Some(login) => self.own = Some(login),
            None => self.strange |= any && self.own.is_none() && self.by_name.is_empty(),
        }
    }

    /// Reads a list of a user and a password, or of one login.
    pub(super) fn read_list(&mut self, raw: &str) {
        let mut parts = Vec::new();
        let mut nested = Vec::new();
        visit_list(raw, |value| {
            if parts.len() < 3 {
                parts.push(scalar(value));
            }
            if value.starts_with('{') && nested.len() < 2 {
                nested.push(value);
            }
        });
        if let ([login], 1) = (nested.as_slice(), parts.len()) {
            self.read(login);
            return;
        }
        match parts.as_slice() {
            [] => {}
            [Some(user), Some(password)] if !user.is_empty() => {
                self.own = Some(Credentials { username: user.as_ref().into(), password: password.as_ref().into() });
            }
            _ => self.strange = true,
        }
    }

    /// The login of the object itself, or of all in it.
    pub(super) fn own(&self) -> Option<&Credentials> {
        self.own.as_ref()
    }

    /// Whether there is a login that is not understood, or that is of no proxy here.
    pub(super) fn is_strange(&self) -> bool {
        self.strange || !self.by_name.is_empty()
    }

    /// The login of the proxy of that name.
    pub(super) fn take(&mut self, name: &str) -> Option<Credentials> {
        if self.by_name.is_empty() { None } else { self.by_name.remove(name) }
    }

    /// How many logins no proxy has taken.
    pub(super) fn left(&self) -> usize {
        self.by_name.len() + usize::from(self.strange)
    }
}
