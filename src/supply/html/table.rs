//! Tables, rows and cells as they open and close.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use html5gum::StartTag;

use super::attribute;
use crate::net::address::{parse_host, parse_port};
use crate::supply::column::Column;
use crate::supply::delimited::names;
use crate::supply::fields::Fields;
use crate::supply::line::{self, Strictness};
use crate::supply::options::Options;
use crate::supply::parsed::Parsed;

const DEEPEST: usize = 64;
const MOST_CELLS: usize = 256;
/// Text of a cell that is looked at.
const CELL: usize = 1024;

#[derive(Debug, Default)]
struct Cell {
    text: String,
    /// What attributes say, such as `data-port`.
    said: Vec<(Column, String)>,
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<Cell>,
    said: Vec<(Column, String)>,
    open: bool,
    headers: usize,
}

#[derive(Debug, Default)]
struct Table {
    selected: bool,
    columns: Option<Vec<Option<Column>>>,
    row: Option<Row>,
    /// Whether it is a list of proxies: then every row of it is accounted for.
    is_list: bool,
}

pub(super) struct Tables<'o> {
    options: &'o Options,
    open: Vec<Table>,
    too_deep: usize,
    rows: u32,
}

impl<'o> Tables<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self { options, open: Vec::new(), too_deep: 0, rows: 0 }
    }

    pub(super) fn open(&mut self, selected: bool) {
        if self.open.len() < DEEPEST {
            self.open.push(Table { selected, ..Table::default() });
        } else {
            self.too_deep += 1;
        }
    }

    pub(super) fn close(&mut self, parsed: &mut Parsed) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        self.end_row(parsed);
        self.open.pop();
    }

    pub(super) fn end_all(&mut self, parsed: &mut Parsed) {
        while !self.open.is_empty() {
            self.end_row(parsed);
            self.open.pop();
        }
    }

    pub(super) fn row(&mut self, tag: &StartTag<()>, parsed: &mut Parsed) {
        if self.too_deep > 0 {
            return;
        }
        self.end_row(parsed);
        if self.open.is_empty() {
            // A piece of a page, cut out inside a table.
            self.open(self.options.selector.is_none());
        }
        if let Some(table) = self.open.last_mut() {
            table.row = Some(Row { said: attributes(tag), ..Row::default() });
        }
    }

    pub(super) fn cell(&mut self, tag: &StartTag<()>) {
        if self.too_deep > 0 {
            return;
        }
        let Some(table) = self.open.last_mut() else { return };
        let row = table.row.get_or_insert_default();
        row.headers += usize::from(tag.name.as_slice() == b"th");
        row.open = row.cells.len() < MOST_CELLS;
        if row.open {
            row.cells.push(Cell { text: String::new(), said: attributes(tag) });
        }
    }

    pub(super) fn end_cell(&mut self) {
        if let Some(row) = self.open.last_mut().and_then(|table| table.row.as_mut()).filter(|_| self.too_deep == 0) {
            row.open = false;
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.too_deep > 0 {
            return;
        }
        if let Some(row) = self.open.last_mut().and_then(|table| table.row.as_mut()).filter(|row| row.open)
            && let Some(cell) = row.cells.last_mut()
        {
            let room = CELL.saturating_sub(cell.text.len());
            cell.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    pub(super) fn end_row(&mut self, parsed: &mut Parsed) {
        let Some(table) = self.open.last_mut().filter(|_| self.too_deep == 0) else { return };
        let Some(row) = table.row.take().filter(|_| table.selected) else { return };
        if row.cells.is_empty() {
            return;
        }
        self.rows += 1;
        read_row(table, &row, self.rows, self.options, parsed);
    }
}

fn read_row(table: &mut Table, row: &Row, number: u32, options: &Options, parsed: &mut Parsed) {
    let values: Vec<String> = row.cells.iter().map(|cell| squeezed(&cell.text)).collect();
    if row.said.is_empty()
        && let Some(columns) = names(&values, options)
    {
        if options.columns.is_empty() {
            table.columns = Some(columns);
        }
        table.is_list = true;
        parsed.lines += 1;
        parsed.blank += 1;
        return;
    }
    if table.columns.is_none() && !options.columns.is_empty() {
        table.columns = Some(options.columns.iter().map(|name| Column::named(name)).collect());
    }
    let usual = options.labels();
    let said = !row.said.is_empty() || row.cells.iter().any(|cell| !cell.said.is_empty());
    let shown = || values.join(" ");
    if table.columns.is_none() && !said {
        let joined: Vec<String> = values.iter().map(|value| halves_joined(value)).collect();
        if !line::has_place(&joined) && !table.is_list {
            return;
        }
        let found = line::columns(&joined, number, &usual, Strictness::Page);
        table.is_list |= found.iter().any(Result::is_ok);
        if table.is_list {
            parsed.lines += 1;
            if found.iter().any(Result::is_ok) || !is_bar(row, &values) {
                parsed.line(found, number, &shown());
            } else {
                parsed.blank += 1;
            }
        }
        return;
    }
    let mut fields = Fields::default();
    let columns = table.columns.as_deref().unwrap_or_default();
    for (at, (cell, value)) in row.cells.iter().zip(&values).enumerate() {
        match columns.get(at).copied().flatten() {
            Some(column @ (Column::Place | Column::Link)) => fields.put(column, &halves_joined(value)),
            Some(column) => fields.put(column, value),
            None => {}
        }
        for (column, value) in &cell.said {
            fields.put(*column, value);
        }
    }
    for (column, value) in &row.said {
        fields.put(*column, value);
    }
    if !fields.is_entry() && !table.is_list {
        return;
    }
    match fields.end(number, &usual) {
        Ok(entry) => {
            table.is_list = true;
            parsed.lines += 1;
            parsed.entry(entry, number, &shown());
        }
        Err(reason) if table.is_list => {
            parsed.lines += 1;
            if is_bar(row, &values) {
                parsed.blank += 1;
            } else {
                parsed.reject(number, reason, &shown());
            }
        }
        Err(_) => {}
    }
}

/// A bar of advertisement or of page numbers across the table, which is no entry.
fn is_bar(row: &Row, values: &[String]) -> bool {
    row.cells.len() == 1 || row.headers == row.cells.len() || values.iter().all(|value| value.is_empty())
}

/// A place whose two halves are in elements of their own, with a break between.
fn halves_joined(value: &str) -> String {
    value.replace(" :", ":").replace(": ", ":")
}

fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c == '\u{a0}').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// `data-ip`, `data-port` and their like, plain or in base 64.
fn attributes(tag: &StartTag<()>) -> Vec<(Column, String)> {
    let mut said = Vec::new();
    for (name, column) in [
        (b"data-ip".as_slice(), Column::Place),
        (b"data-host", Column::Place),
        (b"data-proxy", Column::Place),
        (b"data-port", Column::Port),
    ] {
        let Some(value) = attribute(tag, name) else { continue };
        let fits = |text: &str| match column {
            Column::Port => parse_port(text).is_ok(),
            _ => parse_host(text).is_ok_and(|_| text.contains('.')) || text.contains(':'),
        };
        let plain = value.trim();
        if fits(plain) {
            said.push((column, plain.to_owned()));
        } else if let Some(decoded) = STANDARD.decode(plain).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            && fits(decoded.trim())
        {
            said.push((column, decoded.trim().to_owned()));
        }
    }
    said
}
