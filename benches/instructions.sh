#!/bin/sh
# Counts instructions and compares them with benches/instructions.baseline: fails when one is more than 5 % worse.
# `benches/instructions.sh --accept` makes what is measured now the new baseline.
# Needs valgrind and: cargo install --locked gungraun-runner --version 0.20.0
# Counts hold for one compiler and one kind of CPU (memchr and libc choose their code by it): accept anew after a change.
set -eu
cd "$(dirname "$0")/.."
baseline=benches/instructions.baseline
measured=$(mktemp)
trap 'rm -f "$measured" "$measured.log"' EXIT

# A benchmark does its operation 100 times; "group::bench id:…" is followed by its figures.
cargo bench --no-default-features --bench instructions >"$measured.log" 2>&1 || {
    cat "$measured.log" >&2
    exit 1
}
awk '
    /^instructions::/ { n = split($1, part, "::"); split($2, id, ":"); name = part[n] "/" id[1] }
    /^  Instructions:/ { split($2, count, "|"); printf "%s %d\n", name, count[1] / 100 }
' "$measured.log" >"$measured"

[ -s "$measured" ] || { echo "nothing was measured" >&2; exit 1; }
if [ "${1-}" = --accept ]; then
    cp "$measured" "$baseline"
    cat "$baseline"
    exit 0
fi
awk '
    NR == FNR { before[$1] = $2; next }
    {
        seen[$1] = 1
        if (!($1 in before)) { printf "%-28s %9d  not in the baseline\n", $1, $2; bad = 1; next }
        change = ($2 / before[$1] - 1) * 100
        printf "%-28s %9d %+6.1f %%%s\n", $1, $2, change, (change > 5 ? "  WORSE" : "")
        if (change > 5) bad = 1
    }
    END {
        for (name in before) if (!(name in seen)) { printf "%-28s is gone\n", name; bad = 1 }
        if (bad) print "accept with: benches/instructions.sh --accept"
        exit bad
    }
' "$baseline" "$measured"
