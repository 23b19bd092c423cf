//! How long an answer asks to be left alone: `Retry-After` (RFC 9110, 10.2.3), a number of seconds or a date.
//!
//! Dates are read with the leniency that real sites need: the three forms of RFC 9110, 5.6.7, without a weekday, with a day of
//! one digit, with an offset in place of `GMT`.

/// Most seconds that an answer is taken at its word.
pub const LONGEST: f64 = 86_400.0;

/// Digits that are computed of a number.
const DIGITS: usize = 12;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Seconds from 0 to [`LONGEST`]; `None` if the value has no form that can be read. `date` is the answer's own `Date`: with
/// it both moments are by the site's clock, which may differ from ours; else `now` counts, in seconds since the epoch.
#[must_use]
pub fn seconds(value: &str, date: Option<&str>, now: impl FnOnce() -> f64) -> Option<f64> {
    let value = value.trim();
    if let Some(seconds) = number(value) {
        return Some(seconds.min(LONGEST));
    }
    let until = moment(value)? as f64;
    let from = date.and_then(moment).map_or_else(now, |date| date as f64);
    Some((until - from).clamp(0.0, LONGEST))
}

/// A number of seconds. A fraction is no form of the standard, but sites send it.
fn number(text: &str) -> Option<f64> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        None if is_digits(text) => Some(if text.len() > DIGITS { LONGEST } else { text.parse().ok()? }),
        Some((whole, part)) if [whole, part].iter().all(|part| is_digits(part) && part.len() <= DIGITS) => {
            text.parse().ok()
        }
        _ => None,
    }
}

/// Seconds since the epoch of a date in any of its forms; without a zone it is UTC.
fn moment(text: &str) -> Option<i64> {
    // More is no date, however its words are separated.
    let mut words = [""; 7];
    let mut count = 0;
    for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let mut words = words.get(..count)?;
    if words.first().is_some_and(|word| is_weekday(word)) {
        words = words.get(1..)?;
    }
    let (day, month, year, time, zone) = match *words {
        // 06 Nov 1994 08:49:37 GMT
        [day, month, year, time, zone] => (day, month, year, time, zone),
        // 06-Nov-94 08:49:37 GMT
        [date, time, zone] if date.contains('-') => dashed(date, time, zone)?,
        [date, time] if date.contains('-') => dashed(date, time, "GMT")?,
        // Nov 6 08:49:37 1994, and 06 Nov 1994 08:49:37
        [month, day, time, year] if time.contains(':') => (day, month, year, time, "GMT"),
        [day, month, year, time] => (day, month, year, time, "GMT"),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as i64 + 1;
    let (day, year) = (digits(day, 2)?, full_year(year)?);
    if day == 0 || day > days_of(year, month) {
        return None;
    }
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?)
}

fn dashed<'a>(date: &'a str, time: &'a str, zone: &'a str) -> Option<(&'a str, &'a str, &'a str, &'a str, &'a str)> {
    let mut parts = date.splitn(3, '-');
    Some((parts.next()?, parts.next()?, parts.next()?, time, zone))
}

fn is_weekday(word: &str) -> bool {
    let head = word.get(..3).unwrap_or("");
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|name| name.eq_ignore_ascii_case(head))
}

fn digits(text: &str, most: usize) -> Option<i64> {
    (text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Two digits are read as RFC 2822, 4.3, and most parsers read them.
fn full_year(text: &str) -> Option<i64> {
    let year = digits(text, 4)?;
    match text.len() {
        4 => Some(year),
        2 if year > 68 => Some(year + 1900),
        2 => Some(year + 2000),
        _ => None,
    }
}

/// Seconds east of Greenwich. A zone by another name than UTC's is no zone of an HTTP date, and names are ambiguous.
fn offset(zone: &str) -> Option<i64> {
    if ["GMT", "UTC", "UT", "Z"].iter().any(|name| name.eq_ignore_ascii_case(zone)) {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, zone.get(1..)?),
        b'-' => (-1, zone.get(1..)?),
        _ => return None,
    };
    let both = (rest.len() == 4).then(|| digits(rest, 4))??;
    Some(sign * (both / 100 * 3_600 + both % 100 * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// After Howard Hinnant's `days_from_civil`, <https://howardhinnant.github.io/date_algorithms.html>: a year begins in March,
/// so that the day of the leap year is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 784_111_777.0;

    fn read(value: &str) -> Option<f64> {
        seconds(value, None, || NOW)
    }

    #[test]
    fn seconds_and_fractions_within_a_day() {
        for (value, expected) in [
            ("120", Some(120.0)),
            (" 0 ", Some(0.0)),
            ("1.5", Some(1.5)),
            ("00042", Some(42.0)),
            ("99999999", Some(LONGEST)),
            ("-3", None),
            ("-1.5", None),
            ("+3", None),
            ("1e3", None),
            ("1.", None),
            (".5", None),
            ("1.5.2", None),
            ("0x10", None),
            ("120, 60", None),
            ("120;", None),
            ("soon", None),
            ("nan", None),
            ("inf", None),
            ("", None),
            ("\u{663}", None),
        ] {
            assert_eq!(read(value), expected, "{value:?}");
        }
        assert_eq!(read(&"9".repeat(5_000)), Some(LONGEST));
        assert_eq!(read(&format!("1.{}", "3".repeat(5_000))), None);
    }

    #[test]
    fn dates_in_every_form() {
        for value in [
            "Sun, 06 Nov 1994 08:50:07 GMT",
            "Sunday, 06-Nov-94 08:50:07 GMT",
            "Sun Nov  6 08:50:07 1994",
            "6 Nov 1994 08:50:07 GMT",
            "6 Nov 1994 08:50:07",
            "Sun, 06 Nov 1994 08:50:07 -0000",
            "Sun, 06 Nov 1994 10:20:07 +0130",
            "sun, 06 nov 1994 03:50:07 -0500",
            "Sun, 06-Nov-1994 08:50:07 UTC",
        ] {
            assert_eq!(read(value), Some(30.0), "{value:?}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0.0));
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST));
        for value in [
            "Fri, 99 Foo 2023 00:00:00 GMT",
            "Sun, 31 Nov 1994 08:50:07 GMT",
            "Sun, 29 Feb 1995 08:50:07 GMT",
            "Sun, 06 Nov 1994 24:50:07 GMT",
            "Sun, 06 Nov 1994 08:50:07 Mars",
            "Sun, 06 Nov 1994 08:50:07 GMT, 5",
            "Sun, 06 Nov 1994",
            "Sun,",
            ",,,",
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }

    #[test]
    fn the_sites_own_clock_counts() {
        let later = Some("Sun, 06 Nov 1994 08:50:02 GMT");
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT", later, || NOW), Some(5.0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT", Some("never"), || NOW), Some(30.0));
        assert_eq!(seconds("7", later, || NOW), Some(7.0));
    }

    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
        assert_eq!(days_since_epoch(2000, 2, 29), 11_016);
        assert_eq!(days_since_epoch(2100, 3, 1) - days_since_epoch(2100, 2, 28), 1);
        assert_eq!(days_since_epoch(1994, 11, 6) * 86_400 + 8 * 3_600 + 49 * 60 + 37, NOW as i64);
    }
}
