//! The file form: sections and keys of a parsed TOML text, read key by key.
//!
//! Reading never stops at the first problem: each is noted with its place, and the reader goes on with the default. A section
//! remembers which keys it was asked for; whatever else stands in it when it is closed is unknown.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::problem::{Fault, Problem, Problems};
use super::value::Value;

/// The text, the directory it stands in, and the problems found so far.
pub(super) struct Document<'d> {
    text: &'d str,
    base: &'d Path,
    problems: RefCell<Vec<Problem>>,
    /// Every key path that was asked for, without indices: what `config/chappe.toml` has to document.
    #[cfg(test)]
    pub(super) known: RefCell<std::collections::BTreeSet<String>>,
}

/// A key's path and line.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) line: usize,
}

/// A value together with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One table of the document, or the empty one in place of a table that is not there.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    table: Option<&'d DeTable<'d>>,
    place: Place,
    known: Vec<&'static str>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str, base: &'d Path) -> Document<'d> {
        Document {
            text,
            base,
            problems: RefCell::default(),
            #[cfg(test)]
            known: RefCell::default(),
        }
    }

    /// The parsed text, or all of its syntax errors as problems.
    pub(super) fn parse(&self) -> Option<DeTable<'d>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line(error.span().unwrap_or(0..0));
            self.fault(Place { key: String::new(), line }, Fault::Syntax(error.message().replace('\n', ", ")));
        }
        errors.is_empty().then(|| table.into_inner())
    }

    pub(super) fn root(&'d self, table: &'d DeTable<'d>) -> Section<'d> {
        Section { document: self, table: Some(table), place: Place { key: String::new(), line: 1 }, known: Vec::new() }
    }

    pub(super) fn fault(&self, place: Place, fault: Fault) {
        self.problems.borrow_mut().push(Problem { key: place.key, line: Some(place.line), fault });
    }

    /// `value`, unless something was wrong.
    pub(super) fn finish<T>(&self, file: &str, value: Option<T>) -> Result<T, Problems> {
        let mut list = self.problems.take();
        list.sort_by_key(|problem| problem.line);
        match value {
            Some(value) if list.is_empty() => Ok(value),
            _ => Err(Problems { file: file.to_owned(), list }),
        }
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        1 + memchr::memchr_iter(b'\n', before).count()
    }
}

impl<'d> Section<'d> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether `key` is missing or an empty list.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let value = self.table.and_then(|table| table.get(key));
        value.is_none_or(|value| value.get_ref().as_array().is_some_and(|entries| entries.is_empty()))
    }

    /// Whether the section stands in the file at all.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Where `key` stands; where it is missing, the line of the section's head.
    pub(super) fn place(&self, key: &str) -> Place {
        let line = match self.table.and_then(|table| table.get(key)) {
            Some(value) => self.document.line(value.span()),
            None => self.place.line,
        };
        Place { key: self.path(key), line }
    }

    pub(super) fn here(&self) -> Place {
        self.place.clone()
    }

    pub(super) fn fault(&self, place: Place, fault: Fault) {
        self.document.fault(place, fault);
    }

    /// The value of `key`; none if it is missing or, after noting the problem, if it is not a `T`.
    pub(super) fn take<T: Value>(&mut self, key: &'static str) -> Option<Found<T>> {
        let (value, place) = self.raw(key)?;
        self.convert(value, place)
    }

    /// The value of `key` or its default.
    pub(super) fn or<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.take(key).map_or(default, |found| found.value)
    }

    /// As [`Section::or`], where zero is a problem.
    pub(super) fn positive<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.positive_if_any(key).unwrap_or(default)
    }

    /// The value of a key without a default, where zero is a problem.
    pub(super) fn positive_if_any<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let found = self.take::<T>(key)?;
        if found.value.is_zero() {
            self.fault(found.place, Fault::Zero);
            return None;
        }
        Some(found.value)
    }

    /// The value of `key`, which must be there.
    pub(super) fn require<T: Value>(&mut self, key: &'static str, mend: &'static str) -> Option<Found<T>> {
        if !self.has(key) {
            self.fault(self.place(key), Fault::Missing { mend });
        }
        self.take(key)
    }

    /// The entries of the array `key` that can be read; none if the key is missing.
    pub(super) fn list<T: Value>(&mut self, key: &'static str) -> Option<Vec<Found<T>>> {
        let (value, place) = self.raw(key)?;
        let DeValue::Array(entries) = value else {
            self.not_a(value, place, "a list", "it in square brackets, as [\"…\", \"…\"]");
            return Some(Vec::new());
        };
        let found = entries.iter().enumerate().filter_map(|(index, entry)| {
            let place = Place { key: format!("{}[{index}]", place.key), line: self.document.line(entry.span()) };
            self.convert(entry.get_ref(), place)
        });
        Some(found.collect())
    }

    /// As [`Section::list`], where an empty list is a problem.
    pub(super) fn nonempty_list<T: Value>(&mut self, key: &'static str, mend: &'static str) -> Option<Vec<Found<T>>> {
        if self.has(key) && self.is_empty_list(key) {
            self.fault(self.place(key), Fault::Empty { mend });
        }
        self.list(key)
    }

    /// The value of `key`, or the entries of the list that it is, at least one; none if the key is missing.
    pub(super) fn one_or_more<T: Value>(&mut self, key: &'static str, mend: &'static str) -> Vec<Found<T>> {
        match self.table.and_then(|table| table.get(key)).map(|value| value.get_ref()) {
            Some(DeValue::Array(_)) => self.nonempty_list(key, mend).unwrap_or_default(),
            _ => self.take(key).into_iter().collect(),
        }
    }

    /// The table `key`, or an empty one.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'d> {
        let mut section = Section { document: self.document, table: None, place: self.place(key), known: Vec::new() };
        match self.raw(key) {
            Some((DeValue::Table(table), _)) => section.table = Some(table),
            Some((value, place)) => self.unnamed(value, place, "a section", "it as [section] with one key per line"),
            None => {}
        }
        section
    }

    /// The tables of the array `key`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'d>> {
        let Some((value, place)) = self.raw(key) else { return Vec::new() };
        let DeValue::Array(entries) = value else {
            self.unnamed(value, place, "a list of sections", "its head in double brackets, as [[listen]]");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let place = Place { key: format!("{}[{index}]", place.key), line: self.document.line(entry.span()) };
            match entry.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section { document: self.document, table: Some(table), place, known: Vec::new() });
                }
                value => self.unnamed(value, place, "a section", "its head in double brackets, as [[listen]]"),
            }
        }
        sections
    }

    /// The path in `key`, relative to the file's directory, after a check that it can be opened for reading.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let found = self.take::<String>(key)?;
        let (path, place) = (self.resolve(&found)?, found.place);
        let error = match File::open(&path).and_then(|file| file.metadata()) {
            Ok(about) if about.is_dir() => "it is a directory".to_owned(),
            Ok(_) => return Some(path),
            Err(error) => error.to_string(),
        };
        self.fault(place, Fault::File { path: path.display().to_string(), error });
        None
    }

    /// A path as written, relative to the file's directory.
    pub(super) fn resolve(&self, written: &Found<String>) -> Option<PathBuf> {
        if written.value.is_empty() {
            self.fault(written.place.clone(), Fault::Empty { mend: "a path, relative to this file" });
            return None;
        }
        Some(self.document.base.join(&written.value))
    }

    /// Ends the reading of this section: keys that nobody asked for are unknown.
    pub(super) fn close(self) {
        let Some(table) = self.table else { return };
        for (key, _) in table.iter().filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref())) {
            let place = Place { key: self.path(key.get_ref()), line: self.document.line(key.span()) };
            self.fault(place, Fault::UnknownKey { mend: suggestion(key.get_ref(), &self.known) });
        }
    }

    fn raw(&mut self, key: &'static str) -> Option<(&'d DeValue<'d>, Place)> {
        self.known.push(key);
        #[cfg(test)]
        self.document.known.borrow_mut().insert(without_indices(&self.path(key)));
        let value = self.table?.get(key)?;
        Some((value.get_ref(), self.place(key)))
    }

    fn convert<T: Value>(&self, value: &DeValue<'_>, place: Place) -> Option<Found<T>> {
        match T::read(value) {
            Some(value) => Some(Found { value, place }),
            None if T::SECRET => {
                self.unnamed(value, place, T::WHAT, T::MEND);
                None
            }
            None => {
                self.not_a(value, place, T::WHAT, T::MEND);
                None
            }
        }
    }

    /// As [`Section::not_a`] for what may hold a secret: only its type is told.
    fn unnamed(&self, value: &DeValue<'_>, place: Place, what: &'static str, mend: &'static str) {
        self.fault(place, Fault::Value { found: format!("this {}", value.type_str()), what, mend });
    }

    fn not_a(&self, value: &DeValue<'_>, place: Place, what: &'static str, mend: &'static str) {
        let found = match value {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            other => format!("this {}", other.type_str()),
        };
        self.fault(place, Fault::Value { found, what, mend });
    }

    fn path(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.place.key.is_empty() { key.to_string() } else { format!("{}.{key}", self.place.key) }
    }
}

/// The nearest known key where one is near, all of them otherwise.
fn suggestion(unknown: &str, known: &[&'static str]) -> String {
    let nearest = known.iter().map(|key| (distance(unknown, key), key)).min();
    match nearest {
        Some((far, key)) if far <= 1 + key.len() / 4 => format!("write `{key}`"),
        _ => format!("write one of {}, or remove it", known.join(", ")),
    }
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        inside = (inside || c == '[') && c != ']';
        if !inside && c != ']' {
            out.push(c);
        }
    }
    out
}
