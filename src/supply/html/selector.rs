//! Which tables of a page are meant: the small part of CSS that pages of lists need.

use html5gum::StartTag;

use super::attribute;

/// An open element, as far as a selector asks.
#[derive(Debug)]
pub(super) struct Element {
    name: Box<[u8]>,
    id: Option<Box<str>>,
    classes: Vec<Box<str>>,
}

impl Element {
    pub(super) fn of(tag: &StartTag<()>) -> Self {
        let classes = attribute(tag, b"class").unwrap_or_default();
        Self {
            name: tag.name.to_vec().into(),
            id: attribute(tag, b"id").map(|id| id.as_ref().into()),
            classes: classes.split_ascii_whitespace().take(32).map(Box::from).collect(),
        }
    }

    pub(super) fn is(&self, name: &[u8]) -> bool {
        *self.name == *name
    }
}

#[derive(Debug, Default)]
struct Compound {
    name: Option<Box<str>>,
    id: Option<Box<str>>,
    classes: Vec<Box<str>>,
    /// Whether the next one outwards must be the parent.
    child: bool,
}

/// Selectors with commas between them: of tags, `#identifiers` and `.classes`, one inside another.
#[derive(Debug)]
pub(super) struct Selector(Vec<Vec<Compound>>);

impl Selector {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > 1024 {
            return None;
        }
        let groups: Option<Vec<_>> = text.split(',').map(group).collect();
        groups.map(Self)
    }

    /// Whether the innermost of these elements is meant.
    pub(super) fn matches(&self, path: &[Element]) -> bool {
        self.0.iter().any(|group| matches(group, path))
    }
}

fn group(text: &str) -> Option<Vec<Compound>> {
    let spaced = text.replace('>', " > ");
    let mut found: Vec<Compound> = Vec::new();
    let mut child = false;
    for word in spaced.split_ascii_whitespace() {
        if word == ">" {
            if child || found.is_empty() {
                return None;
            }
            child = true;
            continue;
        }
        found.push(Compound { child, ..compound(word)? });
        child = false;
    }
    (!found.is_empty() && !child).then_some(found)
}

fn compound(word: &str) -> Option<Compound> {
    let mut made = Compound::default();
    let mut rest = word;
    while !rest.is_empty() {
        let kind = rest.as_bytes()[0];
        let body = if matches!(kind, b'#' | b'.') { &rest[1..] } else { rest };
        let end = body.find(['#', '.']).unwrap_or(body.len());
        let name = &body[..end];
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !(name.chars().all(plain) || (name == "*" && kind == b'*')) {
            return None;
        }
        match kind {
            b'#' => made.id = Some(name.into()),
            b'.' => made.classes.push(name.into()),
            b'*' => {}
            _ => made.name = Some(name.to_ascii_lowercase().into()),
        }
        rest = &body[end..];
    }
    Some(made)
}

fn fits(compound: &Compound, element: &Element) -> bool {
    compound.name.as_ref().is_none_or(|name| element.is(name.as_bytes()))
        && compound.id.as_ref().is_none_or(|id| element.id.as_ref() == Some(id))
        && compound.classes.iter().all(|class| element.classes.contains(class))
}

fn matches(group: &[Compound], path: &[Element]) -> bool {
    let (Some((last, outer)), Some((element, around))) = (group.split_last(), path.split_last()) else { return false };
    if !fits(last, element) {
        return false;
    }
    let mut child = last.child;
    let mut at = around.len();
    // The nearest that fits is taken: with children in the selector a farther one might have been right, and is given up.
    for compound in outer.iter().rev() {
        let found = around[..at].iter().rposition(|element| fits(compound, element));
        match found {
            Some(place) if !child || place + 1 == at => at = place,
            _ => return false,
        }
        child = compound.child;
    }
    true
}
