//! Tables as text: CSV, TSV and their relatives. The `csv-core` crate reads the rows; it is fed line by line, so that a
//! unclosed quotation mark costs the lines that it could explain and not the rest of the file.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::column::Column;
use super::fields::Fields;
use super::line::{self, Strictness};
use super::note;
use super::options::Options;
use super::parsed::{Parsed, Reason};

/// A value with line breaks in it may go over so many lines.
const MOST_LINES: usize = 16;
const MOST_COLUMNS: usize = 256;

/// Reads a table whose rows have `delimiter` between values.
pub(super) fn parse(data: &[u8], delimiter: u8, options: &Options, parsed: &mut Parsed) {
    let mut rows = Rows::new(delimiter);
    let columns: Vec<_> = options.columns.iter().map(|name| Column::named(name)).collect();
    let mut table = Table { columns: (!columns.is_empty()).then_some(columns), begun: false, options };
    let mut rest = data;
    let mut number = 0_u32;
    while !rest.is_empty() {
        if parsed.is_exhausted() {
            parsed.cut_exhausted();
            return;
        }
        let (row, lines, after) = next_row(rest);
        rest = after;
        let line = number + 1;
        number += lines as u32;
        parsed.lines += lines;
        // The further lines of a row count as blank, so that the sum stays that of all lines.
        parsed.blank += lines - 1;
        if row.len() > options.limits.line {
            let head = String::from_utf8_lossy(&row[..row.len().min(256)]);
            parsed.reject(line, Reason::TooLong { limit: options.limits.line }, &head);
            continue;
        }
        let trimmed = row.trim_ascii();
        let rule = || trimmed.len() > 2 && trimmed.iter().all(|b| b"|-:=+ \t".contains(b));
        if trimmed.is_empty() || trimmed.starts_with(b"#") || trimmed.starts_with(b"//") || rule() {
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

struct Table<'o> {
    /// What the columns are; without names each row is read by itself.
    columns: Option<Vec<Option<Column>>>,
    begun: bool,
    options: &'o Options,
}

impl Table<'_> {
    fn row(&mut self, values: &[String], line: u32, raw: &[u8], parsed: &mut Parsed) {
        // Tables may stand one behind the other.
        if let Some(named) = names(values, self.options) {
            if self.options.columns.is_empty() {
                self.columns = Some(named);
            }
            self.begun = true;
            parsed.blank += 1;
            return;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        let whole = String::from_utf8_lossy(raw);
        let usual = self.options.labels();
        let Some(columns) = &self.columns else {
            if first && self.options.format.is_some() && !line::has_place(values) && is_header(values) {
                parsed.blank += 1;
                return;
            }
            parsed.line(line::columns(values, line, &usual, Strictness::Strict), line, &whole);
            return;
        };
        let mut fields = Fields::default();
        let mut extra = false;
        for (at, value) in values.iter().enumerate() {
            match columns.get(at) {
                Some(Some(column)) => fields.put(*column, value),
                Some(None) => {}
                None => extra |= !value.is_empty() && !note::take(&mut fields.details, value),
            }
        }
        let ended = if extra { Err(Reason::Extra) } else { fields.end(line, &usual) };
        match ended {
            Ok(entry) => parsed.entry(entry, line, &whole),
            // A row that is not of the table may still be an entry as text would write it.
            Err(reason) if reason != Reason::Login && reason != Reason::Protocol => {
                let found = line::columns(values, line, &usual, Strictness::Strict);
                if found.iter().any(Result::is_ok) {
                    parsed.line(found, line, &whole);
                } else {
                    parsed.reject(line, reason, &whole);
                }
            }
            Err(reason) => parsed.reject(line, reason, &whole),
        }
    }
}

/// Whether all values are names that might be those of columns.
fn is_header(values: &[String]) -> bool {
    values.iter().all(|value| !value.is_empty() && !value.contains(|c: char| c.is_ascii_digit() || c == '@'))
}

/// What the columns are under a row of names; `None` if none of them is that of a place, and so it is no such row.
pub(super) fn names<S: AsRef<str>>(values: &[S], options: &Options) -> Option<Vec<Option<Column>>> {
    let said: Vec<Option<Column>> = values.iter().map(|value| renamed(value.as_ref(), options)).collect();
    let usual = |value: &str| {
        // Where the user says which column it is, no other is.
        let found = Column::named(value)?;
        let place = |column: Column| matches!(column, Column::Place | Column::Link);
        let taken = said.iter().flatten().any(|one| *one == found || (place(*one) && place(found)));
        (!taken).then_some(found)
    };
    let columns: Vec<Option<Column>> =
        values.iter().zip(&said).map(|(value, said)| said.or_else(|| usual(value.as_ref()))).collect();
    let place = columns.iter().any(|column| matches!(column, Some(Column::Place | Column::Link)));
    place.then_some(columns)
}

/// What the user says a column of that name is. A map may be written in either direction.
fn renamed(name: &str, options: &Options) -> Option<Column> {
    let is = |other: &str| other.trim().eq_ignore_ascii_case(name.trim());
    let forward = options.renames.iter().filter(|(from, _)| is(from)).find_map(|(_, to)| Column::named(to));
    forward.or_else(|| options.renames.iter().filter(|(_, to)| is(to)).find_map(|(from, _)| Column::named(from)))
}

/// The delimiter of the values of a table, if its first lines are of one.
pub(super) fn delimiter(head: &str, options: &Options) -> Option<u8> {
    let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?;
    let of = |delimiter: &u8| {
        let values: Vec<&str> =
            first.split(char::from(*delimiter)).map(|value| value.trim().trim_matches('"')).collect();
        values.len() > 1 && (names(&values, options).is_some() || (first.starts_with('"') && line::has_place(&values)))
    };
    [b',', b'\t', b';', b'|'].into_iter().find(of)
}
