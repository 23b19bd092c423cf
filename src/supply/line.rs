//! One entry as text: an address, or several, and the words or columns beside them.
//!
//! Nothing beside an address is passed over: it is a protocol, a login, one of the usual notes, or the reason why the
//! entry is refused. Only behind a sign that begins a remark (`#`, `-`, `(`) may words say nothing.

use smallvec::{SmallVec, smallvec};

use super::fields::{Entry, Fields};
use super::label::{Label, Labels};
use super::note;
use super::parsed::Reason;
use super::record::Details;
use super::words::{Word, bare, clean, is_blank, is_comment, is_remark, push_column, split, undecorated};
use crate::net::address::{Address, AddressError, Credentials, Protocol, is_literal, parse_host, parse_port};

/// What the entries of a line came to: as a rule one.
pub(super) type Found = SmallVec<[Result<Entry, Reason>; 1]>;

/// How strictly words beside an address are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Columns whose meaning is not known are a reason to refuse the entry.
    Strict,
    /// A page's table has columns of all kinds: only a row that is an address and two words has a login.
    Page,
}

/// Reads a line; `usual` is what the text around it says.
pub(super) fn read(line: &str, number: u32, usual: &Labels) -> Found {
    let line = undecorated(line);
    if let Some(inner) = line.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return smallvec![flow(inner, number, usual)];
    }
    let words = split(line);
    let first = words.first().map_or("", |word| word.text);
    Reader::new(number, usual, Strictness::Strict).read(&words, first)
}

/// As [`read`]; an entry without a login has that of the enclosing text.
pub(super) fn read_with(line: &str, number: u32, usual: &Labels, login: Option<&Credentials>) -> Found {
    let mut found = read(line, number, usual);
    if let Some(login) = login {
        for entry in found.iter_mut().flatten() {
            for record in &mut entry.records {
                record.details_mut().credentials.get_or_insert_with(|| login.clone());
            }
        }
    }
    found
}

/// Reads the values of a row whose columns have no names.
pub(super) fn columns<S: AsRef<str>>(values: &[S], number: u32, usual: &Labels, strictness: Strictness) -> Found {
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        push_column(&mut words, value.as_ref(), true);
    }
    let first = words.first().map_or("", |word| word.text);
    Reader::new(number, usual, strictness).read(&words, first)
}

/// Whether the values of a row have an address among them.
pub(super) fn has_place<S: AsRef<str>>(values: &[S]) -> bool {
    let text = |at: usize| values.get(at).map_or("", |value| value.as_ref().trim());
    (0..values.len()).any(|at| whole(text(at)).is_ok() || is_pair(text(at), text(at + 1), false))
}

/// `{name: x, type: socks5, server: 1.2.3.4, port: 1080}`, as YAML has it on one line.
fn flow(inner: &str, number: u32, usual: &Labels) -> Result<Entry, Reason> {
    let mut fields = Fields::default();
    if inner.contains(['{', '[']) {
        return Err(Reason::Extra);
    }
    for pair in inner.split(',') {
        let Some((name, value)) = pair.split_once(':') else { continue };
        let quotes = |c: char| is_blank(c) || matches!(c, '"' | '\'');
        fields.set(name.trim_matches(quotes), value.trim_matches(quotes));
    }
    fields.end(number, usual)
}

/// An address in one word, and what is noted behind its port, as in "1.2.3.4:80:US".
pub(super) fn whole(word: &str) -> Result<(Address, Option<&str>), AddressError> {
    let error = match Address::parse_line(word) {
        Ok(address) => return Ok((address, None)),
        Err(error) => error,
    };
    let body = word.split_once("://").map_or(word, |(_, rest)| rest);
    // Two colons, so that the third part is no login.
    if let Some((head, tail)) = word.rsplit_once(':')
        && body.bytes().filter(|b| *b == b':').count() == 2
        && !body.contains(['@', '['])
        && let Ok(address) = Address::parse_line(head)
        && address.port.is_some()
        && address.host.contains('.')
    {
        return Ok((address, Some(tail)));
    }
    Err(error)
}

/// Whether two words are a host and its port.
pub(super) fn is_pair(host: &str, port: &str, labelled: bool) -> bool {
    parse_port(port).is_ok()
        && parse_host(bare(host)).is_ok_and(|name| labelled || is_literal(&name) || name.contains('.'))
}

/// Whether an address is one beyond doubt: "user:1234" reads as one too.
pub(super) fn is_clear(address: &Address) -> bool {
    address.host.contains(['.', ':'])
}

/// An address on the line, and what follows it.
struct Group<'t> {
    fields: Fields,
    /// Words that are none of the usual notes, and where they stand behind the address.
    unknown: SmallVec<[(usize, Word<'t>); 2]>,
    words: usize,
    noted: bool,
    in_one_word: bool,
    has_port: bool,
    has_scheme: bool,
    has_at: bool,
    is_literal: bool,
    /// The label that was read last, if nothing came behind it.
    last_label: Option<Label>,
}

struct Reader<'l> {
    number: u32,
    usual: &'l Labels,
    strictness: Strictness,
}

impl<'l> Reader<'l> {
    fn new(number: u32, usual: &'l Labels, strictness: Strictness) -> Self {
        Self { number, usual, strictness }
    }

    fn read(&self, words: &[Word<'_>], first: &str) -> Found {
        let mut groups: SmallVec<[Group<'_>; 1]> = SmallVec::new();
        let mut lead = Fields::default();
        let mut odd = false;
        let mut remark = false;
        let mut at = 0;
        while at < words.len() {
            let word = words[at];
            at += 1;
            let text = clean(word.text);
            if text.is_empty() {
                continue;
            }
            if is_comment(text) && !groups.is_empty() {
                break;
            }
            if is_remark(word.text) {
                remark = !groups.is_empty();
                if matches!(word.text, "-" | "--" | "–" | "—" | "->" | "=>" | "→" | "*" | ":") {
                    continue;
                }
            }
            let label = Label::parse(text.trim_matches(['[', ']', '(', ')', ':', '<', '>']));
            if let Some(label) = label {
                match groups.last_mut() {
                    Some(group) => {
                        group.fields.label(label);
                        group.words += 1;
                        group.last_label = Some(label);
                    }
                    None => lead.label(label),
                }
                continue;
            }
            let next = words.get(at).map_or("", |word| clean(word.text));
            let labelled = groups.is_empty() && !lead.labels().is_empty();
            // Behind an address a name and a number are a login rather than another proxy.
            let another = groups.is_empty() || is_exit(text);
            if another && is_pair(text, next, labelled) && Address::parse_line(text).is_err() {
                at += 1;
                if let (Ok(host), Ok(port)) = (parse_host(bare(text)), parse_port(next)) {
                    let address = Address { protocol: Protocol::Http, host, port: Some(port), credentials: None };
                    begin(&mut groups, &lead, address, text, false);
                }
                continue;
            }
            if let Ok((address, tail)) = whole(text)
                && (groups.is_empty() || text.contains("://") || is_clear(&address))
            {
                begin(&mut groups, &lead, address, text, true);
                if let (Some(tail), Some(group)) = (tail, groups.last_mut()) {
                    // "IP:PORT:anything" is documented; what it is, is a note.
                    match Label::parse(tail) {
                        Some(label) => group.fields.label(label),
                        None => drop(note::take(&mut group.fields.details, tail)),
                    }
                }
                continue;
            }
            match groups.last_mut() {
                None => odd |= !is_in_front(text, &mut lead),
                Some(group) => {
                    group.last_label = None;
                    let place = group.words;
                    group.words += 1;
                    if is_note(&mut group.fields.details, text) || is_exit(text) {
                        group.noted = true;
                    } else if !remark {
                        group.unknown.push((place, Word { text, ..word }));
                    }
                }
            }
        }
        if groups.is_empty() {
            return smallvec![Err(no_address(first, words.len()))];
        }
        if odd {
            return smallvec![Err(Reason::Extra)];
        }
        if groups.len() > 1 && !are_alike(&groups) {
            return smallvec![Err(Reason::Address(AddressError::Ambiguous))];
        }
        groups.into_iter().map(|group| self.end(group)).collect()
    }

    fn end(&self, mut group: Group<'_>) -> Result<Entry, Reason> {
        let login = match self.strictness {
            Strictness::Strict => login_of(&group)?,
            Strictness::Page if group.noted || group.words > 2 => None,
            Strictness::Page => login_of(&group).unwrap_or_default(),
        };
        if let Some((user, password)) = login {
            group.fields.log_in(user, password);
        }
        group.fields.end(self.number, self.usual)
    }
}

fn begin<'t>(groups: &mut SmallVec<[Group<'t>; 1]>, lead: &Fields, address: Address, text: &str, in_one_word: bool) {
    let mut fields = lead.clone();
    if let Some(before) = groups.last_mut()
        && let Some(label) = before.last_label.take()
        && !lead.labels().is_empty()
    {
        // Labels stand in front here: "http 1.2.3.4:80 socks5 1.2.3.5:1080".
        before.fields.unlabel(label, lead);
        fields.relabel(label);
    }
    let has_scheme = text.contains("://");
    let (has_at, is_literal) = (text.contains('@'), is_literal(&address.host));
    let has_port = address.port.is_some();
    fields.set_address(address, text);
    groups.push(Group {
        fields,
        unknown: SmallVec::new(),
        words: 0,
        noted: false,
        in_one_word,
        has_port,
        has_scheme,
        has_at,
        is_literal,
        last_label: None,
    });
}

/// Whether a word in front of an address is one of those that lists have there: a number, a label with a colon, a note.
fn is_in_front(text: &str, lead: &mut Fields) -> bool {
    let number = text.len() <= 7 && text.trim_end_matches([')', '.', ':']).bytes().all(|b| b.is_ascii_digit());
    let titled = text.len() <= 24
        && text.ends_with([':', ')', '='])
        && text.chars().filter(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-')).count() == 1;
    number || titled || note::take(&mut lead.details, text) || matches!(&*text.to_ascii_lowercase(), "ip" | "host")
}

/// The address that sites see of a proxy, which checkers write behind its own.
fn is_exit(text: &str) -> bool {
    parse_host(bare(text)).is_ok_and(|host| is_literal(&host))
}

/// Whether a word is a usual note, or a phrase of such words.
fn is_note(details: &mut Details, text: &str) -> bool {
    note::take(details, text)
        || text.contains(is_blank)
            && text.split(is_blank).filter(|word| !word.is_empty()).all(|word| note::take(details, word))
}

/// The login among the words behind an address.
fn login_of<'t>(group: &Group<'t>) -> Result<Option<(&'t str, &'t str)>, Reason> {
    if !group.has_port && !group.unknown.is_empty() {
        // "http://a b:80": what follows may be the rest of a name.
        return Err(Reason::Extra);
    }
    let prose = |text: &str| {
        text.chars().all(|c| c.is_alphabetic() || c == '-' || c == char::REPLACEMENT_CHARACTER || is_blank(c))
    };
    let capital = |text: &str| text.starts_with(char::is_uppercase) && prose(text);
    let numeric = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match group.unknown.as_slice() {
        [] => Ok(None),
        [(_, only)] => {
            if !group.fields.has_login()
                && let Some((user, password)) = only.text.split_once(':')
                && !user.is_empty()
                && !only.text.contains(is_blank)
            {
                return Ok(Some((user, password)));
            }
            // A word of a remark has no sign in front of it, or a sign with blanks around.
            let remark = group.in_one_word && !only.column && prose(only.text);
            let phrase = only.text.contains(is_blank) && prose(only.text);
            if remark || phrase { Ok(None) } else { Err(Reason::Extra) }
        }
        [(at, user), (next, password)] => {
            let (one, two) = (user.text, password.text);
            let beside = *next == at + 1;
            let phrase = super::countries::is_country(&format!("{one} {two}"));
            if phrase && !user.column && !password.column {
                return Ok(None);
            }
            let blanks = one.contains(is_blank) || two.contains(is_blank);
            let words = capital(one) && capital(two);
            if group.fields.has_login() || !beside || blanks || words || (numeric(one) && numeric(two)) {
                return Err(Reason::Extra);
            }
            Ok(Some((one, two)))
        }
        several => {
            let phrase: Vec<&str> = several.iter().map(|(_, word)| word.text).collect();
            if super::countries::is_country(&phrase.join(" ")) { Ok(None) } else { Err(Reason::Extra) }
        }
    }
}

/// Whether several addresses on one line are of one kind, so that none of them is a login that looks like an address.
fn are_alike(groups: &[Group<'_>]) -> bool {
    let mut plain = groups.iter().filter(|group| !group.has_scheme);
    let Some(first) = plain.next() else { return true };
    let all_plain = groups.iter().all(|group| !group.has_scheme);
    let clear = first.is_literal || all_plain && first.in_one_word && first.fields.is_dotted();
    clear
        && plain.all(|group| {
            group.is_literal == first.is_literal
                && group.has_at == first.has_at
                // "gate.example:80 bob.smith:1234" may be a login.
                && (first.is_literal || groups.len() > 2 || group.fields.domain() == first.fields.domain())
        })
}

/// Why there is no address in some words.
fn no_address(first: &str, words: usize) -> Reason {
    let first = clean(first);
    if words == 0 || first.is_empty() {
        return Reason::NoAddress;
    }
    if Label::parse(first) == Some(Label::Foreign) {
        return Reason::Protocol;
    }
    match Address::parse_line(first) {
        Ok(_) => Reason::NoAddress,
        Err(AddressError::BadScheme) => Reason::Protocol,
        Err(error) => Reason::Address(error),
    }
}
