//! Lists of requirements: a row is `id | RFC | words`, and `| reason` where no test proves it.
//!
//! Lines that begin with `#` are for the page: the first is its title, the others are what it says above the table. A line
//! `== heading` begins another table.

use crate::id;

/// A file of requirements.
pub(crate) struct List {
    /// The name of the file, without its end.
    pub(crate) name: String,
    /// Title of the page.
    pub(crate) title: String,
    /// What stands above the table.
    pub(crate) story: Vec<String>,
    /// In the order of the file.
    pub(crate) rows: Vec<Row>,
}

/// One requirement.
pub(crate) struct Row {
    /// Its id.
    pub(crate) id: String,
    /// RFC and section; `–` for a decision of ours.
    pub(crate) rfc: String,
    /// What is required.
    pub(crate) words: String,
    /// Why there is no test.
    pub(crate) reason: Option<String>,
    /// What stands above its table, for the first row of one.
    pub(crate) heading: Option<String>,
}

/// How reasons begin.
const REASONS: [&str; 2] = ["later: ", "not ours: "];

impl List {
    /// Reads one, or says what is wrong with which line.
    pub(crate) fn parse(name: &str, text: &str) -> Result<List, String> {
        let mut story: Vec<String> = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        let mut heading = None;
        for (index, line) in text.lines().enumerate() {
            if let Some(line) = line.strip_prefix('#') {
                story.push(line.trim().to_owned());
            } else if let Some(line) = line.strip_prefix("== ") {
                heading = Some(line.trim().to_owned());
            } else if !line.trim().is_empty() {
                let mut row = Row::parse(line).map_err(|fault| format!("line {}: {fault}", index + 1))?;
                if rows.iter().any(|other| other.id == row.id) {
                    return Err(format!("line {}: {} stands twice", index + 1, row.id));
                }
                row.heading = heading.take();
                rows.push(row);
            }
        }
        if story.is_empty() || rows.is_empty() {
            return Err("a title and a row are needed".to_owned());
        }
        let title = story.remove(0);
        Ok(List { name: name.to_owned(), title, story, rows })
    }
}

impl Row {
    fn parse(line: &str) -> Result<Row, String> {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let (id, rfc, words, reason) = match fields[..] {
            [id, rfc, words] => (id, rfc, words, None),
            [id, rfc, words, reason] => (id, rfc, words, Some(reason)),
            _ => return Err(format!("{} fields instead of 3 or 4", fields.len())),
        };
        if !id::is_id(id) {
            return Err(format!("`{id}` is no id"));
        }
        if rfc.is_empty() || words.is_empty() {
            return Err(format!("{id}: an empty field"));
        }
        let is_reason = |text: &str| REASONS.iter().any(|start| text.len() > start.len() && text.starts_with(start));
        if reason.is_some_and(|text| !is_reason(text)) {
            return Err(format!("{id}: a reason begins with `later: ` or `not ours: `"));
        }
        let owned = str::to_owned;
        Ok(Row { id: owned(id), rfc: owned(rfc), words: owned(words), reason: reason.map(owned), heading: None })
    }
}

#[test]
fn a_list_is_read_in_its_order() {
    let text = "# Title\n#\n# Story.\n\nB-2 | – | two\n\n== More\n\nA-S01 | RFC 1 §2 | one | later: so\n";
    let list = List::parse("x", text).unwrap();
    assert_eq!(
        (list.name.as_str(), list.title.as_str(), &list.story[..]),
        ("x", "Title", &["", "Story."].map(str::to_owned)[..])
    );
    let ids: Vec<&str> = list.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids, list.rows[1].reason.as_deref()), (vec!["B-2", "A-S01"], Some("later: so")));
    let headings: Vec<_> = list.rows.iter().map(|row| row.heading.as_deref()).collect();
    assert_eq!(headings, [None, Some("More")]);
}

#[test]
fn bad_rows_are_named() {
    for (row, fault) in [
        ("A-1 | RFC 1", "2 fields"),
        ("A-1 | RFC 1 | a | later: b | c", "5 fields"),
        ("A1 | RFC 1 | a", "no id"),
        ("A-1 | | a", "an empty field"),
        ("A-1 | RFC 1 | ", "an empty field"),
        ("A-1 | RFC 1 | a | soon", "a reason begins"),
        ("A-1 | RFC 1 | a | later: ", "a reason begins"),
        ("A-1 | RFC 1 | a\nA-1 | RFC 1 | b", "stands twice"),
        ("", "a title and a row"),
    ] {
        let found = List::parse("x", &format!("# T\n{row}\n")).map(|_| ()).unwrap_err();
        assert!(found.contains(fault), "{row:?}: {found}");
    }
}
