#!/usr/bin/env bash
# One fuzz target for so many seconds; what it has said is printed when it has ended: fuzz_one.sh NAME SECONDS. Called by
# tests/lib.sh, with the directory of the build in $target.
set -euo pipefail
corpus=$target/fuzz/corpus/$1
mkdir -p "$corpus" "fuzz/seeds/$1"
status=0
said=$(cargo +nightly fuzz run --target-dir "$target/fuzz" "$1" "$corpus" "fuzz/seeds/$1" -- \
    -dict=fuzz/msrp.dict -max_total_time="$2" -timeout=20 -verbosity=0 -print_final_stats=1 2>&1) || status=$?
printf 'fuzz %s, %s s\n%s\n' "$1" "$2" "$said"
# 255 ends the others, too.
[ "$status" -eq 0 ] || exit 255
