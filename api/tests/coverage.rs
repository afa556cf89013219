//! Keeps `docs/coverage.md` true: which scenario (D-…), journal (J…) and invariant (I…, L…) is proved by which test.
//!
//! A test says what it proves in its doc comment. To write the table anew: `UPDATE_COVERAGE=1 cargo test -p api --test
//! coverage`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What this version promises to prove: each has to be named by a test.
const PROMISED: &[&str] = &[
    "D-04", "D-05", "D-07", "D-11", "D-12", "D-13", "D-14", "D-15", "D-31", "D-34", "D-35", "D-42", "D-46", "D-48",
    "D-51", "D-52", "D-53", "D-54", "D-55", "D-68", "D-69", "D-118", "D-154", "D-155", "D-156", "D-157", "D-158",
    "D-159", "D-165", "D-173", "D-174", "D-175", "D-204", "J01", "J02", "J03", "J10", "J11", "J12", "J13", "J16",
    "J20", "J21", "J22", "J23", "J24", "J90", "J91", "J92", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I10",
    "I11", "L1", "L2", "L4", "L6", "L8", "L10",
];

#[test]
fn the_coverage_table_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf();
    let mut proved: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for crate_name in ["ledger", "domain", "adapters", "api", "simulations"] {
        for file in rust_files(&root.join(crate_name)) {
            let shown = file.strip_prefix(&root).unwrap().display().to_string();
            for (test, ids) in tests_of(&fs::read_to_string(&file).unwrap()) {
                for id in ids {
                    proved.entry(id).or_default().insert(format!("`{shown}` {test}"));
                }
            }
        }
    }
    let table = table(&proved);
    let path = root.join("docs/coverage.md");
    if std::env::var_os("UPDATE_COVERAGE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, table, "docs/coverage.md is not true any more: write it anew, and look at what is gone");
    let unproved: Vec<_> = PROMISED.iter().filter(|id| !proved.contains_key(**id)).collect();
    assert!(unproved.is_empty(), "promised, and named by no test: {unproved:?}");
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The tests of a file with the ids that their doc comments name.
fn tests_of(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let (mut docs, mut is_test) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
            docs.push(' ');
        } else if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        } else {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
            if let (true, Some(name)) = (is_test, name) {
                let ids = ids_of(&docs);
                if !ids.is_empty() {
                    found.push((name.trim().to_owned(), ids));
                }
            }
            docs.clear();
            is_test = false;
        }
    }
    found
}

/// `D-35`, `J01`, `I4`, `L1`, and ranges such as `D-51 to D-54`.
fn ids_of(docs: &str) -> BTreeSet<String> {
    let words: Vec<&str> = docs.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let mut ids: BTreeSet<String> =
        words.iter().filter(|word| number(word).is_some()).map(|id| (*id).to_owned()).collect();
    for three in words.windows(3) {
        if let [first, "to", last] = three
            && let (Some((prefix, from)), Some((other, until))) = (number(first), number(last))
            && prefix == other
        {
            let width = first.len() - prefix.len();
            ids.extend((from..=until).map(|number| format!("{prefix}{number:0width$}")));
        }
    }
    ids
}

fn number(word: &str) -> Option<(&str, u32)> {
    ["D-", "J", "I", "L"].into_iter().find_map(|prefix| {
        let digits = word.strip_prefix(prefix)?;
        let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((&word[..prefix.len()], digits.parse().ok().filter(|_| plain)?))
    })
}

fn table(proved: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut text = String::from(
        "# Coverage\n\nWhich scenario (D-…), journal (J…) and invariant (I…, L…) is proved by which test. Written by\n\
         `UPDATE_COVERAGE=1 cargo test -p api --test coverage`; the same test fails when this page is not true.\n\n\
         | Id | Proved by |\n|---|---|\n",
    );
    let mut ids: BTreeSet<&str> = PROMISED.iter().copied().collect();
    ids.extend(proved.keys().map(String::as_str));
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_by_key(|id| number(id).map(|(prefix, number)| (prefix.to_owned(), number)));
    for id in ids {
        let tests = match proved.get(id) {
            Some(tests) => tests.iter().cloned().collect::<Vec<_>>().join("<br>"),
            None => "not proved by a test yet".to_owned(),
        };
        text.extend(["| ", id, " | ", &tests, " |\n"]);
    }
    text
}
