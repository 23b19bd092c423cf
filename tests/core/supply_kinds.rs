//! Lists lose nothing without a word: whatever stands beside an address is used, or is the reason of a rejection.

use proxywhirl::supply::{Format, Limits, Options, Parsed, parse, parse_reader};

fn read(text: &str) -> Parsed {
    let parsed = parse(text.as_bytes(), &Options::default()).unwrap();
    assert_eq!(parsed.accepted + parsed.rejected_count + parsed.blank, parsed.lines, "{text}: {parsed:?}");
    parsed
}

fn urls(text: &str) -> Vec<String> {
    read(text).records.iter().map(|record| record.url()).collect()
}

#[track_caller]
fn all(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let parsed = read(text);
        let found: Vec<String> = parsed.records.iter().map(|record| record.url()).collect();
        assert_eq!(&found, expected, "{text}: {:?}", parsed.rejected);
        assert_eq!(parsed.rejected_count, 0, "{text}: {:?}", parsed.rejected);
    }
}

#[track_caller]
fn refused(cases: &[&str]) {
    for text in cases {
        let parsed = read(text);
        assert!(parsed.records.is_empty(), "{text}: {:?}", parsed.records);
        assert!(parsed.rejected_count > 0, "{text}");
        for bad in &parsed.rejected {
            let shown = format!("{} {}", bad.excerpt, bad.reason);
            assert!(!shown.contains("s3cret") && !shown.contains("b0b"), "{text}: {shown}");
        }
    }
}

#[test]
fn logins_in_columns_are_logins() {
    all(&[
        ("1.2.3.4,80,b0b,s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4|80|b0b|s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4;80;b0b;s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4\t80\tb0b\ts3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4 80 b0b s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4:80 b0b:s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4:80|b0b|s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4:80,b0b:s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("1.2.3.4,80,b0b,s3cret,US,elite", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("socks5,1.2.3.4,1080,b0b,s3cret", &["socks5://b0b:s3cret@1.2.3.4:1080"]),
        ("[2001:db8::1] 80 b0b s3cret", &["http://b0b:s3cret@[2001:db8::1]:80"]),
        ("IP,PORT,USER,PASS\n1.2.3.4,80,b0b,s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("host\tport\tlogin\tpassword\n1.2.3.4\t80\tb0b\ts3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("ip;port;auth\n1.2.3.4;80;b0b:s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("IP,PORT\n1.2.3.4,80,b0b,s3cret", &["http://b0b:s3cret@1.2.3.4:80"]),
        ("\"1.2.3.4\",\"80\",\"b0b\",\"s3,cret\"", &["http://b0b:s3%2Ccret@1.2.3.4:80"]),
        ("|IP|Port|User|Password|\n|--|--|--|--|\n| 1.2.3.4 | 80 | b0b | s3cret |", &["http://b0b:s3cret@1.2.3.4:80"]),
        (
            "<table><tr><th>IP<th>Port<th>User<th>Pass<tr><td>1.2.3.4<td>80<td>b0b<td>s3cret</table>",
            &["http://b0b:s3cret@1.2.3.4:80"],
        ),
        ("<table><tr><td>1.2.3.4<td>80<td>b0b<td>s3cret</table>", &["http://b0b:s3cret@1.2.3.4:80"]),
        (r#"[["1.2.3.4", 80, "b0b", "s3cret"]]"#, &["http://b0b:s3cret@1.2.3.4:80"]),
    ]);
    refused(&[
        "1.2.3.4 80 b0b123",
        "1.2.3.4,80,b0b123",
        "1.2.3.4:80 b0b s3cret more",
        "1.2.3.4,80,b0b,s3cret,x9",
        "1.2.3.4,80,120,55",
        "1.2.3.4:80 New York",
        "b0b s3cret 1.2.3.4 80",
        "ip,port,token\n1.2.3.4,80,s3cret",
    ]);
}

#[test]
fn an_at_belongs_to_its_column() {
    all(&[
        ("1.2.3.4:80,b0b@mail.example:99", &["http://b0b%40mail.example:99@1.2.3.4:80"]),
        ("1.2.3.4,80,b0b@mail.example,s3cret", &["http://b0b%40mail.example:s3cret@1.2.3.4:80"]),
        ("1.2.3.4 80 b0b s3cret@mail.example:99", &["http://b0b:s3cret%40mail.example%3A99@1.2.3.4:80"]),
        ("1.2.3.4:80:b0b@mail.example:99", &["http://b0b%40mail.example:99@1.2.3.4:80"]),
        (
            "ip,port,user,pass\n1.2.3.4,80,b0b@x.example:1,p@y.example:2",
            &["http://b0b%40x.example%3A1:p%40y.example%3A2@1.2.3.4:80"],
        ),
        ("gate.example,8080,user.name,1234", &["http://user.name:1234@gate.example:8080"]),
    ]);
    refused(&[
        "1.2.3.4:80,b0b:s3cret@mail.example:99",
        "gate.example:8080,user.name:1234",
        "gate.example:80:b0b:s3cret@mail.example:81",
    ]);
}

#[test]
fn several_proxies_on_a_line_are_several() {
    all(&[
        ("http://1.2.3.4:80,http://1.2.3.5:80", &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("1.2.3.4:80 1.2.3.5:80", &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("1.2.3.4:80;1.2.3.5:80", &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("1.2.3.4:80|1.2.3.5:80\t1.2.3.6:80", &["http://1.2.3.4:80", "http://1.2.3.5:80", "http://1.2.3.6:80"]),
        ("u:p@1.2.3.4:80, u:p@1.2.3.5:80", &["http://u:p@1.2.3.4:80", "http://u:p@1.2.3.5:80"]),
        ("PROXIES=\"socks5://1.2.3.4:80,http://1.2.3.5:80\"", &["socks5://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("http 1.2.3.4:80 socks5 1.2.3.5:81", &["http://1.2.3.4:80", "socks5://1.2.3.5:81"]),
        (r#"["1.2.3.4:80,1.2.3.5:80"]"#, &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("a.proxy.example:80 b.proxy.example:80", &["http://a.proxy.example:80", "http://b.proxy.example:80"]),
    ]);
    let parsed = read("1.2.3.4:80,1.2.3.5:80\n1.2.3.6:80\n");
    assert_eq!((parsed.accepted, parsed.lines), (3, 3), "each proxy of a line counts");
    let mixed = Options { public_only: true, ..Options::default() };
    let parsed = parse(b"8.8.8.8:80,127.0.0.1:80", &mixed).unwrap();
    assert_eq!((parsed.accepted, parsed.rejected_count, parsed.lines), (1, 1, 2));
}

#[test]
fn labels_name_a_protocol_and_are_no_schemes() {
    let tunnels = |text: &str| {
        let parsed = read(text);
        assert_eq!(parsed.records.len(), 1, "{text}: {:?}", parsed.rejected);
        (parsed.records[0].url(), parsed.records[0].details.as_ref().and_then(|details| details.https))
    };
    for text in [
        "1.2.3.4:80 HTTPS",
        "https 1.2.3.4:80",
        "[https]\n1.2.3.4:80",
        "# HTTPS proxies\n1.2.3.4:80",
        "ip,port,type\n1.2.3.4,80,HTTPS",
        r#"{"data":[{"ip":"1.2.3.4","port":"80","protocols":["https"]}]}"#,
        r#"{"https":["1.2.3.4:80"]}"#,
        "<table><tr><th>IP<th>Port<th>Type<tr><td>1.2.3.4<td>80<td>HTTPS</table>",
    ] {
        assert_eq!(tunnels(text), ("http://1.2.3.4:80".into(), Some(true)), "{text}");
    }
    all(&[
        ("https://1.2.3.4:443 HTTPS", &["https://1.2.3.4:443"]),
        ("1.2.3.4:443 TLS", &["https://1.2.3.4:443"]),
        (r#"{"type":"http","server":"1.2.3.4","port":443,"tls":true}"#, &["https://1.2.3.4:443"]),
        ("socks 1.2.3.4:1080", &["socks5://1.2.3.4:1080"]),
        ("socks://1.2.3.4:1080", &["socks5://1.2.3.4:1080"]),
        ("ip,port,type\n1.2.3.4,80,SOCKS 4/5", &["socks4://1.2.3.4:80", "socks5://1.2.3.4:80"]),
        (r#"{"protocol":"socks5","proxies":["1.2.3.4:1080"]}"#, &["socks5://1.2.3.4:1080"]),
        (r#"{"ip":"1.2.3.4","port":80,"type":"residential"}"#, &["http://1.2.3.4:80"]),
    ]);
    refused(&[
        "1.2.3.4:443 vmess",
        "trojan 1.2.3.4 443",
        "ss://b0b:s3cret@1.2.3.4:8388",
        "ftp://1.2.3.4:21",
        "[hysteria2]\n1.2.3.4:80",
        "ip,port,protocol\n1.2.3.4,80,gopher",
        r#"{"type":"vless","proxies":["1.2.3.4:80"]}"#,
        r#"{"server":"1.2.3.4","port":80,"type":"socks5","tls":true}"#,
        "- {name: b0b, type: tuic, server: 1.2.3.4, port: 443, password: s3cret}",
    ]);
    let parsed = read(r#"{"ip":"1.2.3.4","port":80,"protocols":["http","vmess"]}"#);
    assert_eq!((parsed.records.len(), parsed.rejected_count), (1, 1), "one of its protocols is spoken");
}

#[test]
fn notes_are_no_reason_to_refuse() {
    all(&[
        ("1.2.3.4:80 # b0b's own", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 // of yesterday", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 - DE - elite", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 | 120ms", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 (any words at all)", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80\tUnited States\telite proxy\t99%\t2024-05-01 12:30:01", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 United States", &["http://1.2.3.4:80"]),
        ("1.2.3.4:80 5.6.7.8 US alive", &["http://1.2.3.4:80"]),
        ("[12:30:01] 1.2.3.4:80", &["http://1.2.3.4:80"]),
    ]);
}

#[test]
fn brackets_and_titles_begin_lists_of_lines() {
    all(&[
        ("[ProxyList]\nsocks5 1.2.3.4 1080 u p\nhttp 1.2.3.5 80", &["socks5://u:p@1.2.3.4:1080", "http://1.2.3.5:80"]),
        (
            "[http]\n1.2.3.4:80\n[socks5]\n1.2.3.5:1080\n[misc]\n1.2.3.6:80",
            &["http://1.2.3.4:80", "socks5://1.2.3.5:1080", "http://1.2.3.6:80"],
        ),
        ("[+] 1.2.3.4:80\n[+] 1.2.3.5:80", &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("[1] 1.2.3.4:80\n[2] 1.2.3.5:80", &["http://1.2.3.4:80", "http://1.2.3.5:80"]),
        ("[SOCKS4] 1.2.3.4:80", &["socks4://1.2.3.4:80"]),
        ("[2001:db8::1]:80\n1.2.3.4:80", &["http://[2001:db8::1]:80", "http://1.2.3.4:80"]),
        ("=== SOCKS5 ===\n1.2.3.4:80", &["socks5://1.2.3.4:80"]),
        ("HTTP:\n1.2.3.4:80\nSOCKS5:\n1.2.3.5:80", &["http://1.2.3.4:80", "socks5://1.2.3.5:80"]),
    ]);
}

#[test]
fn logins_stand_beside_and_below_and_around() {
    all(&[
        (
            r#"{"+a":{"fallbackProxy":{"host":"1.2.3.4","port":1080,"scheme":"socks5"},"auth":{"fallbackProxy":{"username":"u","password":"p"}}},"schemaVersion":2}"#,
            &["socks5://u:p@1.2.3.4:1080"],
        ),
        (r#"{"host":"1.2.3.4","port":80,"auth":{"username":"u","password":"p"}}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"host":"1.2.3.4","port":80,"auth":["u","p"]}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"host":"1.2.3.4","port":80,"auth":"u:p"}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"proxy":{"host":"1.2.3.4","port":80},"username":"u","password":"p"}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"credentials":{"user":"u","pass":"p"},"proxies":["1.2.3.4:80"]}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"address":"1.2.3.4","port":80,"users":[{"user":"u","pass":"p"}]}"#, &["http://u:p@1.2.3.4:80"]),
        (r#"{"host":"1.2.3.4","port":80,"username":"KEY","password":""}"#, &["http://KEY:@1.2.3.4:80"]),
        (r#"{"http":"http://u:p@1.2.3.4:80"}"#, &["http://u:p@1.2.3.4:80"]),
        (
            r#"{"proxy":"1.2.3.4:80","backup":{"host":"1.2.3.5","port":81}}"#,
            &["http://1.2.3.4:80", "http://1.2.3.5:81"],
        ),
        (r#"{"ip":"1.2.3.4","port":80,"url":"https://provider.example"}"#, &["http://1.2.3.4:80"]),
        (r#"{"host":"gate.example","port":7777,"ip":"5.6.7.8"}"#, &["http://gate.example:7777"]),
    ]);
    refused(&[
        r#"{"host":"1.2.3.4","port":80,"auth":{"b0b":{"token":"s3cret"}}}"#,
        r#"{"host":"1.2.3.4","port":80,"token":"s3cret"}"#,
        r#"{"host":"1.2.3.4","port":80,"password":"s3cret"}"#,
        r#"{"error":"s3cret"}"#,
        "\"s3cret\"",
        "12",
    ]);
    let parsed = read(
        r#"{"a":{"fallbackProxy":{"host":"1.2.3.4","port":80},"auth":{"other":{"username":"b0b","password":"s3cret"}}}}"#,
    );
    assert_eq!((parsed.records.len(), parsed.rejected_count), (1, 1), "a login of a proxy that is not there is said");
}

#[test]
fn api_keys_are_logins() {
    for text in ["http://KEY:@1.2.3.4:80", "KEY:@1.2.3.4:80", "1.2.3.4:80:KEY:", "1.2.3.4:80@KEY:", "1.2.3.4:80 KEY:"] {
        assert_eq!(urls(text), ["http://KEY:@1.2.3.4:80"], "{text}");
    }
}

#[test]
fn work_is_bounded_and_said() {
    let limits = Limits { entries: 100, faults: 10, ..Limits::default() };
    for (format, piece) in [
        (Format::Text, "x\n"),
        (Format::Csv, "x,y\n"),
        (Format::JsonLines, "{\"a\":1}\n"),
        (Format::Text, "1.2.3.4:80\n"),
        (Format::Csv, "1.2.3.4,80\n"),
        (Format::JsonLines, "\"1.2.3.4:80\"\n"),
    ] {
        let data = piece.repeat(10_000);
        let options = Options { format: Some(format), limits, ..Options::default() };
        for parsed in [parse(data.as_bytes(), &options).unwrap(), parse_reader(data.as_bytes(), &options).unwrap()] {
            assert!(parsed.truncated && parsed.lines <= 102, "{piece:?}: {} lines", parsed.lines);
            let last = parsed.rejected.last().unwrap().reason.to_string();
            assert!(last.starts_with("the rest is not read"), "{piece:?}: {last}");
            assert_eq!(parsed.accepted + parsed.rejected_count + parsed.blank, parsed.lines, "{piece:?}");
        }
    }
    for data in [format!("[{}1]", "\"x\",".repeat(10_000)), "<tr><td>1.2.3.4<td>80".repeat(10_000)] {
        let parsed = parse(data.as_bytes(), &Options { limits, ..Options::default() }).unwrap();
        assert!(parsed.truncated && parsed.lines <= 110, "{}", parsed.lines);
    }
    for data in [&b"PK\x03\x04rest"[..], b"\xfd7zXZ\x00rest", b"\x28\xb5\x2f\xfdrest"] {
        let parsed = parse(data, &Options::default()).unwrap();
        assert!(parsed.rejected[0].reason.to_string().contains("archive"));
    }
}
