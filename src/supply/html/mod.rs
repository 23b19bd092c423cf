//! Lists on web pages: rows of tables, and where there are none, lines of text. The `html5gum` crate takes the page apart;
//! no tree is built, so that no page, however wrongly nested, costs more than linear time.

mod cell;
mod script;
mod selector;
mod table;

use html5gum::{StartTag, Token, Tokenizer};

use super::line;
use super::options::Options;
use super::parsed::Parsed;
use super::read::ReadError;
use cell::Hiding;
use selector::{Element, Selector};
use table::Tables;

/// Elements that end a line of text.
const BLOCKS: [&[u8]; 14] =
    [b"p", b"div", b"br", b"li", b"ul", b"ol", b"tr", b"h1", b"h2", b"h3", b"pre", b"textarea", b"section", b"option"];

/// Reads a page.
pub(super) fn parse(page: &str, options: &Options, parsed: &mut Parsed) -> Result<(), ReadError> {
    let selector = match options.selector.as_deref() {
        None | Some("table" | "") => None,
        Some(text) => Some(Selector::parse(text).ok_or_else(|| ReadError::Selector(text.into()))?),
    };
    let mut reader = Reader {
        tables: Tables::new(options),
        selector,
        path: Vec::new(),
        selected: None,
        hiding: Hiding::default(),
        script: None,
        style: None,
        prose: String::new(),
        verbatim: String::new(),
        in_verbatim: 0,
    };
    for token in Tokenizer::new(page) {
        if parsed.is_exhausted() {
            parsed.cut_exhausted();
            return Ok(());
        }
        match token {
            Ok(Token::StartTag(tag)) => reader.open(&tag, parsed),
            Ok(Token::EndTag(tag)) => reader.close(&tag.name, parsed),
            Ok(Token::String(text)) => reader.text(&text),
            Ok(_) => {}
            Err(never) => match never {},
        }
    }
    reader.tables.end_all(parsed);
    if parsed.lines == 0 && options.selector.is_none() {
        reader.lines_of_text(options, parsed);
    }
    Ok(())
}

struct Reader<'o> {
    tables: Tables<'o>,
    selector: Option<Selector>,
    // What is open around here, for the selector alone.
    path: Vec<Element>,
    /// How deep the element is open that the selector means.
    selected: Option<usize>,
    hiding: Hiding,
    script: Option<String>,
    style: Option<String>,
    prose: String,
    verbatim: String,
    in_verbatim: usize,
}

/// Elements open within each other; browsers stop at the same depth.
const DEEPEST: usize = 512;
/// What hides a port is a line of script; libraries are passed over.
const LONGEST_SCRIPT: usize = 4096;

fn attribute<'t>(tag: &'t StartTag<()>, name: &[u8]) -> Option<std::borrow::Cow<'t, str>> {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value))
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"br" | b"img" | b"input" | b"hr" | b"meta" | b"link" | b"col" | b"wbr" | b"source" | b"area" | b"base"
    )
}

impl Reader<'_> {
    fn open(&mut self, tag: &StartTag<()>, parsed: &mut Parsed) {
        let name: &[u8] = &tag.name;
        if let Some(selector) = &self.selector
            && !is_void(name)
            && !tag.self_closing
            && self.path.len() < DEEPEST
        {
            self.path.push(Element::of(tag));
            if self.selected.is_none() && selector.matches(&self.path) {
                self.selected = Some(self.path.len());
            }
        }
        match name {
            b"script" => self.script = Some(String::new()),
            b"style" => self.style = Some(String::new()),
            b"table" => self.tables.open(self.selector.is_none() || self.selected.is_some()),
            b"tr" => self.tables.row(tag, parsed),
            b"td" | b"th" => self.tables.cell(tag),
            b"pre" | b"textarea" => self.in_verbatim += 1,
            _ => {}
        }
        if BLOCKS.contains(&name) {
            self.break_line();
        }
        if !is_void(name) && !tag.self_closing {
            self.hiding.open(tag);
        }
    }

    fn close(&mut self, name: &[u8], parsed: &mut Parsed) {
        if self.selector.is_some()
            && let Some(at) = self.path.iter().rev().take(32).position(|element| element.is(name))
        {
            self.path.truncate(self.path.len() - at - 1);
            self.selected = self.selected.filter(|depth| *depth <= self.path.len());
        }
        match name {
            b"script" => {
                if let Some(written) = self.script.take().and_then(|text| script::written(&text)) {
                    self.text(written.as_bytes());
                }
            }
            b"style" => {
                if let Some(text) = self.style.take() {
                    self.hiding.learn(&text);
                }
            }
            b"table" => self.tables.close(parsed),
            b"tr" => self.tables.end_row(parsed),
            b"td" | b"th" => self.tables.end_cell(),
            b"pre" | b"textarea" => self.in_verbatim = self.in_verbatim.saturating_sub(1),
            _ => {}
        }
        if BLOCKS.contains(&name) {
            self.break_line();
        }
        self.hiding.close(name);
    }

    fn text(&mut self, text: &[u8]) {
        if let Some(inside) = self.script.as_mut().or(self.style.as_mut()) {
            if inside.len() + text.len() <= LONGEST_SCRIPT {
                inside.push_str(&String::from_utf8_lossy(text));
            }
            return;
        }
        if self.hiding.is_hidden() {
            return;
        }
        let text = String::from_utf8_lossy(text);
        self.tables.text(&text);
        if self.in_verbatim > 0 {
            self.verbatim.push_str(&text);
        }
        self.prose.push_str(&text);
    }

    fn break_line(&mut self) {
        self.tables.text(" ");
        self.prose.push('\n');
        if self.in_verbatim > 0 {
            self.verbatim.push('\n');
        }
    }

    /// A page without tables: preformatted text is a list, in all other text the lines that are addresses are.
    fn lines_of_text(&self, options: &Options, parsed: &mut Parsed) {
        let listed = !self.verbatim.trim().is_empty();
        let usual = options.labels();
        let body = if listed { &self.verbatim } else { &self.prose };
        for (number, line) in body.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            let number = number as u32 + 1;
            if line.len() > options.limits.line {
                continue;
            }
            if parsed.is_exhausted() {
                parsed.cut_exhausted();
                return;
            }
            let found = line::read(line, number, &usual);
            if listed && !line.starts_with('#') || found.iter().any(Result::is_ok) {
                parsed.lines += 1;
                parsed.line(found, number, line);
            }
        }
    }
}
