//! A login, hidden wherever a proxy repeats it.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::MASK;
use super::spelling::{in_base64, spellings};
use crate::net::latin_1;

/// Padding and the bits behind the last byte do not matter: a login that its proxy understands is a secret.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A secret of so many characters is hidden wherever it stands; a shorter one only as a word of its own.
const RARE: usize = 4;
/// Of so many it is not met by chance, not even in what a site writes.
const UNMISTAKABLE: usize = 8;

/// A login in every spelling. A user name is taken for a secret where it is the whole login, as an API key is, or where it
/// is no plain word.
pub struct LoginSecrets {
    unmistakable: Vec<Vec<char>>,
    /// Hidden wherever they stand, the longest first: a short spelling may be part of a long one.
    rare: Vec<Vec<char>>,
    /// Hidden as words of their own.
    words: Vec<Vec<char>>,
}

impl fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginSecrets(***)")
    }
}

impl LoginSecrets {
    /// The secrets of a user name and a password.
    #[must_use]
    pub fn new(username: &str, password: &str) -> Self {
        let (mut rare, mut words) = (Vec::new(), Vec::new());
        if !password.is_empty() {
            let pair = format!("{username}:{password}");
            rare.extend(spellings(&pair));
            rare.extend(in_base64(&pair));
        }
        let alone = if password.is_empty() { username } else { password };
        let mut unmistakable = rare.clone();
        if alone.chars().count() >= UNMISTAKABLE {
            unmistakable.extend(spellings(alone));
            unmistakable.extend(in_base64(alone));
        }
        let is_plain_word = !username.is_empty() && username.chars().all(char::is_alphabetic);
        let user = if password.is_empty() || !is_plain_word { username } else { "" };
        for secret in [password, user] {
            let kept = if secret.chars().count() >= RARE { &mut rare } else { &mut words };
            kept.extend(spellings(secret));
            if !secret.is_empty() {
                rare.extend(in_base64(secret));
            }
        }
        Self { unmistakable: sorted(&unmistakable, 1), rare: sorted(&rare, RARE), words: sorted(&words, 2) }
    }

    /// The secrets of a value of `Proxy-Authorization`, of whatever scheme.
    #[must_use]
    pub fn of_authorization(value: &[u8]) -> Self {
        let text = latin_1(value);
        let (scheme, token) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let token = token.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            // As clients write it: with or without padding, a login in UTF-8 or, as requests does, in Latin-1.
            let login = LENIENT.decode(token).ok();
            let login = login.map(|login| String::from_utf8(login).unwrap_or_else(|bad| latin_1(bad.as_bytes())));
            return match &login {
                Some(login) => {
                    let (username, password) = login.split_once(':').unwrap_or((login, ""));
                    Self::new(username, password)
                }
                None => Self::new("", token),
            };
        }
        Self::new("", if token.is_empty() { scheme } else { token })
    }

    /// Whether the login is in a text that a site may have written: only what is not met by chance counts.
    #[must_use]
    pub fn are_given_away_by(&self, text: &str) -> bool {
        let text = Folded::new(text);
        (0..text.letters.len()).any(|at| self.unmistakable.iter().any(|secret| text.has(at, secret)))
    }

    /// Whether the login, or a part of it that is secret, is in a text.
    #[must_use]
    pub fn occur_in(&self, text: &str) -> bool {
        let text = Folded::new(text);
        (0..text.letters.len()).any(|at| self.length_at(&text, at).is_some())
    }

    /// The text with the login hidden.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let folded = Folded::new(text);
        let mut out = String::with_capacity(text.len());
        let (mut at, mut shown) = (0, 0);
        while at < folded.letters.len() {
            let Some(length) = self.length_at(&folded, at) else {
                at += 1;
                continue;
            };
            out.push_str(&text[shown..folded.places[at]]);
            out.push_str(MASK);
            at += length;
            shown = folded.places[at];
        }
        out.push_str(&text[shown..]);
        out
    }

    /// Letters of a secret that begins there.
    fn length_at(&self, text: &Folded, at: usize) -> Option<usize> {
        let found = self.rare.iter().find(|secret| text.has(at, secret));
        let found = found.or_else(|| self.words.iter().find(|word| text.has(at, word) && text.is_word(at, word.len())));
        found.map(Vec::len)
    }
}

/// Folded, the longest first, without those of fewer letters than `least`.
fn sorted(secrets: &[String], least: usize) -> Vec<Vec<char>> {
    let mut folded: Vec<Vec<char>> = secrets.iter().map(|secret| Folded::new(secret).letters).collect();
    folded.retain(|secret| secret.len() >= least);
    folded.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    folded.dedup();
    folded
}

/// A text in lower case, and where in the original each of its letters begins, its end included.
struct Folded {
    letters: Vec<char>,
    places: Vec<usize>,
}

impl Folded {
    fn new(text: &str) -> Self {
        let (mut letters, mut places) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
        for (place, letter) in text.char_indices() {
            // Of the letters that become several in lower case only the first counts, in secrets as in texts.
            letters.push(letter.to_lowercase().next().unwrap_or(letter));
            places.push(place);
        }
        places.push(text.len());
        Self { letters, places }
    }

    fn has(&self, at: usize, secret: &[char]) -> bool {
        self.letters[at..].starts_with(secret)
    }

    fn is_word(&self, at: usize, length: usize) -> bool {
        let is_letter = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        let before = at.checked_sub(1).and_then(|before| self.letters.get(before));
        !before.is_some_and(is_letter) && !self.letters.get(at + length).is_some_and(is_letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_hidden() {
        let secrets = LoginSecrets::new("us@er-na/me+%", "p@ss:w/ rd%#?&=\"'\u{fc}");
        for spelling in spellings("p@ss:w/ rd%#?&=\"'\u{fc}").iter().chain(&in_base64("us@er-na/me+%:p@ss:w/ rd")) {
            for text in [format!("said <{spelling}>"), format!("said <{}>", spelling.to_uppercase())] {
                let is_base64 = spelling.len() > 20 && !spelling.contains(['%', '\\', '&', ' ']);
                let hidden = secrets.scrub(&text);
                assert!(is_base64 || hidden == "said <***>", "{text} {hidden}");
            }
        }
        let pair = base64::engine::general_purpose::STANDARD.encode("us@er-na/me+%:p@ss:w/ rd%#?&=\"'\u{fc}");
        assert_eq!(secrets.scrub(&format!("token {pair}.")), "token ***.");
    }

    #[test]
    fn short_secrets_are_hidden_as_words_alone() {
        let short = LoginSecrets::new("ab", "cd");
        assert_eq!(short.scrub("abcdef abcd xcd"), "abcdef abcd xcd");
        assert_eq!(short.scrub("said cd and ab:cd"), "said *** and ***");
        assert_eq!(LoginSecrets::new("", "").scrub("said anything"), "said anything");
        assert!(!LoginSecrets::new("hostile77", "pass").are_given_away_by("/hostile77/pass"));
        assert!(LoginSecrets::new("hostile77", "pass").are_given_away_by("/hostile77%3apass"));
    }

    #[test]
    fn ready_headers() {
        for (value, text) in [
            ("Basic aG9zdGlsZTc3OnMzY3IzdFB3OTk=", "s3cr3tPw99"),
            ("Basic aG9zdGlsZTc3OnMzY3IzdFB3OTk", "s3cr3tPw99"),
            ("Basic\taG9zdGlsZTc3OnMzY3IzdFB3OTk=", "s3cr3tPw99"),
            // In Latin-1.
            ("Basic Ym9iOnDkc3N3b3J0MTI=", "p\u{e4}sswort12"),
            ("Basic no base64 at all!", "no base64 at all!"),
            ("Bearer 0123456789abcdef", "0123456789abcdef"),
            ("0123456789abcdef", "0123456789abcdef"),
        ] {
            let secrets = LoginSecrets::of_authorization(value.as_bytes());
            assert_eq!(secrets.scrub(&format!("said {text}.")), "said ***.");
        }
    }

    #[test]
    fn letters_of_any_length_in_lower_case() {
        let secrets = LoginSecrets::new("", "\u{130}\u{130}\u{130}\u{130}xyz");
        assert_eq!(secrets.scrub("a\u{130}\u{130}\u{130}\u{130}XYZb"), "a***b");
    }
}
