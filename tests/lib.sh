# What tests/run.sh and tests/long.sh share; sourced by them, run by neither. Moves to the root of the repository.
#
# A script defines functions and runs each as a stage: `stage NAME FUNCTION`. Stages are timed, the first that fails ends the
# script, and the last line of the output is the sum of all cargo tests: `N passed, N failed`. Only children of the script are
# ended, by the id of the process group they run in.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }
refuse() { say "${0##*/}: $*"; exit 1; }

command -v cargo >/dev/null || refuse "needs Rust 1.95 with clippy and rustfmt, and a nightly toolchain, both from rustup"
command -v python3 >/dev/null || refuse "needs python3"

# Where cargo builds, as cargo itself decides; everything else that is made here lies in it, too.
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
tools=$target/tools
mkdir -p "$tools"
# Nothing here is built twice in a row, and what a second build would start from fills the disk with several times what it is worth.
export PATH="$tools/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
scratch=$(mktemp -d)
results=$scratch/results
: >"$results"

# The sum of all cargo tests; after a failure elsewhere there is none, since it would say `0 failed`.
sum_up() {
    python3 - "$results" "$1" <<'PY'
import re, sys
sums = {"passed": 0, "failed": 0}
for line in open(sys.argv[1], errors="replace"):
    if line.startswith("test result:"):
        for number, what in re.findall(r"(\d+) (passed|failed)", line):
            sums[what] += int(number)
if sys.argv[2] == "0" or sums["failed"]:
    print(f"{sums['passed']} passed, {sums['failed']} failed")
PY
}

child=
stage_name=
clean_up() {
    local status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$child" ]; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    [ "$status" -eq 0 ] || say "${0##*/}: FAILED${stage_name:+ in stage $stage_name} (exit status $status)"
    sum_up "$status"
    rm -rf "$scratch"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# stage NAME FUNCTION: runs the function in a process group of its own, so that it can be ended as a whole.
stage() {
    stage_name=$1
    local began=$SECONDS
    say "== stage $1"
    set -m
    { set -e; "$2"; } </dev/null &
    child=$!
    set +m
    local status=0
    wait "$child" || status=$?
    child=
    [ "$status" -eq 0 ] || exit "$status"
    say "== stage $1 … $((SECONDS - began)) s, $(df -BM --output=avail "$target" | awk 'NR == 2 { print $1 + 0 }') MB of disk left"
    stage_name=
}

# `cargo test` with these arguments; its results are counted.
run_tests() { cargo test "$@" 2>&1 | tee -a "$results"; }

# Debian packages that are not there yet: package PROGRAM …, a package for each program that is looked for.
need() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# A program from crates.io where it is not there yet, or not in this version: need_crate PROGRAM CRATE [VERSION]. It takes less
# time to run unoptimised than to optimise.
need_crate() {
    local found
    found=$(command -v "$1" || true)
    if [ -n "${3:-}" ] && [ -n "$found" ]; then
        [[ $("$1" --version) == *" $3" ]] || found=
    fi
    [ -z "$found" ] || return 0
    say "installing $2 ${3:-} into $tools"
    CARGO_TARGET_DIR=$tools/build cargo install --quiet --locked --debug --root "$tools" ${3:+--version "=$3"} "$2"
}

# Whether the built program knows a command.
knows() { "$target/release/chappe" "$1" --help >/dev/null 2>&1; }

# fuzz SECONDS: each target for so long, from the seeds and from what earlier runs have found.
fuzz() {
    need g++ g++
    need_crate cargo-fuzz cargo-fuzz
    cargo +nightly fuzz build --target-dir "$target/fuzz"
    # As many at a time as there are cores: each needs one of its own.
    cargo +nightly fuzz list | env target="$target" xargs -P "$(nproc)" -I NAME tests/fuzz_one.sh NAME "$1"
}
