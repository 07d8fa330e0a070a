//! Every requirement has a test that proves it, or a reason why none does.
//!
//! A list is a file `tests/requirements/NAME.txt`; `docs/NAME.md` is made of it. A test claims the requirements whose ids its doc
//! comment contains:
//!
//! ```text
//! /// SDP-43, ADV-S07
//! #[test]
//! fn answers_of_another_length() {
//! ```
//!
//! `UPDATE_REQUIREMENTS=1 cargo test --test requirements` writes the pages. `TEST_RESULTS=FILE` names the output of all tests of
//! a run: a claim whose test has not passed in it is a fault. What `tests/mutation.sh` breaks stands in
//! `tests/requirements/mutations`.

mod claim;
mod id;
mod list;
mod mutation;
mod page;
mod ran;
mod source;
mod stage;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use claim::Claim;
use list::List;
use mutation::Mutation;
use ran::Ran;
use source::Source;
use stage::Stages;

/// Where tests are.
const TREES: [&str; 4] = ["src", "tests", "loadtest/src", "loadtest/tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All lists, by name.
fn lists() -> Vec<List> {
    let entries = fs::read_dir(root().join("tests/requirements")).expect("the directory of the lists");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    paths.sort();
    let list = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name");
        List::parse(name, &read(path)).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
    };
    paths.iter().map(list).collect()
}

/// All that claims something, and what is wrong with how it does.
fn claims(lists: &[List], sources: &[Source]) -> (Vec<Claim>, Vec<String>) {
    let known: HashSet<&str> = lists.iter().flat_map(|list| &list.rows).map(|row| row.id.as_str()).collect();
    let families: HashSet<&str> = known.iter().map(|id| id::family(id)).collect();
    let (mut claims, mut faults) = (Vec::new(), Vec::new());
    for source in sources {
        claim::collect(source, &families, &mut claims, &mut faults);
    }
    for claim in &claims {
        let unknown = claim.ids.iter().filter(|id| !known.contains(id.as_str()));
        faults.extend(unknown.map(|id| format!("{}: {id} stands in no list", claim.place())));
    }
    (claims, faults)
}

fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    let lists = lists();
    let (claims, _) = claims(&lists, &source::all(root(), &TREES));
    let mut proved: HashMap<&str, &Claim> = HashMap::new();
    for claim in &claims {
        proved.extend(claim.ids.iter().map(|id| (id.as_str(), claim)));
    }
    let mut faults = Vec::new();
    for row in lists.iter().flat_map(|list| &list.rows) {
        match (proved.get(row.id.as_str()), &row.reason) {
            (None, None) => faults.push(format!("{}: no test and no reason ({})", row.id, row.words)),
            (Some(claim), Some(reason)) => {
                faults.push(format!("{}: `{reason}`, and yet claimed by {}", row.id, claim.place()));
            }
            _ => {}
        }
    }
    assert_none(&format!("{} requirements are in doubt", faults.len()), &faults);
}

#[test]
fn every_claim_is_made_by_a_test_that_is_run() {
    let (lists, sources) = (lists(), source::all(root(), &TREES));
    let (claims, mut faults) = claims(&lists, &sources);
    let stages = Stages::of(&read(&root().join("tests/run.sh")));
    let ran = std::env::var_os("TEST_RESULTS").map(|file| Ran::of(&read(Path::new(&file))));
    let mut places = HashSet::new();
    for claim in &claims {
        if ran.as_ref().is_some_and(|ran| !ran.passed(claim)) {
            faults.push(format!("{}: it has not passed in this run", claim.place()));
        }
        if !stages.run(claim) {
            faults.push(format!("{}: it is ignored, and no stage of tests/run.sh runs it", claim.place()));
        }
        if !places.insert((&claim.file, &claim.function)) {
            faults.push(format!("{}: another test of this file has the same name", claim.place()));
        }
        if !source::is_reached(&claim.file, &sources) {
            faults.push(format!("{}: the file is part of no crate", claim.place()));
        }
    }
    assert_none("claims that prove nothing", &faults);
}

#[test]
fn no_id_is_in_two_lists() {
    let lists = lists();
    let mut seen = HashMap::new();
    let mut faults = Vec::new();
    for list in &lists {
        for row in &list.rows {
            faults.extend(seen.insert(&row.id, &list.name).map(|other| format!("{}: {other}, {}", row.id, list.name)));
        }
    }
    assert_none("ids that stand twice", &faults);
    assert!(!seen.is_empty(), "there is no requirement at all");
}

#[test]
fn the_pages_are_what_lists_and_claims_make_of_them() {
    let lists = lists();
    let (claims, _) = claims(&lists, &source::all(root(), &TREES));
    let mut faults = Vec::new();
    for list in &lists {
        let path = root().join(format!("docs/{}.md", list.name));
        let page = page::of(list, &claims);
        if std::env::var_os("UPDATE_REQUIREMENTS").is_some() {
            fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        } else {
            let found = fs::read_to_string(&path).unwrap_or_default();
            faults.extend(page::difference(&found, &page).map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert_none("pages that are out of date (UPDATE_REQUIREMENTS=1 cargo test --test requirements)", &faults);
}

#[test]
fn mutations_fit_the_code_and_name_tests_that_claim_their_row() {
    let (lists, sources) = (lists(), source::all(root(), &TREES));
    let (claims, _) = claims(&lists, &sources);
    let mut faults = Vec::new();
    let mut rows = HashSet::new();
    for mutation in Mutation::all(&root().join("tests/requirements/mutations")) {
        let claimed = |claim: &&Claim| claim.ids.contains(&mutation.id) && mutation.names(claim);
        if !claims.iter().any(|claim| claimed(&claim)) {
            faults.push(format!("{}: {} does not claim it", mutation.place(), mutation.test));
        }
        let places = sources.iter().find(|s| s.path == mutation.file).map(|s| s.text.matches(&*mutation.found).count());
        if places != Some(1) {
            faults.push(format!("{}: its text stands {} times in the file", mutation.place(), places.unwrap_or(0)));
        }
        rows.insert(mutation.id);
    }
    assert_none("mutations that would change nothing", &faults);
    assert!(rows.len() >= 40, "{} rows can be put to the test", rows.len());
}
