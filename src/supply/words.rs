//! A line cut into words and columns.

use super::label::Label;
use super::line::{is_clear, is_pair, whole};
use crate::net::address::{Address, is_literal, parse_host};

const SEPARATORS: [char; 4] = [',', '|', ';', '\t'];

/// One word or column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    /// Whether a column ends in front of it, without blanks around: then it is data and no remark.
    pub(super) column: bool,
}

/// Without what bulleted lists, source code, settings and the output of checkers have around an entry.
pub(super) fn undecorated(line: &str) -> &str {
    let mut line = line.trim_matches(is_blank);
    for bullet in ["- ", "* ", "+ ", "• ", "> "] {
        line = line.strip_prefix(bullet).map_or(line, str::trim_start);
    }
    line = line.strip_prefix("export ").map_or(line, str::trim_start);
    // PROXIES=..., HTTP_PROXY="..."
    if let Some((name, value)) = line.split_once('=')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.trim_end().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        line = value.trim_start();
    }
    // "[+] 1.2.3.4:80", "[12:30:01] ...": not an IPv6 address.
    if let Some((inside, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && rest.starts_with(is_blank)
        && inside.len() <= 24
        && Label::parse(inside.trim()).is_none()
        && parse_host(inside).is_ok_and(|host| !is_literal(&host)) | inside.chars().all(|c| !c.is_alphabetic())
    {
        line = rest.trim_start();
    }
    line.trim_matches(|c: char| is_blank(c) || matches!(c, '"' | '\'' | '`' | ','))
}

pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\0')
}

pub(super) fn split(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::with_capacity(8);
    if !line.contains(SEPARATORS) {
        words.extend(line.split(is_blank).filter(|word| !word.is_empty()).map(|text| Word { text, column: false }));
        return words;
    }
    // A separator may stand inside a password: "http://user:p,w@1.2.3.4:80".
    let mut rest = line;
    let mut column = false;
    loop {
        let end = column_end(rest);
        let (text, after) = rest.split_at(end);
        push_column(&mut words, text, column);
        let Some(sign) = after.chars().next() else { return words };
        rest = &after[sign.len_utf8()..];
        column = sign == '\t' || !(text.ends_with(is_blank) && rest.starts_with(is_blank));
    }
}

/// Where the column ends that the text begins with.
fn column_end(text: &str) -> usize {
    let Some(end) = text.find(SEPARATORS) else { return text.len() };
    let head = text[..end].trim();
    if head.is_empty() || head.contains(is_blank) || begins_row(head) {
        return end;
    }
    // The word up to the next blank, if only as a whole it is an address.
    let start = text.len() - text.trim_start().len();
    let word = text[start..].split(|c: char| is_blank(c)).next().unwrap_or("");
    let word_end = start + word.len();
    if word_end > end && word.contains('@') && word.len() <= 1024 && Address::parse_line(word).is_ok() {
        return word_end;
    }
    end
}

/// Whether a column by itself is an address, a host or a label, so that what follows is another column.
fn begins_row(head: &str) -> bool {
    if Label::parse(head).is_some() {
        return true;
    }
    match Address::parse_line(head) {
        Ok(address) => head.contains("://") || is_clear(&address),
        Err(_) => parse_host(bare(head)).is_ok_and(|host| is_literal(&host) || host.contains('.')),
    }
}

pub(super) fn push_column<'t>(words: &mut Vec<Word<'t>>, text: &'t str, column: bool) {
    let text = text.trim_matches(is_blank);
    let mut parts = text.split(is_blank).filter(|part| !part.is_empty());
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        if !text.is_empty() {
            words.push(Word { text, column });
        }
        return;
    };
    // Several words in one column are a phrase, unless there is an address among them, or a sign of a remark.
    let is_row = whole(clean(first)).is_ok()
        || is_pair(clean(first), clean(second), false)
        || Label::parse(clean(first)).is_some()
        || whole(clean(second)).is_ok()
        || is_remark(first);
    if is_row {
        let mut column = column;
        for part in text.split(is_blank).filter(|part| !part.is_empty()) {
            words.push(Word { text: part, column });
            column = false;
        }
    } else {
        words.push(Word { text, column });
    }
}

pub(super) fn clean(word: &str) -> &str {
    let word = word.trim_matches(|c: char| is_blank(c) || matches!(c, '"' | '\'' | '`' | ','));
    // "(1.2.3.4:80)", but "[2001:db8::1]:80" keeps its brackets.
    word.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(word)
}

pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Whether a word begins a remark.
pub(super) fn is_remark(word: &str) -> bool {
    matches!(word, "-" | "--" | "–" | "—" | "->" | "=>" | "→" | "*" | ":") || word.starts_with('(')
}

pub(super) fn is_comment(word: &str) -> bool {
    word.starts_with('#') || word.starts_with("//")
}
