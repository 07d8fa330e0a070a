//! Claims: ids in the doc comments of tests.

use std::collections::HashSet;

use crate::id;
use crate::source::{Source, module};

/// A test that says which requirements it proves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The ids, each once.
    pub(crate) ids: Vec<String>,
    /// Its file, from the root of the repository.
    pub(crate) file: String,
    /// The line of the function's name.
    pub(crate) line: usize,
    /// The name of the function.
    pub(crate) function: String,
    /// Whether it is run.
    pub(crate) ignored: Ignored,
}

/// When a test is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// It is always run.
    Never,
    /// It needs a release build.
    InDebug,
    /// It needs something that is not everywhere.
    Always,
}

impl Claim {
    /// Where it is, for whoever mends it.
    pub(crate) fn place(&self) -> String {
        format!("{}:{} {}", self.file, self.line, self.function)
    }

    /// Its name, as the test binary has it, but for modules inside the file.
    pub(crate) fn name(&self) -> String {
        format!("{}::{}", module(&self.file), self.function)
    }
}

/// Doc comment and attributes of the item that comes.
#[derive(Default)]
struct Head {
    docs: Vec<String>,
    attributes: Vec<String>,
    /// Brackets of an attribute that are open.
    open: usize,
}

/// Finds all claims of a file. `families` are those that some list has: `SHA-256` is no id.
pub(crate) fn collect(source: &Source, families: &HashSet<&str>, claims: &mut Vec<Claim>, faults: &mut Vec<String>) {
    let mut head = Head::default();
    for (index, line) in source.text.lines().enumerate() {
        let text = line.trim();
        if head.open > 0 || text.starts_with("#[") {
            let (brackets, rest) = brackets(text, head.open);
            head.open = brackets;
            head.attributes.push(text.to_owned());
            if rest.is_empty() {
                continue;
            }
        }
        if let Some(doc) = text.strip_prefix("///") {
            head.docs.push(doc.trim().to_owned());
        } else if !text.starts_with("//") && (!text.is_empty() || !head.docs.is_empty()) && head.open == 0 {
            let head = std::mem::take(&mut head);
            finish(head, text, (source, index + 1), families, claims, faults);
        }
    }
}

/// What an item makes of the comment above it.
fn finish(
    head: Head,
    item: &str,
    (source, line): (&Source, usize),
    families: &HashSet<&str>,
    claims: &mut Vec<Claim>,
    faults: &mut Vec<String>,
) {
    let is_test = head.attributes.iter().any(|attribute| is_test(attribute));
    let mut ids: Vec<String> = Vec::new();
    for doc in &head.docs {
        let bare = is_bare(doc);
        let meant = id::words(doc).filter(|word| id::is_id(word) && (bare || families.contains(id::family(word))));
        for id in meant.map(str::to_owned) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let of_a_list = id::words(doc).any(|word| families.contains(id::family(word)));
        if bare && of_a_list && !is_test {
            faults.push(format!("{}:{line}: `{doc}` stands above what is no test: {item}", source.path));
        }
    }
    match function(item) {
        Some(function) if is_test && !ids.is_empty() => {
            let ignored = ignored(&head.attributes);
            claims.push(Claim { ids, file: source.path.clone(), line, function: function.to_owned(), ignored });
        }
        None if is_test && !ids.is_empty() => {
            faults.push(format!("{}:{line}: the test of {} has no name: {item}", source.path, ids.join(", ")));
        }
        _ => {}
    }
}

/// Whether a line of a doc comment says nothing but ids.
fn is_bare(doc: &str) -> bool {
    let mut words = doc.split([',', ' ', ';', '.']).filter(|word| !word.is_empty()).peekable();
    words.peek().is_some() && words.all(id::is_id)
}

fn is_test(attribute: &str) -> bool {
    ["#[test]", "#[rstest]", "#[tokio::test]", "#[tokio::test("].iter().any(|start| attribute.starts_with(start))
}

fn ignored(attributes: &[String]) -> Ignored {
    let any = |start: &str| attributes.iter().any(|attribute| attribute.starts_with(start));
    if any("#[cfg_attr(debug_assertions, ignore") {
        Ignored::InDebug
    } else if any("#[ignore") || attributes.iter().any(|a| a.starts_with("#[cfg_attr(") && a.contains(", ignore")) {
        Ignored::Always
    } else {
        Ignored::Never
    }
}

/// The name in `pub async fn name(`.
fn function(item: &str) -> Option<&str> {
    let (before, after) = item.split_once("fn ")?;
    let is_word = |word: &str| ["pub", "pub(crate)", "pub(super)", "async", "const"].contains(&word);
    let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len());
    (before.split_whitespace().all(is_word) && end > 0).then_some(&after[..end])
}

/// Brackets that are open after this line, where `open` were before it, and what follows the attribute. Those in strings
/// and characters do not count.
fn brackets(line: &str, mut open: usize) -> (usize, &str) {
    let octets = line.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while at < octets.len() {
        match octets[at] {
            b'r' if !quoted && line[at..].starts_with("r#\"") => {
                at += 3;
                at += line[at..].find("\"#").map_or(line.len(), |end| end + 1);
            }
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'\'' if !quoted && octets.get(at + 2) == Some(&b'\'') => at += 2,
            b'[' if !quoted => open += 1,
            b']' if !quoted => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return (0, line[at + 1..].trim_start());
                }
            }
            _ => {}
        }
        at += 1;
    }
    (open, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<Claim>, Vec<String>) {
        let source = Source { path: "src/x.rs".to_owned(), text: text.to_owned() };
        let (mut claims, mut faults) = (Vec::new(), Vec::new());
        collect(&source, &HashSet::from(["AB-", "CD-S"]), &mut claims, &mut faults);
        (claims, faults)
    }

    fn claimed(text: &str) -> Vec<String> {
        let (claims, faults) = found(text);
        assert!(faults.is_empty(), "{faults:?}");
        claims.iter().map(|claim| format!("{} {}", claim.function, claim.ids.join(" "))).collect()
    }

    #[test]
    fn ids_above_tests_are_claims() {
        let cases = "#[case::a(\"]\", ']',\n    \"x\", r#\"\"]\"#)]\n// why\n#[case(b'[')]\n";
        for (text, claim) in [
            ("/// AB-1, CD-S07\n#[test]\nfn a() {", "a AB-1 CD-S07"),
            ("    /// Says what, of which AB-1 (AB-1) and SHA-256.\n    #[test]\n    fn b(x in y()) {", "b AB-1"),
            ("/// AB-1\n/// It.\n/// AB-2.\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn c() {", "c AB-1 AB-2"),
            (&format!("/// AB-1\n#[rstest]\n{cases}pub fn d<T>(#[case] x: u8) {{"), "d AB-1"),
            (&format!("#[rstest]\n{cases}/// AB-1\n#[tokio::test]\nasync fn e() {{"), "e AB-1"),
            ("/// EF-1\n#[test]\nfn f() {", "f EF-1"),
        ] {
            assert_eq!(claimed(text), [claim], "{text}");
        }
    }

    #[test]
    fn ids_elsewhere_are_none() {
        for text in [
            "/// Keeps AB-1.\nfn a() {\n}\n#[test]\nfn b() {",
            "/// Keeps AB-1.\nstruct A;\n\n#[test]\nfn b() {",
            "//! AB-1\n#[test]\nfn a() {",
            "// AB-1\n#[test]\nfn a() {\n    // AB-1",
            "/// Of RFC-4975 and SHA-256.\n#[test]\nfn a() {",
            "/// EF-1\nfn a() {",
            "/// AB-1 is kept.\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {",
        ] {
            assert_eq!(claimed(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn ids_alone_above_what_is_no_test_are_a_fault() {
        for text in
            ["/// AB-1\nfn a() {", "/// AB-1, CD-S2\n\n#[test]\nfn a() {", "/// AB-1\n#[cfg(test)]\nmod tests {"]
        {
            let (claims, faults) = found(text);
            assert!(claims.is_empty() && faults.len() == 1, "{text}: {claims:?} {faults:?}");
        }
    }

    #[test]
    fn tests_that_are_passed_over_are_known() {
        for (attribute, ignored) in [
            ("#[cfg_attr(debug_assertions, ignore = \"slow\")]", Ignored::InDebug),
            ("#[ignore]", Ignored::Always),
            ("#[ignore = \"needs a peer\"]", Ignored::Always),
            ("#[cfg_attr(not(unix), ignore)]", Ignored::Always),
            ("#[cfg(unix)]", Ignored::Never),
        ] {
            let (claims, _) = found(&format!("/// AB-1\n#[test]\n{attribute}\nfn a() {{"));
            assert_eq!((claims.len(), claims[0].ignored, claims[0].line), (1, ignored, 4), "{attribute}");
        }
    }
}
