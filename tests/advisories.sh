#!/usr/bin/env bash
# Whether any dependency has a known weakness: cargo-deny against the RustSec database, which is fetched for it. It is no stage of
# tests/run.sh, since the database cannot be reached from everywhere, and what could not be checked must not count as passed.
#
#   exit status 0    checked, nothing known
#   exit status 1    checked, and something is known: it is printed
#   exit status 75   NOT checked: no database, or no cargo-deny
#
#   ADVISORY_DB      URL of the database (https://github.com/RustSec/advisory-db)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unchecked() {
    printf 'advisories: NOT CHECKED: %s\n' "$*"
    exit 75
}

command -v cargo-deny >/dev/null || unchecked "cargo-deny is not installed; cargo install --locked cargo-deny"
command -v git >/dev/null || unchecked "git is not installed"
scratch=$(mktemp -d) || unchecked "no temporary directory"
trap 'rm -rf "$scratch"' EXIT

url=${ADVISORY_DB:-https://github.com/RustSec/advisory-db}
GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet --depth 1 "$url" "$scratch/probe" 2>"$scratch/why" ||
    unchecked "the database at $url cannot be fetched: $(tail -n 1 "$scratch/why")"
known=$(find "$scratch/probe/crates" -name '*.md' 2>/dev/null | wc -l)
[ "$known" -gt 100 ] || unchecked "the database at $url has $known advisories: it is not the one"

# The rules of this project, with the database that was just fetched and nothing older.
grep -q '^\[advisories\]' deny.toml || printf '\n[advisories]\n' >"$scratch/section"
cat deny.toml "$scratch/section" 2>/dev/null |
    awk -v path="$scratch/databases" -v url="$url" '
        { print }
        /^\[advisories\]/ { printf "db-path = \"%s\"\ndb-urls = [\"%s\"]\n", path, url }' >"$scratch/deny.toml"
cargo-deny --all-features --config "$scratch/deny.toml" check advisories >"$scratch/said" 2>&1
status=$?
cat "$scratch/said"
# cargo-deny has one status for a weakness and for a database that it could not read.
if [ $status -ne 0 ] && ! grep -q '^error\[\(vulnerability\|unmaintained\|unsound\|notice\|yanked\)\]' "$scratch/said"; then
    unchecked "cargo-deny gave no verdict (exit status $status)"
fi
[ $status -eq 0 ] || { printf 'advisories: FAILED\n'; exit 1; }
printf 'advisories: passed, %s advisories known\n' "$known"
