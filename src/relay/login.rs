//! Who may use a relay, and what the user name asks for: `user-country-us-session-abc`, as providers write it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The login that clients of a relay use.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name before the words.
    pub username: Box<str>,
    /// The password; `None` lets every client in.
    pub password: Option<Box<str>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

/// What a client asks of its proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Requests of one session use one proxy.
    pub session: Option<Box<str>>,
    /// Country of the proxy, in capital letters.
    pub country: Option<Box<str>>,
    /// Region of the proxy.
    pub region: Option<Box<str>>,
    /// Tags of the proxy, all of them.
    pub tags: Vec<Box<str>>,
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It gave no login.
    Missing,
    /// It gave another one.
    Wrong,
    /// The user name has a word that is none of the grammar's.
    Word,
    /// A word of the user name has no value behind it.
    Value,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "this relay wants a user name and a password",
            Self::Wrong => "the user name or the password is wrong",
            Self::Word => {
                "the user name has a word that is not known: behind the name may come -country-CODE, -region-NAME, \
                 -session-ID and -tag-NAME, none of which may contain a hyphen"
            }
            Self::Value => "the user name ends behind -country, -region, -session or -tag, where a value must follow",
        })
    }
}

impl Login {
    /// Judges what a client has given.
    ///
    /// # Errors
    /// [`Denied`]
    pub fn admit(&self, given: Option<(&[u8], &[u8])>) -> Result<Wishes, Denied> {
        let Some((user, password)) = given else {
            return if self.password.is_none() { Ok(Wishes::default()) } else { Err(Denied::Missing) };
        };
        let is_right = self.password.as_ref().is_none_or(|right| is_same(right.as_bytes(), password));
        let name = self.username.as_bytes();
        let words = match user.split_at_checked(name.len()) {
            Some((start, words)) if is_same(name, start) && (words.is_empty() || words[0] == b'-') => words,
            // Without a password the name does not matter.
            _ if self.password.is_none() => {
                user.iter().position(|byte| *byte == b'-').map_or(&[][..], |at| &user[at..])
            }
            _ => return Err(Denied::Wrong),
        };
        if !is_right {
            return Err(Denied::Wrong);
        }
        std::str::from_utf8(words).map_err(|_| Denied::Word).and_then(wishes)
    }
}

/// Reads the words behind the name, the hyphen before them included.
fn wishes(words: &str) -> Result<Wishes, Denied> {
    let mut wishes = Wishes::default();
    let mut words = words.split('-').skip(1);
    while let Some(word) = words.next() {
        let is_known = ["country", "region", "session", "tag"].iter().any(|known| word.eq_ignore_ascii_case(known));
        if !is_known {
            return Err(Denied::Word);
        }
        let value = words.next().filter(|value| !value.is_empty()).ok_or(Denied::Value)?;
        match &*word.to_ascii_lowercase() {
            "country" => wishes.country = Some(value.to_ascii_uppercase().into()),
            "region" => wishes.region = Some(value.into()),
            "session" => wishes.session = Some(value.into()),
            _ => wishes.tags.push(value.into()),
        }
    }
    Ok(wishes)
}

/// Compares in a time that does not tell where the difference is.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

/// Name and password of a `Proxy-Authorization` (RFC 7617).
pub(super) fn of_basic(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let plain = STANDARD.decode(token.trim_ascii()).ok()?;
    let colon = plain.iter().position(|byte| *byte == b':')?;
    Some((plain[..colon].to_vec(), plain[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(password: Option<&str>) -> Login {
        Login { username: "me-too".into(), password: password.map(Into::into) }
    }

    fn admit(login: &Login, user: &str, password: &str) -> Result<Wishes, Denied> {
        login.admit(Some((user.as_bytes(), password.as_bytes())))
    }

    #[test]
    fn words_behind_the_name_are_wishes() {
        let guarded = login(Some("x"));
        assert_eq!(admit(&guarded, "me-too", "x"), Ok(Wishes::default()));
        let wanted = Wishes {
            session: Some("aB1".into()),
            country: Some("US".into()),
            region: Some("bavaria".into()),
            tags: vec!["dc".into(), "fast".into()],
        };
        let name = "me-too-country-us-Session-aB1-tag-dc-region-bavaria-tag-fast";
        assert_eq!(admit(&guarded, name, "x"), Ok(wanted));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let guarded = login(Some("x"));
        for (user, password, expected) in [
            ("me-too", "y", Denied::Wrong),
            ("me-too", "", Denied::Wrong),
            ("me", "x", Denied::Wrong),
            ("me-tooth", "x", Denied::Wrong),
            ("me-too-city-rome", "x", Denied::Word),
            ("me-too-", "x", Denied::Word),
            ("me-too-session-a-b", "x", Denied::Word),
            ("me-too-session", "x", Denied::Value),
            ("me-too-country-", "x", Denied::Value),
            // A wrong password is not told what is wrong with the name.
            ("me-too-city-rome", "y", Denied::Wrong),
        ] {
            assert_eq!(admit(&guarded, user, password), Err(expected), "{user}");
        }
        assert_eq!(guarded.admit(None), Err(Denied::Missing));
    }

    #[test]
    fn without_a_password_everybody_comes_in_under_any_name() {
        let open = login(None);
        assert_eq!(open.admit(None), Ok(Wishes::default()));
        assert_eq!(admit(&open, "me-too-tag-dc", "any").unwrap().tags, vec!["dc".into()]);
        assert_eq!(admit(&open, "you-country-de", "any").unwrap().country, Some("DE".into()));
        assert_eq!(admit(&open, "you-city-rome", "any"), Err(Denied::Word));
    }

    #[test]
    fn basic_logins() {
        assert_eq!(of_basic(b"basic YTpiOmM="), Some((b"a".to_vec(), b"b:c".to_vec())));
        assert_eq!(of_basic(b"Bearer YTpi"), None);
        assert_eq!(of_basic(b"Basic YWI="), None);
        assert_eq!(of_basic(b"Basic !"), None);
    }
}
