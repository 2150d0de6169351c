//! The rules of the source tree that no compiler checks: who imports whom, where each foreign crate lives, and what a
//! file looks like. Each rule is tried on an offence too, so that a checker that sees nothing is noticed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files at the root of `src/` that every folder may use.
const FREE: [&str; 13] = [
    "atom",
    "candidate",
    "embedding",
    "error",
    "field",
    "language",
    "medium",
    "passage",
    "progress",
    "rows",
    "similarity",
    "snapshot",
    "threads",
];

/// What each folder of `src/` may use besides. Nothing may use `collection`, and what may not be used at all is not in
/// any list: the store, the index and the lexical index know nothing of each other.
const ARROWS: [(&str, &[&str]); 14] = [
    ("kernels", &[]),
    ("model", &[]),
    // `Blob`, the bytes of a file.
    ("text", &["model"]),
    ("encoder", &["kernels", "model", "text"]),
    ("bi_encoder", &["encoder", "model", "text"]),
    ("cross_encoder", &["encoder", "model", "text"]),
    ("store", &[]),
    ("index", &["kernels"]),
    ("lexical", &[]),
    ("filter", &[]),
    ("collection", &["bi_encoder", "cross_encoder", "filter", "index", "kernels", "lexical", "store"]),
    ("eval", &[]),
    ("train", &[]),
    ("util", &["kernels"]),
];

/// Folders that see the library as a user does: by the names that `lib.rs` gives out.
const OUTSIDERS: [&str; 2] = ["eval", "train"];

/// The one place of each foreign crate: replacing it changes nothing else.
const HOMES: [(&str, &str); 16] = [
    ("bincode", "src/store/codec.rs"),
    ("bytemuck", "src/index/matrix.rs"),
    ("candle_core", "src/encoder/candle.rs"),
    ("candle_nn", "src/encoder/candle.rs"),
    ("candle_transformers", "src/encoder/candle.rs"),
    ("memmap2", "src/index/matrix.rs"),
    ("redb", "src/store/"),
    ("roaring", "src/rows.rs"),
    ("rustix", "src/index/pipe.rs"),
    ("safetensors", "src/model/"),
    ("statrs", "src/eval/significance.rs"),
    ("tantivy", "src/lexical/"),
    ("time", "src/atom.rs"),
    ("tokenizers", "src/text/tokenizer.rs"),
    ("ureq", "cli/src/hub/"),
    ("usearch", "src/index/hnsw.rs"),
];

const MOST_LINES: usize = 450;

struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs"].iter().any(|part| self.path.contains(part)) || !self.path.contains("src/")
    }

    /// The modules above and including the one that the file is, from the root of its crate.
    fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        inside.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect()
    }
}

/// The text without comments and without what is in string and character literals; lines stay where they are.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let blank = |from: usize, to: usize, out: &mut String| {
        out.extend(chars[from..to.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while at < chars.len() {
        let before = at.checked_sub(1).map_or(' ', |at| chars[at]);
        let end = if starts(at, "//") {
            (at..chars.len()).find(|at| chars[*at] == '\n').unwrap_or(chars.len())
        } else if starts(at, "/*") {
            let (mut depth, mut end) = (1, at + 2);
            while depth > 0 && end < chars.len() {
                match () {
                    () if starts(end, "/*") => (depth, end) = (depth + 1, end + 2),
                    () if starts(end, "*/") => (depth, end) = (depth - 1, end + 2),
                    () => end += 1,
                }
            }
            end
        } else if let Some(hashes) = raw_string(&chars[at..]).filter(|_| !is_word(before) || before == 'b') {
            let close = format!("\"{}", "#".repeat(hashes));
            (at + hashes + 2..chars.len()).find(|at| starts(*at, &close)).unwrap_or(chars.len()) + close.len()
        } else if chars[at] == '"' {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            end + 1
        } else if chars[at] == '\'' && chars.get(at + 1) == Some(&'\\') {
            (at + 3..chars.len()).find(|at| chars[*at] == '\'').unwrap_or(chars.len()) + 1
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at + 3
        } else {
            at
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            blank(at, end, &mut out);
            at = end;
        }
    }
    out
}

/// How many hashes the raw string has that begins here, if one does.
fn raw_string(chars: &[char]) -> Option<usize> {
    let rest = chars.strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + code[rest..].find(is_word)?;
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |length| start + length);
        rest = end;
        Some((start, &code[start..end]))
    })
}

/// The names that follow `prefix::` at the root of the crate: `crate::a::B`, `crate::{a, b::C}`, or as many `super` as
/// it takes to get there.
fn root_names(file: &File) -> Vec<String> {
    let code = code(&file.text);
    let mut names = Vec::new();
    let climbs = format!("{}x", "super::".repeat(file.module().len().max(1)));
    for (at, word) in words(&code) {
        let from = match word {
            "crate" => &code[at + word.len()..],
            "super" if !code[..at].ends_with("::") => match code[at..].strip_prefix(climbs.trim_end_matches("::x")) {
                Some(rest) => rest,
                None => continue,
            },
            _ => continue,
        };
        let Some(from) = from.strip_prefix("::") else { continue };
        match from.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(words(from).next().map(|(_, name)| name.to_owned())),
        }
    }
    names
}

/// The first name of each path in a `{...}` whose `{` is gone.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut fresh, mut names) = (1, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && depth == 1 && is_word(c) => {
                names.extend(words(&group[at..]).next().map(|(_, name)| name.to_owned()));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// From each name that `lib.rs` gives out to the module that it is of.
fn public_names(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for line in code(lib).split(';') {
        let Some((module, rest)) = line.trim().strip_prefix("pub use ").and_then(|rest| rest.split_once("::")) else {
            continue;
        };
        names.extend(words(rest).map(|(_, name)| (name.to_owned(), module.to_owned())));
    }
    names
}

fn imports(file: &File, public: &BTreeMap<String, String>) -> Vec<String> {
    let Some(inside) = file.path.strip_prefix("src/") else { return Vec::new() };
    if inside == "lib.rs" || file.is_test() {
        return Vec::new();
    }
    let module = file.module()[0];
    let allowed = match ARROWS.iter().find(|(folder, _)| *folder == module) {
        Some((_, allowed)) => *allowed,
        None if FREE.contains(&module) => &[],
        None => return vec![format!("{}: {module} is not in the table of arrows", file.path)],
    };
    let mut complaints = Vec::new();
    for name in root_names(file) {
        let of = match public.get(&name) {
            Some(_) if OUTSIDERS.contains(&module) => continue,
            Some(of) => of.as_str(),
            None => name.as_str(),
        };
        if of != module && !FREE.contains(&of) && !allowed.contains(&of) {
            complaints.push(format!("{}: {module} must not use {of} (crate::{name})", file.path));
        }
    }
    complaints
}

fn homes(file: &File) -> Vec<String> {
    if file.is_test() {
        return Vec::new();
    }
    let code = code(&file.text);
    let named = |name: &str| {
        words(&code).any(|(at, word)| {
            let (before, after) = (code[..at].trim_end(), code[at + word.len()..].trim_start());
            // A path or an import that begins with it, not a module, field or variable of that name.
            let inner = before.strip_suffix("::").unwrap_or(before.strip_suffix('.').unwrap_or(""));
            let imported = before.ends_with("use") || before.ends_with("extern crate");
            word == name && !inner.ends_with(is_word) && (after.starts_with("::") || imported)
        })
    };
    let wrong = HOMES.iter().filter(|(name, home)| !file.path.starts_with(home) && named(name));
    wrong.map(|(name, home)| format!("{}: {name} lives in {home}", file.path)).collect()
}

fn reexports(file: &File) -> Vec<String> {
    let code = code(&file.text);
    let mut complaints = Vec::new();
    for line in code.split(';') {
        let Some(path) = line.split("pub use ").nth(1) else { continue };
        let first = words(path).next().map_or("", |(_, word)| word);
        let ours = ["crate", "self", "super"].contains(&first)
            || [format!("mod {first};"), format!("mod {first} ")].iter().any(|module| code.contains(module));
        if !ours {
            complaints.push(format!("{}: pub use of {first}, which is not ours", file.path));
        }
    }
    complaints
}

fn looks(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let mut complaints = Vec::new();
    if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!(") {
        complaints.push(format!("{path}: does not begin with a `//!` that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        complaints.push(format!("{path}: {lines} lines, {MOST_LINES} are the most"));
    }
    let code = code(text);
    if !path.starts_with("src/kernels/") && words(&code).any(|(_, word)| word == "unsafe") {
        complaints.push(format!("{path}: unsafe outside of src/kernels"));
    }
    if code.contains("#[path") {
        complaints.push(format!("{path}: a module from another place"));
    }
    let unfinished = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat());
    for word in words(text).map(|(_, word)| word).filter(|word| unfinished.iter().any(|unfinished| unfinished == word))
    {
        complaints.push(format!("{path}: {word}"));
    }
    complaints
}

/// Each dependency has a comment above it that says why. A crate of the family of the one above shares its comment, as
/// does a member of the workspace.
fn dependencies(file: &File) -> Vec<String> {
    let family = |line: &str| line.split([' ', '=', '.', '-', '_']).next().unwrap_or_default().to_owned();
    let (mut inside, mut above, mut complaints) = (false, "", Vec::new());
    for line in file.text.lines() {
        let name = line.split([' ', '=', '.']).next().unwrap_or_default();
        if line.starts_with('[') {
            inside = line.contains("dependencies") && !line.contains("dev-dependencies");
        } else if inside && !name.is_empty() && !line.starts_with(['#', ' ', ']', '}']) {
            let relative = !above.starts_with('#') && family(line) == family(above);
            if !above.starts_with('#') && !relative && !line.contains("path =") {
                complaints.push(format!("{}: {name} has no comment that says why", file.path));
            }
        }
        above = line;
    }
    complaints
}

fn files(ending: &str) -> Vec<File> {
    fn walk(root: &Path, folder: &Path, ending: &str, files: &mut Vec<File>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    walk(root, &path, ending, files);
                }
            } else if name.ends_with(ending) {
                let path_text = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push(File::new(&path_text, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, root, ending, &mut files);
    files
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// All complaints about sources; `lib` is the text of `src/lib.rs`.
fn check(sources: &[File], lib: &str) -> Vec<String> {
    let public = public_names(lib);
    let check = |file| [imports(file, &public), homes(file), reexports(file), looks(file)].concat();
    sources.iter().flat_map(check).collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let sources = files(".rs");
    let lib = sources.iter().find(|file| file.path == "src/lib.rs").unwrap();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    none(&check(&sources, &lib.text));
}

#[test]
fn every_dependency_says_why() {
    let manifests: Vec<File> = files("Cargo.toml").into_iter().collect();
    assert!(manifests.len() >= 3);
    none(&manifests.iter().flat_map(dependencies).collect::<Vec<_>>());
}

const LIB: &str =
    "//! Lib.\nmod collection;\nmod error;\npub use collection::{Collection, Hit};\npub use error::Error;\n";

#[test]
fn each_rule_notices_its_offence() {
    let long = format!("//! Long.\n{}", "\n".repeat(MOST_LINES));
    let unfinished = format!("//! A.\n// {}: later\n", ["TO", "DO"].concat());
    for (path, text, complaint) in [
        ("src/store/a.rs", "//! A.\nuse crate::index::B;", "store must not use index"),
        ("src/store/a.rs", "//! A.\nuse crate::{error::Error, index};", "store must not use index"),
        ("src/store/a.rs", "//! A.\nuse crate::{\n    error::{self, Error},\n    lexical,\n};", "not use lexical"),
        ("src/store/a.rs", "//! A.\nfn a() -> u8 { crate::collection::b() }", "store must not use collection"),
        ("src/store/a.rs", "//! A.\nuse crate::Hit;", "store must not use collection (crate::Hit)"),
        ("src/store/a.rs", "//! A.\nuse super::super::index::B;", "store must not use index"),
        ("src/store/mod.rs", "//! A.\nuse super::index::B;", "store must not use index"),
        ("src/error.rs", "//! A.\nuse crate::store::B;", "error must not use store"),
        ("src/kernels/a.rs", "//! A.\nuse crate::encoder::B;", "kernels must not use encoder"),
        ("src/eval/a.rs", "//! A.\nuse crate::store::B;", "eval must not use store"),
        ("src/novel/a.rs", "//! A.\n", "not in the table"),
        ("src/index/mod.rs", "//! A.\nuse redb::Database;", "redb lives in src/store/"),
        ("src/store/mod.rs", "//! A.\nfn a(b: bincode::Decode) {}", "bincode lives in src/store/codec.rs"),
        ("src/index/exact.rs", "//! A.\nuse ::usearch::Index;", "usearch lives in src/index/hnsw.rs"),
        ("src/index/exact.rs", "//! A.\nextern crate usearch;", "usearch lives in src/index/hnsw.rs"),
        ("src/encoder/mod.rs", "//! A.\nuse candle_core as candle;", "candle_core lives in"),
        ("cli/src/main.rs", "//! A.\nuse tokenizers::Tokenizer;", "tokenizers lives in"),
        ("src/a/mod.rs", "//! A.\npub use half::f16;", "pub use of half"),
        ("src/a/mod.rs", "//! A.\nmod b;\npub use b::C;\npub use serde_json::Value;", "pub use of serde_json"),
        ("src/store/a.rs", "// A.\n", "does not begin with"),
        ("src/store/a.rs", "use std::fs;\n", "does not begin with"),
        ("src/store/a.rs", &long, "451 lines"),
        ("src/store/a.rs", "//! A.\nfn a() { unsafe { b() } }", "unsafe outside"),
        ("src/store/tests.rs", "//! A.\nunsafe impl Send for A {}", "unsafe outside"),
        ("cli/src/a.rs", "//! A.\n#[path = \"../../src/store/mod.rs\"]\nmod store;", "from another place"),
        ("src/store/a.rs", &unfinished, "DO"),
    ] {
        let complaints = check(&[File::new(path, text)], LIB);
        assert!(complaints.iter().any(|found| found.contains(complaint)), "{path}, {text}: {complaints:?}");
    }
}

#[test]
fn the_rules_forbid_no_more_than_they_say() {
    none(&check(
        &[
            File::new("src/store/a.rs", "//! A.\nuse crate::error::Error;\nuse super::codec::B;\nuse redb::Database;"),
            File::new(
                "src/store/b.rs",
                "//! Not crate::index.\n/* crate::index /* redb */ unsafe */ use crate::Error;",
            ),
            File::new("src/index/b.rs", r##"//! A. const A: &str = "use redb::B; unsafe \" crate::store";"##),
            File::new("src/index/c.rs", "//! A.\nconst A: &str = r#\"crate::store \" unsafe\"#; const B: char = '\"';"),
            File::new(
                "src/index/d.rs",
                "//! A.\nfn a<'a>(b: &'a str, unsafe_code: u8) { self.redb = b; use_index::c() }",
            ),
            File::new("src/index/tests.rs", "//! A.\nuse crate::store::B; use redb::Database;"),
            File::new("src/eval/a.rs", "//! A.\nuse crate::{Collection, Hit};\nuse super::b::C;"),
            File::new("src/collection/mod.rs", "//! A.\nmod b;\nuse crate::{index, store};\npub use b::C;"),
            File::new("src/kernels/x.rs", "//! A.\nfn a() { unsafe { b() } }"),
            File::new("src/bi_encoder/mod.rs", "//! A.\nuse crate::encoder::candle::B;\nuse crate::model::tokenizers;"),
            File::new("src/lib.rs", LIB),
        ],
        LIB,
    ));
}

#[test]
fn a_dependency_without_a_reason_is_noticed() {
    let manifest = "[dependencies]\n# Why.\nredb = \"4\"\n# A family.\ncandle-core = \"1\"\ncandle-nn = \"1\"\nours = { path = \"..\" }\n";
    none(&dependencies(&File::new("Cargo.toml", manifest)));
    none(&dependencies(&File::new("Cargo.toml", "[features]\na = []\n[dev-dependencies]\nb = \"1\"\n")));
    for offence in ["rand = \"1\"", "redb.version = \"1\"", "# Why.\nserde = \"1\"\n\nrand = \"1\""] {
        let complaints = dependencies(&File::new("Cargo.toml", &format!("[dependencies]\n{offence}\n")));
        assert_eq!(complaints.len(), 1, "{offence}: {complaints:?}");
    }
    let target = "[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
    assert_eq!(dependencies(&File::new("Cargo.toml", target)).len(), 1);
}
