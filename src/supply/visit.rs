//! Going through JSON where it lies: the members of objects and lists as pieces of the text, of which nothing is copied.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A text, number or truth value as text.
pub(super) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.get(1..raw.len() - 1)?;
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                return Some(Cow::Borrowed(inner));
            }
            serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
        }
        b'[' | b'{' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// Calls back with each element of a list, as far as the list can be read.
pub(super) fn visit_list<'d>(raw: &'d str, each: impl FnMut(&'d str)) {
    struct Elements<F>(F);
    impl<'d, F: FnMut(&'d str)> Visitor<'d> for Elements<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'d>>(mut self, mut access: A) -> Result<(), A::Error> {
            while let Some(element) = access.next_element::<&'d RawValue>()? {
                (self.0)(element.get());
            }
            Ok(())
        }
    }
    // An error ends the elements; the reading of the whole meets it as well.
    let _ = serde_json::Deserializer::from_str(raw).deserialize_seq(Elements(each));
}

/// Calls back with each name and value of an object, as far as the object can be read.
pub(super) fn visit_map<'d>(raw: &'d str, each: impl FnMut(Cow<'d, str>, &'d str)) {
    struct Entries<F>(F);
    impl<'d, F: FnMut(Cow<'d, str>, &'d str)> Visitor<'d> for Entries<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'d>>(mut self, mut access: A) -> Result<(), A::Error> {
            while let Some(name) = access.next_key::<&'d RawValue>()? {
                let value = access.next_value::<&'d RawValue>()?;
                (self.0)(scalar(name.get()).unwrap_or_default(), value.get());
            }
            Ok(())
        }
    }
    let _ = serde_json::Deserializer::from_str(raw).deserialize_map(Entries(each));
}
