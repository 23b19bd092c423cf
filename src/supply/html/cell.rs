//! What of a page's text is not shown: decoys between the digits of a port.

use ahash::AHashSet;
use html5gum::StartTag;

use super::attribute;

/// Classes that a page may hide; beyond that it is not a list's trick.
const MOST_CLASSES: usize = 4096;

/// Knows whether the text here is shown.
#[derive(Debug, Default)]
pub(super) struct Hiding {
    classes: AHashSet<Box<str>>,
    /// The hidden element that is open, and how many of its name are open within.
    inside: Option<(Vec<u8>, usize)>,
}

impl Hiding {
    /// Takes from a style sheet the classes that are not shown.
    pub(super) fn learn(&mut self, sheet: &str) {
        for rule in sheet.split('}') {
            let Some((selectors, body)) = rule.split_once('{') else { continue };
            if !hides(body) {
                continue;
            }
            for selector in selectors.split(',') {
                if let Some(class) = selector.trim().strip_prefix('.')
                    && class.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                    && self.classes.len() < MOST_CLASSES
                {
                    self.classes.insert(class.into());
                }
            }
        }
    }

    pub(super) fn open(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if let Some((hidden, depth)) = &mut self.inside {
            if hidden == name {
                *depth += 1;
            }
            return;
        }
        // Whole rows and cells that are hidden wait for a script to show them.
        if !matches!(name, b"span" | b"div" | b"i" | b"b" | b"em" | b"font" | b"small" | b"p" | b"a" | b"s") {
            return;
        }
        let by_style = attribute(tag, b"style").is_some_and(|style| hides(&style));
        let by_class = !self.classes.is_empty()
            && attribute(tag, b"class")
                .is_some_and(|names| names.split_ascii_whitespace().any(|name| self.classes.contains(name)));
        if by_style || by_class {
            self.inside = Some((name.to_vec(), 1));
        }
    }

    pub(super) fn close(&mut self, name: &[u8]) {
        if let Some((hidden, depth)) = &mut self.inside {
            // A cell ends whatever was left open in it.
            if matches!(name, b"td" | b"tr" | b"table") {
                *depth = 0;
            } else if hidden == name {
                *depth -= 1;
            }
            if *depth == 0 {
                self.inside = None;
            }
        }
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.inside.is_some()
    }
}

fn hides(style: &str) -> bool {
    let plain: String = style.chars().filter(|c| !c.is_whitespace()).take(512).collect::<String>().to_ascii_lowercase();
    plain.contains("display:none") || plain.contains("visibility:hidden")
}
