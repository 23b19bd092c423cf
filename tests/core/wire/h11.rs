//! The reader of httpx, h11, as the judge: answers whole and damaged, with what it made of them (`scripts/record_h11.py`).

use proxywhirl::wire::error::Kind;
use proxywhirl::wire::limits::Limits;
use serde_json::{Value, json};

use super::common::{Played, play, sent};

const RECORD: &str = include_str!("h11.jsonl");

/// The recorded answers.
pub fn answers() -> Vec<Vec<u8>> {
    let rows = RECORD.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| bytes(row["answer"].as_str().unwrap())).collect()
}

/// Bytes of a text in Latin-1.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// What came of it, in the words of the record.
fn row(played: &Played) -> Value {
    match &played.end {
        Err(error) => {
            assert_eq!(error.kind, Kind::RemoteProtocol);
            json!({ "error": error.text() })
        }
        Ok(()) => {
            let head = played.head.as_ref().unwrap();
            let headers: Vec<[String; 2]> = head.headers().map(|(name, value)| [text(name), text(value)]).collect();
            json!({
                "status": head.status, "reason": text(head.reason()), "headers": headers,
                "body": text(&played.body), "kept": played.is_reusable,
            })
        }
    }
}

/// The faults that we meet first, or call by another name: h11's text, and ours.
const CALLED: [(&str, &str); 6] = [
    // h11 waits for the whole head before it looks at the first line.
    ("Server disconnected without sending a response.", "illegal status line"),
    ("no response line received", "illegal status line"),
    ("illegal header line", "illegal status line"),
    ("continuation line at start of headers", "illegal header line"),
    // A carriage return by itself in an extension.
    ("malformed chunk footer", "illegal chunk header"),
    ("bad Content-Length", "conflicting Content-Length headers"),
];

fn is_same(wanted: &Value, found: &Value) -> bool {
    let pair = (wanted["error"].as_str(), found["error"].as_str());
    wanted == found || CALLED.iter().any(|(theirs, ours)| pair == (Some(theirs), Some(ours)))
}

/// Whether two lengths are given. h11 believes the chunks and keeps the connection; we end it (RFC 9112, 6.3).
fn is_ambiguous(row: &Value) -> bool {
    let names: Vec<String> =
        row["headers"].as_array().into_iter().flatten().map(|pair| pair[0].as_str().unwrap().to_lowercase()).collect();
    ["content-length", "transfer-encoding"].iter().all(|name| names.iter().any(|found| found == name))
}

#[test]
fn what_h11_made_of_it() {
    let (mut same, mut differ) = (0, Vec::new());
    for line in RECORD.lines() {
        let mut wanted: Value = serde_json::from_str(line).unwrap();
        let fields = wanted.as_object_mut().unwrap();
        let method = fields.remove("method").unwrap();
        let answer = fields.remove("answer").unwrap();
        let answer = answer.as_str().unwrap();
        if is_ambiguous(&wanted) {
            wanted["kept"] = json!(false);
        }
        let played = play(sent(method.as_str().unwrap(), Limits::default()), [&*bytes(answer)]);
        let found = row(&played);
        if is_same(&wanted, &found) {
            same += 1;
        } else {
            differ.push(format!("{answer:?}\n   h11 {wanted}\n  ours {found}"));
        }
    }
    assert!(same > 900 || !differ.is_empty(), "the record is short: {same}");
    assert!(differ.is_empty(), "{same} are the same, and {} differ:\n{}", differ.len(), differ.join("\n"));
}
