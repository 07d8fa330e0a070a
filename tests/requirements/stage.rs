//! Which tests `tests/run.sh` runs although they are ignored.

use crate::claim::{Claim, Ignored};

/// What the script says.
pub(crate) struct Stages {
    commands: Vec<String>,
    /// Whether files with tests that need a release build are looked for and run.
    release: bool,
}

impl Stages {
    /// Reads the script.
    pub(crate) fn of(script: &str) -> Stages {
        let script = script.replace("\\\n", " ");
        let is_command = |line: &&str| !line.trim_start().starts_with('#');
        let commands: Vec<String> = script.lines().filter(is_command).map(str::to_owned).collect();
        let search = "'cfg_attr(debug_assertions, ignore' tests/*.rs loadtest/tests/*.rs";
        let release = commands.iter().any(|line| line.contains(search));
        Stages { commands, release }
    }

    /// Whether a test is run by any stage.
    pub(crate) fn run(&self, claim: &Claim) -> bool {
        let target = target(&claim.file);
        match (claim.ignored, target) {
            (Ignored::Never, _) => true,
            (_, None) => false,
            (Ignored::InDebug, Some(name)) => {
                let is_found = ["tests", "loadtest/tests"].iter().any(|d| claim.file == format!("{d}/{name}.rs"));
                self.release && is_found || self.names(name)
            }
            (Ignored::Always, Some(name)) => self.names(name),
        }
    }

    /// Whether a command runs the ignored tests of this target.
    fn names(&self, target: &str) -> bool {
        self.commands.iter().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let named = words.windows(2).any(|pair| pair == ["--test", target]);
            named && words.iter().any(|word| ["--include-ignored", "--ignored"].contains(word))
        })
    }
}

/// The test target that a file belongs to.
fn target(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("loadtest/").unwrap_or(file).strip_prefix("tests/")?;
    match inside.split_once('/') {
        Some((directory, _)) => Some(directory),
        None => inside.strip_suffix(".rs"),
    }
}

#[test]
fn ignored_tests_need_a_stage_of_their_own() {
    let script = "a() {\n  run_tests --test peers \\\n    -- --include-ignored\n}\n# run_tests --test off -- --ignored\n\
                  run_tests --test plain\nfor f in $(grep 'cfg_attr(debug_assertions, ignore' tests/*.rs loadtest/tests/*.rs)\n";
    let run = |script: &str, file: &str, ignored| {
        let claim = Claim { ids: vec![], file: file.to_owned(), line: 1, function: "a".to_owned(), ignored };
        Stages::of(script).run(&claim)
    };
    for (file, ignored, expected) in [
        ("src/a.rs", Ignored::Never, true),
        ("src/a.rs", Ignored::Always, false),
        ("src/a.rs", Ignored::InDebug, false),
        ("tests/peers.rs", Ignored::Always, true),
        ("tests/peers/calls.rs", Ignored::Always, true),
        ("tests/off.rs", Ignored::Always, false),
        ("tests/plain.rs", Ignored::Always, false),
        ("tests/plain.rs", Ignored::InDebug, true),
        ("tests/deep/a.rs", Ignored::InDebug, false),
    ] {
        assert_eq!(run(script, file, ignored), expected, "{file} {ignored:?}");
    }
    assert!(!run("", "tests/plain.rs", Ignored::InDebug));
}
