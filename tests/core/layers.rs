//! The layers of the crate, held by the paths that its files name: an arrow that is not allowed fails, and so does an
//! exception that is not needed any more. See `docs/decisions.md` for what each folder is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each top folder may name besides itself. No circle: a folder names only folders above it in this list.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("clock", &["sync"]),
    ("fork", &["sync"]),
    ("random", &["sync", "fork"]),
    ("net", &["ground"]),
    ("wire", &["ground", "net"]),
    ("drive", &["ground", "net", "wire"]),
    ("proxy", &["ground", "net"]),
    ("pool", &["ground", "net", "proxy"]),
    ("resilience", &["ground", "net", "proxy", "pool"]),
    ("judge", &["ground", "net", "proxy", "pool", "resilience"]),
    ("metrics", &["ground", "net", "proxy", "pool", "resilience", "judge"]),
    ("session", &["ground", "net", "proxy", "pool"]),
    ("strategy", &["ground", "net", "proxy", "pool", "session"]),
    ("rotation", &["ground", "net", "proxy", "pool", "resilience", "judge", "session", "strategy"]),
    ("relay", &["ground", "net", "wire", "drive", "rotation"]),
    ("storage", &["ground", "net", "proxy", "pool", "resilience"]),
    ("supply", &["ground", "net", "wire", "drive", "proxy", "judge"]),
    ("fleet", &["ground", "net"]),
    ("py", &["*"]),
];

/// What everything stands on.
const GROUND: [&str; 4] = ["sync", "clock", "random", "fork"];

/// Arrows that still run upward: file, and the folder that it names.
const UPWARD: &[(&str, &str)] = &[];

/// `impl` blocks for a type of another folder: file, type.
const ABROAD: &[(&str, &str)] = &[];

/// The most lines of a file, its tests not counted.
const LONGEST: usize = 400;

/// Files that are longer still, and their lines at most. The list shrinks.
const LONGER: &[(&str, usize)] = &[];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file of the crate by its path below `src`, without comments.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The text without line comments, and without modules of tests. Such a module in a file of its own is one line, which is
/// kept.
fn code(text: &str) -> String {
    let is_inline = |at: usize| text[at + 1..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let tests = text.match_indices("\n#[cfg(").map(|(at, _)| at).find(|at| {
        let cfg = &text[at + 1..];
        (cfg.starts_with("#[cfg(test)]") || cfg.starts_with("#[cfg(all(test")) && is_inline(*at)
    });
    let head = &text[..tests.unwrap_or(text.len())];
    head.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The folder, or the file at the top, that a file belongs to.
fn room(name: &str) -> &str {
    name.split('/').next().unwrap_or(name).trim_end_matches(".rs")
}

/// The folders that a text names: `crate::folder`, and those of `crate::{folder, ...}`.
fn named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => drop(rooms.insert(word(rest))),
            Some(list) => {
                let mut depth = 0;
                for part in list.split(',') {
                    if depth == 0 {
                        rooms.insert(word(part.trim_start()));
                    }
                    depth += part.matches('{').count();
                    let closed = part.matches('}').count();
                    if closed > depth {
                        break;
                    }
                    depth -= closed;
                }
            }
        }
    }
    rooms
}

fn is_allowed(from: &str, to: &str) -> bool {
    let rooms = ALLOWED.iter().find(|(room, _)| *room == from).map_or(&[] as &[&str], |(_, rooms)| rooms);
    from == to || rooms.iter().any(|room| *room == to || *room == "*" || (*room == "ground" && GROUND.contains(&to)))
}

/// Compares what was found with what is excepted; says what to do about the difference.
fn compare<T: Ord + std::fmt::Debug>(found: BTreeSet<T>, excepted: BTreeSet<T>, rule: &str) {
    let new: Vec<_> = found.difference(&excepted).collect();
    assert!(new.is_empty(), "{rule}: {new:#?}");
    let gone: Vec<_> = excepted.difference(&found).collect();
    assert!(gone.is_empty(), "exceptions that are not needed any more, to be taken off the list: {gone:#?}");
}

fn pairs(list: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    list.iter().map(|(file, other)| ((*file).to_owned(), (*other).to_owned())).collect()
}

#[test]
fn arrows_between_folders_point_down() {
    let sources = sources();
    let rooms: BTreeSet<&str> = sources.keys().map(|name| room(name)).filter(|room| *room != "lib").collect();
    for room in &rooms {
        assert!(ALLOWED.iter().any(|(known, _)| known == room), "say in ALLOWED what {room} may name");
    }
    let mut upward = BTreeSet::new();
    for (name, text) in sources.iter().filter(|(name, _)| *name != "lib.rs") {
        for other in named(&code(text)) {
            if rooms.contains(other.as_str()) && !is_allowed(room(name), &other) {
                upward.insert((name.clone(), other));
            }
        }
    }
    compare(upward, pairs(UPWARD), "a folder names one that stands above it");
}

#[test]
fn the_list_of_arrows_has_no_circle() {
    for (at, (room, below)) in ALLOWED.iter().enumerate() {
        for other in below.iter().filter(|other| !["ground", "*"].contains(other)) {
            let known = ALLOWED.iter().take(at).any(|(earlier, _)| earlier == other);
            assert!(known, "{room} names {other}, which does not stand before it");
        }
    }
}

/// Where the interpreter is attached and released, so that the check for locks is always made.
#[test]
fn the_interpreter_is_attached_and_released_in_one_file() {
    let ways = ["Python::attach(", "Python::try_attach(", "Python::assume_attached(", "py.detach("];
    let elsewhere: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| name != "py/border.rs" && ways.iter().any(|way| code(text).contains(way)))
        .map(|(name, _)| name)
        .collect();
    assert!(elsewhere.is_empty(), "use border::attach, border::detach or border::wait: {elsewhere:?}");
    let border = &sources()["py/border.rs"];
    assert!(border.contains("Python::try_attach(") && border.contains("py.detach("));
}

/// The type of an `impl` block's line, without its path and its parameters.
fn implemented(line: &str) -> Option<(&str, bool)> {
    let rest = line.strip_prefix("impl")?;
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.trim_start() };
    let (what, of_trait) = match rest.split_once(" for ") {
        Some((_, what)) => (what, true),
        None => (rest, false),
    };
    Some((what.split(['<', ' ', '{']).next()?, of_trait))
}

#[test]
fn a_type_has_its_methods_in_its_own_folder() {
    let sources = sources();
    let mut folders: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, text) in &sources {
        for line in code(text).lines() {
            let rest =
                line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            if let Some(rest) = rest.strip_prefix("struct ").or_else(|| rest.strip_prefix("enum ")) {
                let kind: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                folders.entry(kind).or_default().insert(room(name));
            }
        }
    }
    let mut abroad = BTreeSet::new();
    for (name, text) in &sources {
        for (kind, of_trait) in code(text).lines().filter_map(implemented) {
            let elsewhere = folders.get(kind).is_some_and(|rooms| !rooms.contains(room(name)));
            if elsewhere && !of_trait {
                abroad.insert((name.clone(), kind.to_owned()));
            }
        }
    }
    compare(abroad, pairs(ABROAD), "methods of a type that lives in another folder");
}

#[test]
fn files_are_short() {
    let lines = |text: &String| code(text).lines().count();
    let sources = sources();
    let long: BTreeMap<&str, usize> =
        sources.iter().map(|(name, text)| (name.as_str(), lines(text))).filter(|(_, lines)| *lines > LONGEST).collect();
    let names = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    compare(
        names(long.keys().copied().collect()),
        names(LONGER.iter().map(|(name, _)| *name).collect()),
        "files of more than 400 lines",
    );
    for (name, most) in LONGER {
        assert!(long[name] <= *most, "{name} has grown to {} lines", long[name]);
    }
}

#[test]
fn the_reading_sees_what_it_is_to_see() {
    let rooms = |list: &[&str]| list.iter().map(|room| (*room).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(named("use crate::{a::{b, c}, d}; crate::e::f(); x::g"), rooms(&["a", "d", "e"]));
    assert_eq!(implemented("impl<T> Foo<T> {"), Some(("Foo", false)));
    assert_eq!(implemented("impl Bar for Foo {"), Some(("Foo", true)));
    assert_eq!(code("a // crate::b\n#[cfg(test)]\nmod tests {\n    crate::c\n}"), "a ");
    assert_eq!(code("a\n#[cfg(all(test, loom))]\nmod model;\nb"), "a\n#[cfg(all(test, loom))]\nmod model;\nb");
    assert!(is_allowed("rotation", "pool") && !is_allowed("pool", "rotation"));
    let sources = sources();
    assert!(named(&code(&sources["rotation/lease/take.rs"])).contains("pool"));
    assert!(sources.values().any(|text| code(text).lines().any(|line| implemented(line) == Some(("Lease", false)))));
}
