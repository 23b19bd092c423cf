//! Lists in every shape, through the public face of `supply`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proxywhirl::net::address::Protocol;
use proxywhirl::supply::{Anonymity, Format, Limits, Options, Parsed, Reason, parse, parse_reader};

fn read(text: &str) -> Parsed {
    read_with(text, &Options::default())
}

fn read_with(text: &str, options: &Options) -> Parsed {
    let parsed = parse(text.as_bytes(), options).unwrap();
    assert_eq!(parsed.accepted + parsed.rejected_count + parsed.blank, parsed.lines, "a line was lost: {parsed:?}");
    parsed
}

fn urls(parsed: &Parsed) -> Vec<String> {
    parsed.records.iter().map(|record| record.url()).collect()
}

fn reasons(parsed: &Parsed) -> Vec<(u32, String, &str)> {
    parsed.rejected.iter().map(|bad| (bad.line, bad.reason.to_string(), &*bad.excerpt)).collect()
}

#[test]
fn every_dialect_of_a_line() {
    let parsed = read(
        "\u{feff}# a list\n\
         1.2.3.4:80\r\n\
         \n\
         // others\n\
         ; and more\n\
         1.2.3.4:81:bob:s3cret\n\
         bob:s3cret@1.2.3.4:82\n\
         bob:1234:1.2.3.4:83\n\
         socks5://[2001:DB8::1]:1080\n\
         http://b%40b:p%3Aw@Name.Example:84\n\
         1.2.3.5:80 US elite 120ms\n\
         1.2.3.6:80\tsocks4\n\
         1.2.3.7:80,DE,anonymous\n\
         socks5 1.2.3.8 1080 bob s3cret\n\
         1.2.3.9 3128\n\
         1.2.3.10:80:FR\n\
         \"1.2.3.11:80\",\n\
         - 1.2.3.12:80\n\
         1.2.3.13:80 CZ-H-S + # fast\n\
         http 1.2.3.14:80",
    );
    assert_eq!(parsed.format, Format::Text);
    assert_eq!(reasons(&parsed), []);
    assert_eq!(
        urls(&parsed),
        [
            "http://1.2.3.4:80",
            "http://bob:s3cret@1.2.3.4:81",
            "http://bob:s3cret@1.2.3.4:82",
            "http://bob:1234@1.2.3.4:83",
            "socks5://[2001:db8::1]:1080",
            "http://b%40b:p%3Aw@name.example:84",
            "http://1.2.3.5:80",
            "socks4://1.2.3.6:80",
            "http://1.2.3.7:80",
            "socks5://bob:s3cret@1.2.3.8:1080",
            "http://1.2.3.9:3128",
            "http://1.2.3.10:80",
            "http://1.2.3.11:80",
            "http://1.2.3.12:80",
            "http://1.2.3.13:80",
            "http://1.2.3.14:80",
        ]
    );
    let noted = parsed.records[6].details.as_ref().unwrap();
    assert_eq!(noted.country_code.as_deref(), Some("US"));
    assert_eq!((noted.anonymity, noted.latency_ms), (Some(Anonymity::Elite), Some(120.0)));
    let noted = parsed.records[14].details.as_ref().unwrap();
    assert_eq!((noted.country_code.as_deref(), noted.anonymity), (Some("CZ"), Some(Anonymity::Elite)));
    assert_eq!(parsed.blank, 4);
}

#[test]
fn what_cannot_be_read_is_told_without_secrets() {
    let parsed = read(
        "1.2.3.4:80\n1.2.3.4:99999\nhello world\nbob:hunter2@1.2.3.4\nbob:hunter2:1.2.3.4:0\nftp://bob:hunter2@1.2.3.4:80\n\
         1.2.3.4:0:bob:hunter2\nbob:hunter2\n1.2.3.4:80@:hunter2\n",
    );
    assert_eq!(parsed.records.len(), 1);
    assert_eq!(parsed.rejected_count, 8);
    assert_eq!(parsed.rejected.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9]);
    let shown = format!("{:?}", parsed.rejected);
    assert!(!shown.contains("hunter2") && !shown.contains("bob"), "{shown}");
    assert_eq!(parsed.rejected[0].reason.to_string(), "Port must be between 1 and 65535");
}

#[test]
fn headings_say_the_protocol_of_what_follows() {
    let text = "# HTTP Proxies (1)\n1.2.3.4:80\n\n# SOCKS5 proxies\n1.2.3.5:1080\nhttps://1.2.3.6:443\n# socks4 is old\n1.2.3.7:80\n";
    assert_eq!(
        urls(&read(text)),
        ["http://1.2.3.4:80", "socks5://1.2.3.5:1080", "https://1.2.3.6:443", "socks5://1.2.3.7:80"]
    );
    let with_protocol = Options { protocol: Some(Protocol::Socks4), ..Options::default() };
    assert_eq!(
        urls(&read_with("1.2.3.4:80\nhttp://1.2.3.5:80\n", &with_protocol)),
        ["socks4://1.2.3.4:80", "http://1.2.3.5:80"]
    );
}

#[test]
fn repetitions_are_merged() {
    let parsed = read(
        r#"[{"ip":"1.2.3.4","port":80,"tags":["b"],"success_rate":50,"total_checks":10},
            {"ip":"1.2.3.4","port":"80","tags":["a","b"],"success_rate":90,"total_checks":10,"country":"DE"},
            {"ip":"1.2.3.4","port":80,"protocol":"socks5"},
            {"ip":"1.2.3.4","port":80,"username":"u","password":"p"},
            {"url":"http://1.2.3.4"}]"#,
    );
    assert_eq!(
        urls(&parsed),
        ["http://1.2.3.4:80", "socks5://1.2.3.4:80", "http://u:p@1.2.3.4:80"],
        "another protocol or login is another proxy; a port that is understood is the same"
    );
    assert_eq!((parsed.accepted, parsed.duplicates), (5, 2));
    let merged = parsed.records[0].details.as_ref().unwrap();
    assert_eq!(merged.tags, ["a".into(), "b".into()]);
    assert_eq!((merged.success_rate, merged.country_code.as_deref()), (Some(0.9), Some("DE")));
    let all = Options { keep_duplicates: true, ..Options::default() };
    assert_eq!(read_with("1.2.3.4:80\n1.2.3.4:80\n", &all).records.len(), 2);
}

#[test]
fn json_of_every_shape() {
    for (text, expected) in [
        (r#"["1.2.3.4:80", "socks5://1.2.3.5:81"]"#, vec!["http://1.2.3.4:80", "socks5://1.2.3.5:81"]),
        (
            r#"{"proxies": {"http": ["1.2.3.4:80"], "socks5": ["1.2.3.5:81"]}}"#,
            vec!["http://1.2.3.4:80", "socks5://1.2.3.5:81"],
        ),
        (
            r#"{"http": [{"ip": "1.2.3.4", "port": "80"}], "socks4": [{"ip": "1.2.3.5", "port": 81}]}"#,
            vec!["http://1.2.3.4:80", "socks4://1.2.3.5:81"],
        ),
        (
            r#"{"data":[{"_id":"6","ip":"1.2.3.4","port":"80","protocols":["http","socks4"],"country":"US","anonymityLevel":"elite","upTime":99.5}],"total":1,"page":1}"#,
            vec!["http://1.2.3.4:80", "socks4://1.2.3.4:80"],
        ),
        (
            r#"{"proxies":[{"proxy":"http://1.2.3.4:80","ip":"1.2.3.4","port":80,"ip_data":{"countryCode":"US","city":"X"}}]}"#,
            vec!["http://1.2.3.4:80"],
        ),
        (
            r#"{"results":[{"username":"u","password":"p","proxy_address":"1.2.3.4","port":80,"country_code":"US"}],"next":null}"#,
            vec!["http://u:p@1.2.3.4:80"],
        ),
        (r#"[["1.2.3.4", 80, "socks5"], ["1.2.3.5", 81, "http"]]"#, vec!["socks5://1.2.3.4:80", "http://1.2.3.5:81"]),
        (r#"{"1.2.3.4:80": {"country": "US", "type": "socks5"}}"#, vec!["socks5://1.2.3.4:80"]),
        (r#"{"ip":"1.2.3.4","port":80}"#, vec!["http://1.2.3.4:80"]),
        (
            "{\"ip\":\"1.2.3.4\",\"port\":80}\n\n{\"ip\":\"1.2.3.5\",\"port\":81}\n",
            vec!["http://1.2.3.4:80", "http://1.2.3.5:81"],
        ),
        ("\"1.2.3.4:80\"\n\"1.2.3.5:81\"\n", vec!["http://1.2.3.4:80", "http://1.2.3.5:81"]),
    ] {
        let parsed = read(text);
        assert_eq!(urls(&parsed), expected, "{text}");
        assert_eq!(reasons(&parsed), [], "{text}");
    }
}

#[test]
fn damaged_json_keeps_what_came_before() {
    let parsed =
        read("{\"proxies\": [\n\"1.2.3.4:80\",\n{\"ip\": \"1.2.3.5\", \"port\": 81},\n{\"ip\": \"1.2.3.6\", \"po");
    assert_eq!(urls(&parsed), ["http://1.2.3.4:80", "http://1.2.3.5:81"]);
    assert_eq!(parsed.rejected.len(), 1);
    assert!(parsed.rejected[0].reason.to_string().contains("ends too early"), "{:?}", parsed.rejected);
    let counts = read(r#"{"proxies": ["1.2.3.4:80"], "by_port": [{"port": 80, "count": 1}], "by_country": {"US": 1}}"#);
    assert_eq!((counts.records.len(), counts.lines), (1, 1), "what is counted beside a list is no entry");
    let parsed = read("[\n{\"ip\":\"1.2.3.4\",\"port\":80},\n{\"ip\":\"1.2.3.5\"},\n{\"ip\":\"x y\",\"port\":1},\n17]");
    assert_eq!(parsed.records.len(), 1);
    assert_eq!(parsed.rejected.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3, 4, 5]);
    let parsed = read("{\"ip\":\"1.2.3.4\",\"port\":80}\n{\"ip\":\"1.2.\n{\"ip\":\"1.2.3.5\",\"port\":81}\n");
    assert_eq!((parsed.records.len(), parsed.rejected[0].line), (2, 2));
}

#[test]
fn tables_as_text() {
    let parsed = read(
        "IP Address;Port;Code;Country;Anonymity;Https;Last Checked\n\
         1.2.3.4;80;us;United States;elite proxy;yes;1 min ago\n\
         1.2.3.5;x;DE;Germany;anonymous;no;\n\
         \"1.2.3.6\";\"81\";\"FR\";\"France; la \"\"belle\"\"\";transparent;no;\"a\nb\"\n",
    );
    assert_eq!(parsed.format, Format::Csv);
    assert_eq!(urls(&parsed), ["http://1.2.3.4:80", "http://1.2.3.6:81"]);
    assert_eq!(parsed.rejected[0].line, 3);
    let details = parsed.records[1].details.as_ref().unwrap();
    assert_eq!(details.country.as_deref(), Some("France; la \"belle\""));
    let parsed = read("ip\tport\tprotocol\n1.2.3.4\t80\tsocks5\n");
    assert_eq!((parsed.format, urls(&parsed)), (Format::Tsv, vec!["socks5://1.2.3.4:80".to_owned()]));
    // An unclosed mark costs its own line at most.
    let parsed = read("ip,port\n1.2.3.4,80\n\"1.2.3.5,81\n1.2.3.6,82\n1.2.3.7,83\n");
    assert!(parsed.records.len() >= 3, "{parsed:?}");
    let columns = Options {
        columns: vec!["".into(), "ip".into(), "port".into()],
        format: Some(Format::Csv),
        ..Options::default()
    };
    assert_eq!(urls(&read_with("x,1.2.3.4,80\ny,1.2.3.5,81\n", &columns)).len(), 2);
    let renamed = Options { renames: vec![("Adresse".into(), "ip".into())], ..Options::default() };
    assert_eq!(urls(&read_with("Adresse,Port\n1.2.3.4,80\n", &renamed)), ["http://1.2.3.4:80"]);
}

#[test]
fn tables_on_pages() {
    let parsed = read(
        "<!doctype html><style>.h{display:none}</style><table id=nav><tr><td>Home<td>About</table>\
         <table id=list class='a b'><thead><tr><th>IP Address</th><th>Port</th><th>Code</th><th>Type</th></tr></thead><tbody>\
         <tr><td>1.2.3.4</td><td>80</td><td>US</td><td>SOCKS5</td></tr>\
         <tr><td><b>1.2.3</b>.5<td><script>document.write(8000+80)</script><td>DE<td>HTTP\
         <tr><td>1.2.<span style='display: none'>9</span>3.<i class=h>8</i>6</td><td>8&#49;</td><td></td><td>http</td></tr>\
         <tr><td><script>document.write(Base64.decode(\"MS4yLjMuNw==\"))</script></td><td data-port=ODI=>?</td></tr>\
         <tr><td colspan=4>advertisement</td></tr>\
         <tr><td>bad</td><td>0</td><td>US</td><td>http</td></tr></tbody></table>",
    );
    assert_eq!(parsed.format, Format::Html);
    assert_eq!(urls(&parsed), ["socks5://1.2.3.4:80", "http://1.2.3.5:8080", "http://1.2.3.6:81", "http://1.2.3.7:82"]);
    assert_eq!(parsed.rejected.len(), 1, "{:?}", parsed.rejected);
    let parsed = read("<html><body><p>Our list:</p><ul><li>1.2.3.4:80<li>1.2.3.5:81</ul></body></html>");
    assert_eq!(parsed.records.len(), 2);
    let parsed = read("<html><textarea>\n1.2.3.4:80\nbroken:0\n</textarea></html>");
    assert_eq!((parsed.records.len(), parsed.rejected.len()), (1, 1));
    let two = "<table class=x><tr><td>1.2.3.4<td>80</table><div id=p><table><tr><td>1.2.3.5<td>81</table></div>";
    for (selector, url) in
        [("table.x", "http://1.2.3.4:80"), ("#p > table", "http://1.2.3.5:81"), ("div", "http://1.2.3.5:81")]
    {
        let options = Options { selector: Some(selector.into()), format: Some(Format::Html), ..Options::default() };
        assert_eq!(urls(&read_with(two, &options)), [url], "{selector}");
    }
    let options = Options { selector: Some("a[href]".into()), format: Some(Format::Html), ..Options::default() };
    assert!(parse(two.as_bytes(), &options).is_err());
}

#[test]
fn packed_and_encoded() {
    let text = "1.2.3.4:80\r\n1.2.3.5:81 café\r\n";
    let gzip = |data: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(data).unwrap();
        packer.finish().unwrap()
    };
    let wide = |big: bool, mark: bool| {
        let text = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
        let bytes = text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        bytes.collect::<Vec<u8>>()
    };
    let latin = [b"1.2.3.4:80\n1.2.3.5:81 caf".as_slice(), &[0xe9], b"\n"].concat();
    for (data, encoding) in [
        (text.as_bytes().to_vec(), "utf-8"),
        (wide(false, true), "utf-16-le"),
        (wide(true, true), "utf-16-be"),
        (wide(false, false), "utf-16-le"),
        (latin, "utf-8"),
        (b"1.2.3.4:80\r1.2.3.5:81\r".to_vec(), "utf-8"),
    ] {
        for data in [data.clone(), gzip(&data)] {
            for parsed in
                [parse(&data, &Options::default()).unwrap(), parse_reader(&*data, &Options::default()).unwrap()]
            {
                assert_eq!(urls(&parsed), ["http://1.2.3.4:80", "http://1.2.3.5:81"]);
                assert_eq!(parsed.encoding, encoding);
            }
        }
    }
    let mut broken = gzip("1.2.3.4:80\n".repeat(100).as_bytes());
    broken.truncate(broken.len() - 8);
    let parsed = parse(&broken, &Options::default()).unwrap();
    assert!(parsed.rejected.iter().any(|bad| matches!(bad.reason, Reason::Broken(_))));
}

#[test]
fn limits_hold() {
    let bomb = {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            packer.write_all(&vec![b'1'; 1 << 20]).unwrap();
        }
        packer.finish().unwrap()
    };
    let options = Options { limits: Limits { bytes: 1 << 20, ..Limits::default() }, ..Options::default() };
    for parsed in [parse(&bomb, &options).unwrap(), parse_reader(&*bomb, &options).unwrap()] {
        assert!(parsed.truncated && parsed.records.is_empty());
    }
    let long = format!("1.2.3.4:80\n{}\n1.2.3.5:81\n", "9".repeat(1 << 20));
    for parsed in [
        parse(long.as_bytes(), &Options::default()).unwrap(),
        parse_reader(long.as_bytes(), &Options::default()).unwrap(),
    ] {
        assert_eq!(parsed.records.len(), 2);
        assert_eq!((parsed.rejected_count, parsed.rejected[0].line, parsed.lines), (1, 2, 3));
    }
    let few = Options { limits: Limits { rejected: 5, ..Limits::default() }, ..Options::default() };
    let parsed = parse("x\n".repeat(100).as_bytes(), &few).unwrap();
    assert_eq!((parsed.rejected.len(), parsed.rejected_count), (5, 100));
}

#[test]
fn streams_read_as_memory_does() {
    let text: String = (0..100_000_u32)
        .map(|n| match n % 7 {
            0 => format!("# {n}\n"),
            1 => format!("10.{}.{}.{}:0\n", n >> 16, (n >> 8) & 255, n & 255),
            _ => format!("10.{}.{}.{}:{}\r\n", n >> 16, (n >> 8) & 255, n & 255, 1 + n % 65_535),
        })
        .collect();
    let whole = parse(text.as_bytes(), &Options::default()).unwrap();
    let streamed = parse_reader(text.as_bytes(), &Options::default()).unwrap();
    assert_eq!(whole.records, streamed.records);
    assert_eq!(whole.rejected, streamed.rejected);
    assert_eq!((whole.lines, whole.blank), (streamed.lines, streamed.blank));
}

#[test]
fn strangers_lists_name_no_local_addresses() {
    let options = Options { public_only: true, ..Options::default() };
    let parsed = read_with("8.8.8.8:80\n127.0.0.1:80\nlocalhost:80\n10.1.2.3:80\n[::1]:80\n", &options);
    assert_eq!(urls(&parsed), ["http://8.8.8.8:80"]);
    assert!(parsed.rejected.iter().all(|bad| bad.reason == Reason::Local) && parsed.rejected.len() == 4);
}
