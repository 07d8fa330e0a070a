//! Source files, and whether a crate has them.

use std::fs;
use std::path::Path;

/// Where each file is a crate.
const TARGETS: [&str; 2] = ["tests", "loadtest/tests"];

/// A file, by its path from the root of the repository.
pub(crate) struct Source {
    /// With `/` between its parts.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// All Rust files below these directories, by name.
pub(crate) fn all(root: &Path, trees: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for tree in trees {
        walk(root, tree, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, directory: &str, found: &mut Vec<Source>) {
    let entries = fs::read_dir(root.join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    for entry in entries {
        let entry = entry.expect("an entry");
        let path = format!("{directory}/{}", entry.file_name().to_str().expect("a plain name"));
        if entry.path().is_dir() {
            walk(root, &path, found);
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            found.push(Source { path, text });
        }
    }
}

/// The module that a file is, as its path is written in Rust: `src/sdp/tests/anchor.rs` is `sdp::tests::anchor`.
pub(crate) fn module(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").or_else(|| path.strip_suffix("/main")).unwrap_or(path);
    let (member, path) = path.strip_prefix("loadtest/").map_or(("", path), |path| ("loadtest::", path));
    let path = path.strip_prefix("src/").or_else(|| path.strip_prefix("tests/")).unwrap_or(path);
    format!("{member}{}", path.replace('/', "::"))
}

/// Whether a file is a crate of its own, or declared by one that is reached.
pub(crate) fn is_reached(path: &str, sources: &[Source]) -> bool {
    let Some((directory, file)) = path.rsplit_once('/') else { return false };
    if TARGETS.contains(&directory) || ["lib.rs", "main.rs"].contains(&file) {
        return true;
    }
    let (directory, name) = match (file, directory.rsplit_once('/')) {
        ("mod.rs", Some(place)) => place,
        _ => (directory, file.trim_end_matches(".rs")),
    };
    let declaration = format!("mod {name};");
    sources.iter().filter(|source| source.path != path && may_declare(&source.path, directory)).any(|source| {
        let mut lines = source.text.lines();
        lines.any(|line| line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ") == declaration)
            && is_reached(&source.path, sources)
    })
}

/// Whether this file's modules are in that directory.
fn may_declare(path: &str, directory: &str) -> bool {
    path.strip_suffix(".rs") == Some(directory)
        || path.rsplit_once('/').is_some_and(|(place, file)| {
            let is_root = ["mod.rs", "lib.rs", "main.rs"].contains(&file);
            place == directory && (is_root || TARGETS.contains(&place))
        })
}

#[test]
fn modules_are_named_as_the_test_binary_does() {
    for (path, name) in [
        ("src/sdp/tests/anchor.rs", "sdp::tests::anchor"),
        ("src/sdp/tests/mod.rs", "sdp::tests"),
        ("tests/end_to_end.rs", "end_to_end"),
        ("tests/requirements/main.rs", "requirements"),
        ("loadtest/src/wire/head.rs", "loadtest::wire::head"),
        ("loadtest/tests/moves.rs", "loadtest::moves"),
    ] {
        assert_eq!(module(path), name);
    }
}

#[test]
fn files_that_nobody_declares_are_not_reached() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        source("src/lib.rs", "pub mod a;\n"),
        source("src/a/mod.rs", "#[cfg(test)]\nmod tests;\nmod b;\n"),
        source("src/a/b.rs", "mod c;\n"),
        source("src/a/b/c.rs", ""),
        source("src/a/tests/mod.rs", "mod one;\n// mod two;\n"),
        source("src/a/tests/one.rs", ""),
        source("src/a/tests/two.rs", ""),
        source("src/d/mod.rs", "mod e;\n"),
        source("src/d/e.rs", ""),
        source("tests/x.rs", "mod support;\n"),
        source("tests/support/mod.rs", ""),
        source("tests/lost/mod.rs", ""),
    ];
    for path in
        ["src/lib.rs", "src/a/b/c.rs", "src/a/tests/mod.rs", "src/a/tests/one.rs", "tests/x.rs", "tests/support/mod.rs"]
    {
        assert!(is_reached(path, &sources), "{path}");
    }
    for path in ["src/a/tests/two.rs", "src/d/mod.rs", "src/d/e.rs", "tests/lost/mod.rs"] {
        assert!(!is_reached(path, &sources), "{path}");
    }
}
