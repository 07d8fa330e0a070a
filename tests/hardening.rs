//! What the sources must keep to: `unsafe` in one file, and no hash that a peer can foresee.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these directories, with their paths from the root.
fn sources(directories: &[&str]) -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    directories.iter().for_each(|directory| collect(&root().join(directory), &mut found));
    assert!(found.len() > 100 || directories != ["src"], "only {} files", found.len());
    found
}

/// The lines of a file without comments and texts in quotes, as far as a look line by line can tell.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let quoted = |at: usize| line[..at].matches('"').count() % 2 == 1;
    line.match_indices(word)
        .any(|(at, _)| !quoted(at) && !line[..at].ends_with(letter) && !line[at + word.len()..].starts_with(letter))
}

#[test]
fn unsafe_code_stands_in_one_file() {
    const ENGINE: &str = "src/net/engine/ring.rs";
    let mut uses = Vec::new();
    for (path, text) in sources(&["src", "loadtest/src", "tests", "benches", "fuzz/fuzz_targets"]) {
        let lifted = code(&text).any(|line| has_word(line, "unsafe_code"));
        if lifted || code(&text).any(|line| has_word(line, "unsafe")) {
            uses.push(path.display().to_string());
        }
    }
    assert_eq!(uses, [ENGINE]);
    let engine = fs::read_to_string(root().join(ENGINE)).expect("the engine");
    assert_eq!(code(&engine).filter(|line| has_word(line, "unsafe")).count(), 1, "as few as there were");
    for (manifest, rule) in [("Cargo.toml", "deny"), ("loadtest/Cargo.toml", "forbid")] {
        let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
        assert!(text.contains(&format!("\nunsafe_code = \"{rule}\"\n")), "{manifest}");
    }
}

/// A hasher whose seed is known is fit only for keys that no peer chooses. Each such map, and why it may be one.
const FORESEEABLE: [(&str, &str, &str); 11] = [
    ("src/relay/transaction.rs", "live", "transact-ids that we made from a CSPRNG"),
    ("src/relay/link.rs", "reverse", "the same"),
    ("src/relay/mod.rs", "sessions", "tokens that we made from a CSPRNG"),
    ("src/relay/mod.rs", "relays", "names of peer relays, from the configuration"),
    ("src/relay/mod.rs", "redirects", "tokens that some shard of ours made"),
    ("src/relay/mod.rs", "abroad", "tokens that some shard of ours made and knows, and our own numbers"),
    ("src/relay/mod.rs", "lost", "our own numbers"),
    ("src/relay/mod.rs", "abandoned", "our own numbers"),
    ("src/sip/transaction/outside.rs", "names", "hashes under a secret"),
    ("src/sip/transaction/mod.rs", "clients", "our own numbers"),
    ("src/sip/transaction/mod.rs", "servers", "our own numbers"),
];

#[test]
fn no_map_whose_keys_a_peer_chooses_can_be_made_to_collide() {
    for (path, text) in sources(&["src"]) {
        for line in code(&text).filter(|line| has_word(line, "foldhash") || line.contains("FixedState")) {
            let file = path.display().to_string();
            // The core's own, which a seed of the process has made.
            let seeded = file == "src/relay/mod.rs" && line.contains("FixedState::with_seed(u64::from_le_bytes(key");
            let known = FORESEEABLE.iter().any(|(at, name, _)| *at == file && has_word(line, name));
            assert!(
                known || seeded,
                "{file}: {line}\na map with a hasher whose seed is known; use std's, or say why its keys are ours"
            );
        }
    }
}

/// What stands in for cargo-deny says this and ends with that status; what stands in for the database has so many advisories.
fn advisories(deny: Option<(&str, u8)>, known: usize) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let (bin, database) = (directory.path().join("bin"), directory.path().join("database"));
    fs::create_dir_all(&bin).expect("a directory");
    if let Some((says, status)) = deny {
        let script =
            format!("#!/bin/sh\ngrep -q '^db-urls' \"$3\" || exit 9\nprintf '%s\\n' '{says}'\nexit {status}\n");
        fs::write(bin.join("cargo-deny"), script).expect("a file");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("cargo-deny"), executable).expect("a mode");
    }
    if known > 0 {
        fs::create_dir_all(database.join("crates")).expect("a directory");
        (0..known).for_each(|n| fs::write(database.join(format!("crates/{n}.md")), "x").expect("a file"));
        for arguments in
            [&["init", "-q"][..], &["add", "."], &["-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "t"]]
        {
            let done = Command::new("git").current_dir(&database).args(arguments).status().expect("git runs");
            assert!(done.success(), "git {arguments:?}");
        }
    }
    let mut script = Command::new(root().join("tests/advisories.sh"));
    // Nothing that happens to be installed beside cargo.
    script.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    let output = script.env("ADVISORY_DB", format!("file://{}", database.display())).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn advisories_that_were_not_checked_are_not_passed() {
    const FOUND: &str = "error[vulnerability]: something is known";
    for (deny, known, status, says) in [
        (Some(("advisories ok", 0)), 150, 0, "advisories: passed, 150 advisories known"),
        (Some((FOUND, 1)), 150, 1, "advisories: FAILED"),
        (Some(("error: failed to fetch advisory database", 1)), 150, 75, "NOT CHECKED: cargo-deny gave no verdict"),
        (Some(("advisories ok", 0)), 0, 75, "NOT CHECKED: the database at file:"),
        (Some(("advisories ok", 0)), 3, 75, "has 3 advisories: it is not the one"),
        (None, 150, 75, "NOT CHECKED: cargo-deny is not installed"),
    ] {
        let (code, said) = advisories(deny, known);
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains(says), "{said}");
        assert_eq!(said.contains("passed"), status == 0, "{said}");
    }
}
