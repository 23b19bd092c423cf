//! Tables as text: CSV, TSV and their relatives. The `csv-core` crate reads the rows; it is fed line by line, so that a
//! quotation mark that nobody closed costs the lines that it could explain and not the rest of the file.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::fields::{Column, Fields};
use super::options::Options;
use super::parsed::{Parsed, Reason};
use super::text;
use crate::proxy::address::{Address, Protocol, parse_host, parse_port};

/// A value with line breaks in it may go over so many lines.
const MOST_LINES: usize = 16;
const MOST_COLUMNS: usize = 256;

/// Reads a table whose rows have `delimiter` between values.
pub(super) fn parse(data: &[u8], delimiter: u8, options: &Options, parsed: &mut Parsed) {
    let mut rows = Rows::new(delimiter);
    let mut table = Table { columns: Columns::Unknown, options };
    if !options.columns.is_empty() {
        table.columns = Columns::Named(options.columns.iter().map(|name| Column::named(name)).collect());
    }
    let mut rest = data;
    let mut number = 0_u32;
    while !rest.is_empty() {
        let (row, lines, after) = next_row(rest);
        rest = after;
        let line = number + 1;
        number += lines as u32;
        parsed.lines += lines;
        // Whoever counts lines finds the further ones of a row among the blank.
        parsed.blank += lines - 1;
        if row.len() > options.limits.line {
            let head = String::from_utf8_lossy(&row[..row.len().min(256)]);
            parsed.reject(line, Reason::TooLong { limit: options.limits.line }, &head);
            continue;
        }
        let trimmed = row.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") || trimmed.starts_with(b"//") {
            parsed.blank += 1;
            continue;
        }
        let values = rows.read(row);
        table.row(&values, line, row, parsed);
    }
}

/// The next row, how many lines it has, and what follows.
fn next_row(data: &[u8]) -> (&[u8], usize, &[u8]) {
    let mut end = 0;
    let mut first = None;
    let mut quotes = 0;
    for lines in 1..=MOST_LINES {
        let stop = memchr::memchr2(b'\n', b'\r', &data[end..]).map_or(data.len(), |at| end + at);
        quotes += memchr::memchr_iter(b'"', &data[end..stop]).count();
        let mut next = (stop + 1).min(data.len());
        if data.get(stop) == Some(&b'\r') && data.get(next) == Some(&b'\n') {
            next += 1;
        }
        if quotes % 2 == 0 {
            return (&data[..stop], lines, &data[next..]);
        }
        first.get_or_insert((stop, next));
        end = next;
        if end == data.len() {
            break;
        }
    }
    // Never closed, so it opened nothing.
    let (stop, next) = first.unwrap_or((data.len(), data.len()));
    (&data[..stop], 1, &data[next..])
}

struct Rows {
    quoted: Reader,
    plain: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    fn new(delimiter: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter);
        Self {
            quoted: builder.build(),
            plain: builder.quoting(false).build(),
            output: Vec::new(),
            ends: vec![0; MOST_COLUMNS],
        }
    }

    fn read(&mut self, row: &[u8]) -> Vec<String> {
        let open = memchr::memchr_iter(b'"', row).count() % 2 == 1;
        let reader = if open { &mut self.plain } else { &mut self.quoted };
        reader.reset();
        self.output.resize(row.len() + 1, 0);
        let (result, read, mut written, mut ends) = reader.read_record(row, &mut self.output, &mut self.ends);
        if matches!(result, ReadRecordResult::InputEmpty) {
            let (_, _, more, last) =
                reader.read_record(&row[read..], &mut self.output[written..], &mut self.ends[ends..]);
            written += more;
            ends += last;
        }
        let mut start = 0;
        let mut values = Vec::with_capacity(ends);
        for end in &self.ends[..ends] {
            let value = &self.output[start..(*end).min(written)];
            values.push(String::from_utf8_lossy(value).trim().to_owned());
            start = *end;
        }
        values
    }
}

enum Columns {
    Unknown,
    Named(Vec<Option<Column>>),
}

struct Table<'o> {
    columns: Columns,
    options: &'o Options,
}

impl Table<'_> {
    fn renamed(&self, values: &[String]) -> Option<Vec<Option<Column>>> {
        names(values, self.options)
    }

    fn row(&mut self, values: &[String], line: u32, raw: &[u8], parsed: &mut Parsed) {
        if matches!(self.columns, Columns::Unknown) {
            if let Some(named) = self.renamed(values) {
                self.columns = Columns::Named(named);
                parsed.blank += 1;
                return;
            }
            self.columns = Columns::Named(guess(values).unwrap_or_default());
        } else if self.renamed(values).is_some() {
            // Tables put one behind the other.
            parsed.blank += 1;
            return;
        }
        let Columns::Named(columns) = &self.columns else { return };
        let mut fields = Fields::default();
        for (column, value) in columns.iter().zip(values) {
            if let Some(column) = column {
                fields.put(*column, value);
            }
        }
        match fields.finish(line, self.options.protocol) {
            Ok(records) => parsed.take_all(records),
            Err(reason) => {
                // A row without names may still be an entry as text would write it.
                let whole = String::from_utf8_lossy(raw);
                match text::read(whole.trim(), line, self.options.protocol) {
                    Ok(record) => parsed.take(record),
                    Err(_) => parsed.reject(line, reason, &whole),
                }
            }
        }
    }
}

/// What the columns are under a row of names; `None` if none of them is that of a place, and so it is no such row.
pub(super) fn names<S: AsRef<str>>(values: &[S], options: &Options) -> Option<Vec<Option<Column>>> {
    let columns: Vec<Option<Column>> = values.iter().map(|value| column(value.as_ref(), options)).collect();
    columns.contains(&Some(Column::Place)).then_some(columns)
}

/// What a column of that name says; the user's word goes first.
fn column(name: &str, options: &Options) -> Option<Column> {
    let renamed = options.renames.iter().find(|(from, _)| from.trim().eq_ignore_ascii_case(name.trim()));
    Column::named(renamed.map_or(name, |(_, to)| to))
}

/// What the columns of a table without names are, from one of its rows.
pub(super) fn guess<S: AsRef<str>>(values: &[S]) -> Option<Vec<Option<Column>>> {
    let text = |at: usize| values.get(at).map_or("", |value| value.as_ref().trim());
    let is_place = |at: &usize| {
        let value = text(*at);
        Address::parse_line(value).is_ok()
            || (value.contains(['.', ':']) && parse_host(value).is_ok() && parse_port(text(at + 1)).is_ok())
    };
    let place = (0..values.len()).find(is_place)?;
    let whole = Address::parse_line(text(place)).is_ok();
    let mut columns: Vec<Option<Column>> = (0..values.len())
        .map(|at| match text(at) {
            value if Protocol::parse(value).is_some() => Some(Column::Protocol),
            value if value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase()) => Some(Column::CountryCode),
            value if value.len() > 4 && super::record::Anonymity::parse(value).is_some() => Some(Column::Anonymity),
            value if super::note::milliseconds(value).is_some() => Some(Column::Latency),
            _ => None,
        })
        .collect();
    columns[place] = Some(Column::Place);
    if !whole && let Some(port) = columns.get_mut(place + 1) {
        *port = Some(Column::Port);
    }
    Some(columns)
}

/// What stands between the values of a table, if its first lines are of one.
pub(super) fn delimiter(head: &str, options: &Options) -> Option<u8> {
    let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?;
    let of = |delimiter: &u8| {
        let values: Vec<&str> =
            first.split(char::from(*delimiter)).map(|value| value.trim().trim_matches('"')).collect();
        values.len() > 1 && (names(&values, options).is_some() || (first.starts_with('"') && guess(&values).is_some()))
    };
    [b',', b'\t', b';', b'|'].into_iter().find(of)
}
