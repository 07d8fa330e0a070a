//! What a run has really run: the output of `cargo test`.

use std::collections::HashMap;

use crate::claim::Claim;
use crate::source::module;

/// Tests by crate and path, and whether all of them that ran have passed.
#[derive(Default)]
pub(crate) struct Ran(HashMap<(String, String), bool>);

impl Ran {
    /// Reads the output of one `cargo test` or of several.
    pub(crate) fn of(output: &str) -> Ran {
        let mut ran = Ran::default();
        let mut crate_name = String::new();
        for line in output.lines() {
            if let Some(binary) = line.trim_start().strip_prefix("Running ") {
                let file = binary.rsplit(['/', '(']).next().unwrap_or_default();
                crate_name = file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned();
            } else if line.trim_start().starts_with("Doc-tests ") {
                crate_name.clear();
            } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|test| test.rsplit_once(" ... ")) {
                let name = name.split(" - ").next().unwrap_or(name);
                let passed = match result.split(' ').next() {
                    Some("ok") => true,
                    Some("FAILED") => false,
                    _ => continue,
                };
                *ran.0.entry((crate_name.clone(), name.to_owned())).or_insert(true) &= passed;
            }
        }
        ran
    }

    /// Whether a claim's test has run, in each of its cases at hand, and never failed.
    pub(crate) fn passed(&self, claim: &Claim) -> bool {
        let (target, modules) = place(&claim.file);
        let is_it = |name: &str| {
            let inside = if modules.is_empty() { Some(name) } else { name.strip_prefix(&format!("{modules}::")) };
            inside.is_some_and(|inside| inside.split("::").any(|part| part == claim.function))
        };
        let mut all = self.0.iter().filter(|((at, name), _)| *at == target && is_it(name)).peekable();
        all.peek().is_some() && all.all(|(_, passed)| *passed)
    }
}

/// The crate that a file belongs to, and its modules in there.
fn place(file: &str) -> (String, String) {
    let path = module(file);
    match file.strip_prefix("loadtest/").unwrap_or(file).starts_with("src/") {
        true if file.starts_with("loadtest/") => {
            ("chappe_load".to_owned(), path.trim_start_matches("loadtest::").to_owned())
        }
        true => ("chappe".to_owned(), path),
        false => {
            let path = path.trim_start_matches("loadtest::");
            let (target, modules) = path.split_once("::").unwrap_or((path, ""));
            (target.to_owned(), modules.to_owned())
        }
    }
}

#[test]
fn only_what_ran_and_never_failed_has_passed() {
    let ran = Ran::of(
        "     Running unittests src/lib.rs (target/debug/deps/chappe-0123456789abcdef)\n\
         test a::tests::one::case_1 ... ok\ntest a::tests::one::case_2_x ... ok\ntest a::tests::two ... ok\n\
         test a::tests::three ... ignored, needs a release build\ntest b::four ... FAILED\ntest b::five - should panic ... ok\n\
         test b::seven ... ok\n     Running tests/net/main.rs (target/debug/deps/net-0123456789abcdef)\n\
         test far::six ... ok\ntest eight ... ok\ntest b::four ... ok\n     Running unittests src/lib.rs (/x/deps/chappe-01)\n\
         test b::seven ... FAILED\n   Doc-tests chappe\ntest src/lib.rs - nine (line 7) ... ok\n",
    );
    let claim = |file: &str, function: &str| Claim {
        ids: vec![],
        file: file.to_owned(),
        line: 1,
        function: function.to_owned(),
        ignored: crate::claim::Ignored::Never,
    };
    for (file, function, passed) in [
        ("src/a.rs", "one", true),
        ("src/a/tests.rs", "two", true),
        ("src/a.rs", "three", false),
        ("src/b.rs", "four", false),
        ("src/b.rs", "five", true),
        ("src/b.rs", "seven", false),
        ("src/c.rs", "two", false),
        ("tests/net/far.rs", "six", true),
        ("tests/net/main.rs", "eight", true),
        ("tests/net/main.rs", "two", false),
        ("src/lib.rs", "nine", false),
    ] {
        assert_eq!(ran.passed(&claim(file, function)), passed, "{file} {function}");
    }
}
