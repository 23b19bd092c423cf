//! Damaged lists: nothing panics, no line is lost, no text of a refused line is shown, time stays linear. A corpus of all
//! shapes is mutated from a seed, for a bounded time that the parsers share (`PROXYWHIRL_FUZZ_SECONDS`,
//! `PROXYWHIRL_FUZZ_SEED`; `make fuzz` takes a minute).

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proxywhirl::net::address::Address;
use proxywhirl::supply::{Format, Options, Reason, excerpt, parse, parse_reader};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const CORPUS: [&str; 20] = [
    "1.2.3.4:80\n1.2.3.5:81:u:p\nu:p@h.example:82\r\n# c\n\nsocks5://[2001:db8::1]:1080 US elite 12ms\n",
    "socks5 1.2.3.4 1080 u p\nhttp\t1.2.3.4\t80\n1.2.3.4|80|DE\n- 1.2.3.4:80\n",
    "IP,Port,Country\n1.2.3.4,80,\"U, S\"\n\"1.2.3.5\",81,\"x\"\"y\"\n",
    "ip\tport\n1.2.3.4\t80\n",
    r#"{"proxies":[{"ip":"1.2.3.4","port":"80","protocols":["http","socks5"],"geo":{"country":"US"}},"1.2.3.5:80"],"n":[1,[2]]}"#,
    r#"{"http":["1.2.3.4:80"],"socks4":[["1.2.3.5",81]],"1.2.3.6:80":{"country":"US"}}"#,
    "{\"ip\":\"1.2.3.4\",\"port\":80}\n{\"url\":\"http://u:p@1.2.3.4:80\"}\n",
    "<table><tr><th>IP<th>Port</tr><tr><td>1.2.3.4<td>80<tr><td data-ip=MS4yLjMuNA==>x<td data-port=80></table>",
    "<html><style>.a{display:none}</style><td>1<span class=a>2</span>.2.3.4<script>document.write(':'+(8000+80))</script></td>",
    "<pre>1.2.3.4:80\n1.2.3.5:81</pre>",
    "\u{feff}1.2.3.4:80\r1.2.3.5:80\u{2028}\0",
    "[ProxyList]\nsocks5 1.2.3.4 1080 u p\n[http]\n[+] 1.2.3.5:80 - DE - elite\n=== SOCKS4 ===\n1.2.3.6:80 | 9ms\n",
    "1.2.3.4,80,u@x.example,p@y\n1.2.3.5:80,u:p\n1.2.3.4:80,1.2.3.5:80;1.2.3.6:80\n1.2.3.4:80:u@x.example:99\n",
    "export PROXIES=\"http://u:p@1.2.3.4:80,socks5://1.2.3.5:81\"\n- {type: socks5, server: 1.2.3.4, port: 80}\n",
    "|IP|Port|User|Password|\n|--|--|--|--|\n|1.2.3.4|80|u|p|\n",
    "vmess://YQ==\nb\u{fc}cher.example:80\n\u{ff11}.2.3.4:80\nhttp://KEY:@1.2.3.4:80\nsocks5h://1.2.3.4:80\n\"\u{e9}",
    r#"{"a":{"fallbackProxy":{"host":"1.2.3.4","port":80,"scheme":"https"},"auth":{"fallbackProxy":{"username":"u","password":"p"}}}}"#,
    r#"{"username":"u","password":"p","type":"socks5","proxies":["1.2.3.4:80",["1.2.3.5",80,"a","b"]],"backup":{"host":"1.2.3.6","port":1,"tls":true}}"#,
    "<table><tr><th>IP<th>Port<th>User<th>Pass<th>Type<tr><td>1.2.3.4<td>80<td>u<td>p<td>HTTPS<tr><td>1.2.3.5<td>81<td>u<td>p</table>",
    "[::1]:80\n[::1\n]:80\n:::::\n@@@@\n%%%%@%:%\n://\nhttp://\nhttp://@:\n",
];

fn mutate(rng: &mut StdRng, data: &mut Vec<u8>) {
    const BYTES: &[u8] = b"\0\t\n\r \"#%'()+,-./0189:;<>@AZ[\\]az{|}\xff\xfe\x1f\x8b";
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=data.len());
        match rng.random_range(0..6) {
            0 if at < data.len() => data[at] = BYTES[rng.random_range(0..BYTES.len())],
            1 => data.insert(at, BYTES[rng.random_range(0..BYTES.len())]),
            2 if at < data.len() => drop(data.remove(at)),
            3 => data.truncate(at),
            4 => {
                let other = CORPUS[rng.random_range(0..CORPUS.len())].as_bytes();
                let from = rng.random_range(0..other.len());
                data.splice(at..at, other[from..].iter().copied());
            }
            _ => {
                let end = rng.random_range(at..=data.len().min(at + 16));
                let piece = data[at..end].to_vec();
                for _ in 0..rng.random_range(1..32) {
                    data.splice(at..at, piece.iter().copied());
                }
            }
        }
    }
    data.truncate(64 << 10);
}

/// Whether an excerpt shows kinds and signs, and of the text itself names of protocols alone.
fn shows_kinds_alone(excerpt: &str) -> bool {
    let mut rest = excerpt;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((kind, behind)) = after.split_once('>') else { return false };
        if !["ip", "ipv6", "name", "port", "number", "word", "text", "scheme"].contains(&kind) || !is_plain(before) {
            return false;
        }
        rest = behind;
    }
    is_plain(rest)
}

fn is_plain(text: &str) -> bool {
    // Labels are words of a closed list, the longest of which has this many letters.
    text.split(|c: char| !c.is_alphanumeric()).all(|word| word.len() <= 12 && !word.contains("s3cret"))
}

/// The proxies that the plainest of parsers finds in lines.
fn naive(text: &[u8]) -> Vec<String> {
    let lines = text.split(|b| matches!(b, b'\n' | b'\r'));
    let read = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let (host, port) = line.split_once(':')?;
        let host: std::net::Ipv4Addr = host.parse().ok()?;
        let plain = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.len() < 6;
        let port: u16 = port.parse().ok().filter(|port| plain && *port > 0)?;
        Some(format!("{host}:{port}"))
    };
    lines.filter_map(read).collect()
}

#[test]
fn damaged_lists_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("PROXYWHIRL_FUZZ_SECONDS").unwrap_or(4);
    let seed = number("PROXYWHIRL_FUZZ_SEED").unwrap_or(20_261_121);
    let formats: Vec<Option<Format>> = std::iter::once(None).chain(Format::ALL.map(Some)).collect();
    for (place, format) in formats.iter().enumerate() {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(place as u64));
        let end = Instant::now() + Duration::from_millis(seconds * 1000 / formats.len() as u64);
        let mut rounds = 0_u64;
        while rounds < 50 || Instant::now() < end {
            let mut data = CORPUS[rng.random_range(0..CORPUS.len())].as_bytes().to_vec();
            mutate(&mut rng, &mut data);
            let said = || format!("seed {seed}, {format:?}, round {rounds}: {:?}", String::from_utf8_lossy(&data));
            harmless(&data, *format, said);
            rounds += 1;
        }
    }
}

fn harmless(data: &[u8], format: Option<Format>, said: impl Fn() -> String) {
    let options = Options { format, ..Options::default() };
    let parsed = parse(data, &options).unwrap();
    assert_eq!(parsed.accepted + parsed.rejected_count + parsed.blank, parsed.lines, "{}", said());
    for record in &parsed.records {
        // Whatever was taken can be written and read again.
        let again = Address::parse(&record.url());
        assert_eq!(again.as_ref().ok(), Some(&record.address()), "{}: {}", record.url(), said());
    }
    for bad in &parsed.rejected {
        assert!(shows_kinds_alone(&bad.excerpt), "{:?}: {}", bad.excerpt, said());
    }
    let streamed = parse_reader(data, &options).unwrap();
    assert_eq!(parsed.records, streamed.records, "{}", said());
    assert_eq!(parsed.rejected, streamed.rejected, "{}", said());
    if parsed.format == Format::Text && parsed.encoding == "utf-8" && !parsed.gzip && !parsed.truncated {
        let found: Vec<String> = parsed.records.iter().map(|record| record.authority().to_string()).collect();
        for place in naive(data) {
            // Under the heading of a protocol that is not spoken, lines are refused.
            let refused = parsed.rejected.iter().any(|bad| bad.reason == Reason::Protocol);
            assert!(refused || found.contains(&place), "{place} is not found: {}", said());
        }
    }
}

#[test]
fn time_is_linear() {
    let pieces = [
        "1.2.3.4:80\n",
        "x",
        "a:",
        "\"",
        "\"\n",
        "[",
        "[[",
        "{\"a\":",
        "[\"",
        "<table>",
        "<td>",
        "<div>",
        "<b><p>",
        "<tr><td>1",
        "<script>",
        "<script>document.write(</script>",
        "<style>.a{",
        "@",
        "%",
        ",",
        "\r",
        "1.2.3.4:80,",
        "<!--",
        "&#",
        "- ",
        "http://",
        "{\"ip\":\"1.2.3.4\",\"port\":80}\n",
        "{},",
        "[],",
        "<font style='display:none'>",
        "document.write(1+",
        "1.2.3.4:80 ",
        "1.2.3.4:80,u:p@",
        "http 1.2.3.4 80 ",
        "{\"auth\":{\"a\":{\"user\":\"u\"}},\"a\":",
        "\u{fc}.",
        "xn--",
        "[+] ",
        "- ",
        "a=",
        "{a: ",
    ];
    for piece in pieces {
        for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
            let options = Options { format, selector: Some("div table".into()), ..Options::default() };
            let time = |bytes: usize| {
                let data = piece.repeat(bytes / piece.len());
                let begun = Instant::now();
                let parsed = parse(data.as_bytes(), &options).unwrap();
                assert_eq!(
                    parsed.accepted + parsed.rejected_count + parsed.blank,
                    parsed.lines,
                    "{piece:?} {format:?}"
                );
                begun.elapsed()
            };
            // Generous: this is to tell linear from quadratic, which would be hours.
            let taken = time(400_000);
            assert!(taken < Duration::from_secs(4), "{piece:?} as {format:?} took {taken:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_accounted_for(text in "(?s).{0,200}") {
        let parsed = parse(text.as_bytes(), &Options { format: Some(Format::Text), ..Options::default() }).unwrap();
        prop_assert_eq!(parsed.accepted + parsed.rejected_count + parsed.blank, parsed.lines);
        // Further proxies on one line count as further lines.
        let ends = text.split_inclusive(['\n', '\r']).count();
        prop_assert!(parsed.lines <= ends + parsed.accepted + parsed.rejected_count, "{} of {ends}", parsed.lines);
        prop_assert!(excerpt(&text).chars().count() < 700);
    }

    #[test]
    fn addresses_survive_every_notation(
        host in prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            "[a-z][a-z0-9]{0,10}\\.[a-z]{2,6}",
        ],
        port in 1..=65535_u16,
        user in "[a-zA-Z0-9_-]{1,12}",
        password in "[ -~&&[^ :@/?#]]{1,16}",
        scheme in prop_oneof![Just("http"), Just("https"), Just("socks4"), Just("socks5")],
    ) {
        let raw = password.replace('%', "x");
        let quoted = proxywhirl::net::address::escape(&raw);
        for text in [
            format!("{scheme}://{user}:{quoted}@{host}:{port}"),
            format!("{scheme}://{host}:{port}:{user}:{raw}"),
            format!("{scheme}://{host}:{port}@{user}:{quoted}"),
        ] {
            let address = Address::parse_line(&text).unwrap();
            prop_assert_eq!(&*address.host, &*host);
            prop_assert_eq!(address.port, Some(port));
            let login = address.credentials.unwrap();
            prop_assert_eq!((&*login.username, &*login.password), (&*user, &*raw), "{}", text);
        }
        // Without a scheme, in a list.
        for text in [format!("{host}:{port}:{user}:{quoted}"), format!("{user}:{quoted}@{host}:{port}")] {
            let parsed = parse(text.as_bytes(), &Options { format: Some(Format::Text), ..Options::default() }).unwrap();
            prop_assert_eq!(parsed.records.len(), 1, "{}", text);
            prop_assert_eq!(parsed.records[0].authority(), format!("{host}:{port}"));
        }
    }
}
