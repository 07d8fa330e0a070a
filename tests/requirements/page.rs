//! The page that a list and its claims make.

use crate::claim::Claim;
use crate::list::{List, Row};

/// The text of the page.
pub(crate) fn of(list: &List, claims: &[Claim]) -> String {
    let mut page = format!("# {}\n", list.title);
    page.extend(list.story.iter().map(|line| format!("{line}\n")));
    for (place, row) in list.rows.iter().enumerate() {
        if let Some(heading) = &row.heading {
            page.push_str(&format!("\n## {heading}\n"));
        }
        if place == 0 || row.heading.is_some() {
            page.push_str("\n| id | RFC | requirement | proved by |\n|---|---|---|---|\n");
        }
        page.push_str(&line(row, claims));
    }
    page
}

fn line(row: &Row, claims: &[Claim]) -> String {
    let tests = claims.iter().filter(|claim| claim.ids.contains(&row.id));
    let links: Vec<String> = tests.map(|claim| format!("[`{}`](../{})", claim.name(), claim.file)).collect();
    let last = match &row.reason {
        Some(reason) => reason.clone(),
        None if links.is_empty() => "**nothing yet**".to_owned(),
        None => links.join(", "),
    };
    format!("| {} | {} | {} | {last} |\n", row.id, row.rfc, row.words)
}

/// The first line in which two pages differ.
pub(crate) fn difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let (found, expected): (Vec<&str>, Vec<&str>) = (found.lines().collect(), expected.lines().collect());
    let at = found.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    let show = |lines: &[&str]| lines.get(at).map_or("nothing".to_owned(), |line| format!("`{line}`"));
    Some(format!("line {}: {} instead of {}", at + 1, show(&found), show(&expected)))
}

#[test]
fn a_page_names_the_tests_or_the_reason() {
    let list =
        List::parse("x", "# T\n#\n# Story.\nA-1 | R | one\nA-2 | R | two | later: so\n== More\nA-3 | R | three\n")
            .unwrap();
    let claim = |function: &str| Claim {
        ids: vec!["A-1".to_owned()],
        file: "src/a/b.rs".to_owned(),
        line: 7,
        function: function.to_owned(),
        ignored: crate::claim::Ignored::Never,
    };
    let page = of(&list, &[claim("f"), claim("g")]);
    let expected = "# T\n\nStory.\n\n| id | RFC | requirement | proved by |\n|---|---|---|---|\n\
                    | A-1 | R | one | [`a::b::f`](../src/a/b.rs), [`a::b::g`](../src/a/b.rs) |\n\
                    | A-2 | R | two | later: so |\n\n## More\n\n| id | RFC | requirement | proved by |\n|---|---|---|---|\n\
                    | A-3 | R | three | **nothing yet** |\n";
    assert_eq!(page, expected);
}

#[test]
fn the_first_difference_is_shown() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some("line 2: `b` instead of `c`"));
    assert_eq!(difference("a\n", "a\nc\n").as_deref(), Some("line 2: nothing instead of `c`"));
}
