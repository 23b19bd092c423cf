//! Credentials in URLs and in free text.
//!
//! All of it works on text, not on URLs taken apart: what must be hidden is often exactly the URL that cannot be read. When
//! in doubt too much is hidden. Everything takes time linear in the length of the text.

use super::{MASK, MASKED_LOGIN};

/// URLs joined without a blank; more are not worth telling apart.
const MOST_IN_A_RUN: usize = 50;
/// Characters of a user name and of a password without a scheme before them.
const LONGEST_BARE: usize = 256;
/// Characters of the name of a query parameter.
const LONGEST_NAME: usize = 128;

const SECRET_PARAMETERS: [&str; 8] = ["password", "passwd", "pwd", "token", "key", "secret", "auth", "authorization"];
const SECRET_KEYS: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "credential", "username", "authorization"];

/// The URL without its user information, and with a mask for the value of each parameter whose name speaks of a password,
/// token, key, secret or authorization.
#[must_use]
pub fn redact_url(url: &str) -> String {
    mask_query(&replace_login(url, ""))
}

/// The URL with a mask for its user information.
#[must_use]
pub fn mask_url(url: &str) -> String {
    replace_login(url, MASKED_LOGIN)
}

/// `scheme://host:port` with a mask for a login; a mask for a text of any other form, any part of which may be secret.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let masked = mask_url(url);
    if is_plain_url(&masked.replacen(MASKED_LOGIN, "", 1)) { masked } else { MASK.to_owned() }
}

/// The text with masks for the user information and for secret parameters of every URL in it.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let masked = if text.contains('@') { mask_bare_logins(&mask_urls(text)) } else { text.to_owned() };
    if masked.contains("://") { mask_query(&masked) } else { masked }
}

/// Whether the key of a mapping speaks of a password, secret, token, API key, credential or user name.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    SECRET_KEYS.iter().any(|word| key.contains(word))
}

/// Whether a setting is a word that may be quoted: letters, digits and a few signs, at most 48 of them.
#[must_use]
pub fn is_plain_name(text: &str) -> bool {
    let starts = text.bytes().next().is_none_or(|first| first.is_ascii_alphabetic() || first == b'_');
    starts && text.len() <= 48 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_ .-".contains(&byte))
}

fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_PARAMETERS.iter().any(|word| name.ends_with(word))
        || name.split(['_', '.', '-']).any(|part| SECRET_PARAMETERS.contains(&part))
}

/// White space, the separators of ASCII included.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{1c}'..='\u{1f}')
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Bytes of the host that a text begins with; 0 for none.
fn host_length(text: &str) -> usize {
    if let Some(inside) = text.strip_prefix('[') {
        let length = run(inside, |letter| is_word(letter) || matches!(letter, ':' | '.' | '%'));
        return if length > 0 && inside[length..].starts_with(']') { length + 2 } else { 0 };
    }
    run(text, |letter| !is_blank(letter) && !matches!(letter, ':' | '/' | '?' | '#' | '@' | '[' | ']'))
}

/// Bytes of the letters that a text begins with.
fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

/// Whether the text is a host, with a port or without one.
fn is_host_and_port(text: &str) -> bool {
    let length = host_length(text);
    let port = &text[length..];
    let is_port = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    length > 0 && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Whether the text begins with a host and a port.
fn begins_with_host_and_port(text: &str) -> bool {
    let length = host_length(text);
    let Some(port) = text[length..].strip_prefix(':').filter(|_| length > 0) else { return false };
    let digits = run(port, |letter| letter.is_ascii_digit());
    digits > 0 && !port[digits..].chars().next().is_some_and(is_word)
}

/// Bytes of the user information, its `@` included, at the start of what follows `scheme://`; 0 for none.
fn login_length(rest: &str) -> usize {
    let Some(last) = rest.rfind('@') else { return 0 };
    // A "/" in a password may not be quoted.
    if begins_with_host_and_port(&rest[last + 1..]) {
        return last + 1;
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let inside = authority.rfind('@').map_or(0, |at| at + 1);
    // Without a login an "@" in the path is no secret.
    if is_host_and_port(&authority[inside..]) { inside } else { last + 1 }
}

fn replace_login(url: &str, replacement: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match login_length(rest) {
            0 => url.to_owned(),
            end => format!("{scheme}://{replacement}{}", &rest[end..]),
        },
        None => match url.rfind('@') {
            None => url.to_owned(),
            Some(at) => format!("{replacement}{}", &url[at + 1..]),
        },
    }
}

fn is_plain_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.len() <= 32
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    let place = rest.strip_suffix('/').unwrap_or(rest);
    let port = &place[host_length(place)..];
    // A colon, and one to five digits.
    let is_port = port.is_empty() || (2..=6).contains(&port.len());
    is_scheme && is_port && is_host_and_port(place)
}

/// Masks the user information after every `://`.
fn mask_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at);
        let behind = &behind[3..];
        let length = run(behind, |letter| !is_blank(letter));
        out.push_str(before);
        mask_run(&behind[..length], &mut out);
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

/// Masks what follows a `://` up to the next blank, which may hold more URLs.
fn mask_run(run: &str, out: &mut String) {
    let mut rest = run;
    for _ in 0..MOST_IN_A_RUN {
        // Quotes and brackets around a URL are part of the run: a second look leaves them out.
        let end = match login_length(rest) {
            0 => login_length(rest.trim_end_matches(|letter| "'\"`)>]},.;:!".contains(letter))),
            end => end,
        };
        out.push_str("://");
        if end > 0 {
            out.push_str(MASKED_LOGIN);
        }
        let Some((body, next)) = rest[end..].split_once("://") else { return out.push_str(&rest[end..]) };
        out.push_str(body);
        rest = next;
    }
    out.push_str("://");
    out.push_str(MASK);
}

/// Masks `user:password@` before a host and a port, where no scheme stands before it.
fn mask_bare_logins(text: &str) -> String {
    const OPENERS: &str = "'\"(<[,=";
    let mut out = String::with_capacity(text.len());
    let mut shown = 0;
    let mut is_start = true;
    for (at, letter) in text.char_indices() {
        if at >= shown
            && is_start
            && let Some(length) = bare_login_length(&text[at..], OPENERS)
        {
            out.push_str(&text[shown..at]);
            out.push_str(MASKED_LOGIN);
            shown = at + length;
        }
        is_start = is_blank(letter) || OPENERS.contains(letter);
    }
    out.push_str(&text[shown..]);
    out
}

fn bare_login_length(text: &str, openers: &str) -> Option<usize> {
    let is_short = |part: &str| (1..=LONGEST_BARE).contains(&part.chars().take(LONGEST_BARE + 1).count());
    let user = bounded_run(text, |letter| !is_blank(letter) && !":/@".contains(letter) && !openers.contains(letter));
    let behind = text[user..].strip_prefix(':').filter(|_| is_short(&text[..user]))?;
    let password = bounded_run(behind, |letter| !is_blank(letter) && !matches!(letter, '/' | '@'));
    let place = behind[password..].strip_prefix('@').filter(|_| is_short(&behind[..password]))?;
    let host = host_length(place);
    let port = place[host..].strip_prefix(':').filter(|_| host > 0)?;
    port.bytes().next().filter(u8::is_ascii_digit)?;
    Some(user + 1 + password + 1)
}

/// As [`run`], but no longer than a part of a bare login may be, and a letter more.
fn bounded_run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    let end = text.char_indices().nth(LONGEST_BARE + 1).map_or(text.len(), |(at, _)| at);
    run(&text[..end], is_part)
}

/// Masks the values of secret query parameters.
fn mask_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&', ';', '#']) {
        let (before, behind) = rest.split_at(at + 1);
        out.push_str(before);
        let Some(name) = parameter(behind) else {
            rest = behind;
            continue;
        };
        let (kept, value) = behind.split_at(name + 1);
        out.push_str(kept);
        // A value that is shown may be a URL with parameters of its own.
        rest = value;
        if is_secret_parameter(&behind[..name]) {
            out.push_str(MASK);
            rest = &value[run(value, is_of_value)..];
        }
    }
    out.push_str(rest);
    out
}

fn is_of_value(letter: char) -> bool {
    !is_blank(letter) && !"&;#'\"".contains(letter)
}

/// Bytes of the name of the parameter that a text begins with; `None` without a name or a value.
fn parameter(text: &str) -> Option<usize> {
    let end = text.char_indices().nth(LONGEST_NAME + 1).map_or(text.len(), |(at, _)| at);
    let name = run(&text[..end], |letter| !is_blank(letter) && !"=&;?#".contains(letter));
    if name == 0 || text[..name].chars().count() > LONGEST_NAME {
        return None;
    }
    let behind = text[name..].strip_prefix('=')?;
    behind.chars().next().filter(|letter| is_of_value(*letter)).map(|_| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_urls_are_masked() {
        for (url, masked) in [
            ("http://u:p@h:80", "http://***:***@h:80"),
            ("http://u:p/w@h:80", "http://***:***@h:80"),
            ("http://u@r:p@[::1]:80/a@b", "http://***:***@[::1]:80/a@b"),
            ("http://h:80/a@b", "http://h:80/a@b"),
            ("u:p@h", "***:***@h"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(mask_url(url), masked, "{url}");
        }
        assert_eq!(
            redact_url("http://u:p@h/?a=1&api_key=2;x-token=3&keys=4"),
            "http://h/?a=1&api_key=***;x-token=***&keys=4"
        );
        for (url, masked) in [
            ("http://h/?next=/cb?token=SECRET", "http://h/?next=/cb?token=***"),
            ("http://h/#access_token=SECRET&a=1", "http://h/#access_token=***&a=1"),
            ("http://h/?a=b#token=SECRET", "http://h/?a=b#token=***"),
            ("http://h/?u=http://i/?k=1;api_key=SECRET", "http://h/?u=http://i/?k=1;api_key=***"),
            ("http://h/?token=a?b=c&d=e", "http://h/?token=***&d=e"),
            ("http://h/?=x&token=", "http://h/?=x&token="),
        ] {
            assert_eq!(redact_url(url), masked, "{url}");
        }
    }

    #[test]
    fn only_addresses_are_shown() {
        for shown in ["http://h", "socks5h://h:1080/", "http://***:***@[::1]:80"] {
            assert_eq!(shown_url(shown), shown);
        }
        assert_eq!(shown_url("http://u:p@h:80"), "http://***:***@h:80");
        for hidden in
            ["h:80", "http://h:123456", "http://h:", "http://h/a", "http://h?a", "1http://h", "://h", "http://a b"]
        {
            assert_eq!(shown_url(hidden), MASK, "{hidden}");
        }
    }

    #[test]
    fn urls_and_bare_logins_in_texts_are_masked() {
        for (text, scrubbed) in [
            ("via 'http://u:p@h:80', then socks5://a:b@c", "via 'http://***:***@h:80', then socks5://***:***@c"),
            ("(u:p@h:80)", "(***:***@h:80)"),
            ("proxy=u:p:q@h:8", "proxy=***:***@h:8"),
            ("mail me@h.test, u:p@h", "mail me@h.test, u:p@h"),
            ("http://u:p@h,http://v:q@i:80", "http://***:***@i:80"),
            ("GET http://h/?token=1 'x'", "GET http://h/?token=*** 'x'"),
            ("?token=1", "?token=1"),
        ] {
            assert_eq!(scrub_text(text), scrubbed, "{text}");
        }
        let many = scrub_text(&"http://u:p@h?".repeat(20_000));
        assert!(!many.contains("u:p"));
    }

    #[test]
    fn names_of_secrets() {
        assert!(["Proxy-Authorization", "PASSWORD", "api-key", "user_username"].iter().all(|key| is_secret_key(key)));
        assert!(!is_secret_key("host"));
        assert!(["", "round_robin", "_a b.c-d"].iter().all(|name| is_plain_name(name)));
        assert!(["1a", "a:b", "a@b", "\u{e4}", &"a".repeat(49)].iter().all(|name| !is_plain_name(name)));
    }
}
