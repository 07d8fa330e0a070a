//! Mutations: changes to deciding code that the test named for a requirement must notice. `tests/mutation.sh` makes them.
//!
//! ```text
//! == RLY-48 relay::tests::forwarding::rly_49_send_is_answered_at_once_and_forwarded
//! @ src/relay/egress.rs
//! -text that stands in the file exactly once, on as many lines as it takes
//! +text in its place, perhaps none
//! ```

use std::fs;
use std::path::Path;

use crate::claim::Claim;
use crate::source::module;

/// Modules whose tests need no I/O: their binary is built in seconds.
const CORE: [&str; 4] = ["msrp", "auth", "sdp", "relay"];

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The row that it violates.
    pub(crate) id: String,
    /// The test that must fail, by its path in the test binary, without the name of a case.
    pub(crate) test: String,
    /// The file that is changed.
    pub(crate) file: String,
    /// What is there.
    pub(crate) found: String,
    /// What comes in its place.
    replaced: String,
}

impl Mutation {
    /// All of them, from the files of this directory.
    pub(crate) fn all(directory: &Path) -> Vec<Mutation> {
        let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all.extend(Mutation::parse(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display())));
        }
        all
    }

    fn parse(text: &str) -> Result<Vec<Mutation>, String> {
        let mut all: Vec<Mutation> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let fault = |what: &str| Err(format!("line {}: {what}", index + 1));
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(line) = line.strip_prefix("== ") {
                let Some((id, test)) = line.split_once(' ') else { return fault("a row and a test are needed") };
                if !CORE.iter().any(|module| test.starts_with(&format!("{module}::"))) {
                    return fault("the test is not one of the core's");
                }
                let (id, test) = (id.to_owned(), test.to_owned());
                let (file, found, replaced) = (String::new(), String::new(), String::new());
                all.push(Mutation { id, test, file, found, replaced });
                continue;
            }
            let Some(last) = all.last_mut() else { return fault("no mutation has begun") };
            match line.split_at(1) {
                ("@", file) => last.file = file.trim().to_owned(),
                ("-", line) => add_line(&mut last.found, line),
                ("+", line) => add_line(&mut last.replaced, line),
                _ => return fault("neither `@` nor `-` nor `+`"),
            }
        }
        match all.iter().find(|m| m.file.is_empty() || m.found.is_empty() || m.found == m.replaced) {
            Some(broken) => Err(format!("{}: file, text and another text are needed", broken.place())),
            None => Ok(all),
        }
    }

    /// What it is, for whoever mends it.
    pub(crate) fn place(&self) -> String {
        format!("{} in {}", self.id, self.file)
    }

    /// Whether this is the test that must fail.
    pub(crate) fn names(&self, claim: &Claim) -> bool {
        let inside = self.test.strip_prefix(&format!("{}::", module(&claim.file)));
        inside.is_some_and(|inside| inside.strip_prefix("tests::").unwrap_or(inside) == claim.function)
    }
}

fn add_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[test]
fn a_mutation_is_read_line_by_line() {
    let text = "# why\n== A-1 relay::tests::x::f\n@ src/relay/x.rs\n-    a\n-    b\n+    c\n\n== A-2 msrp::y::tests::g\n@ src/msrp/y.rs\n-d\n";
    let all = Mutation::parse(text).unwrap();
    assert_eq!((all[0].found.as_str(), all[0].replaced.as_str()), ("    a\n    b", "    c"));
    assert_eq!((all[1].id.as_str(), all[1].found.as_str(), all[1].replaced.as_str()), ("A-2", "d", ""));
    let claim = |file: &str, function: &str| Claim {
        ids: vec![],
        file: file.to_owned(),
        line: 1,
        function: function.to_owned(),
        ignored: crate::claim::Ignored::Never,
    };
    assert!(all[0].names(&claim("src/relay/tests/x.rs", "f")) && !all[0].names(&claim("src/relay/tests/x.rs", "g")));
    assert!(all[1].names(&claim("src/msrp/y.rs", "g")) && !all[1].names(&claim("src/relay/y.rs", "g")));
    for broken in ["-a\n", "== A-1\n", "== A-1 net::x\n", "== A-1 relay::x\n@ f\n-a\n+a\n", "== A-1 relay::x\n-a\n"] {
        assert!(Mutation::parse(broken).is_err(), "{broken:?}");
    }
}
