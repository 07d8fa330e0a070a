#!/usr/bin/env bash
# What takes longer than a merge should wait, after tests/run.sh has passed: every test in a release build, those too that are ignored
# for their length, an hour of fuzzing, 20 000 simulated networks, mutations, an hour of mixed load, the demonstration with its
# 256 MiB file, and the time benches.
# The last line is `N passed, N failed`.
#
#   SIM_SEEDS=20000     networks that are simulated
#   FUZZ_SECONDS=900    time for each fuzz target
#   CARGO_TARGET_DIR    as for cargo
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build() { cargo build --release; }

demo() { cargo run --release -- demo; }

# Whether the side-by-side comparison works; nobody judges its figures here.
compare() {
    local out=$scratch/compare
    loadtest/compare.sh --quick --repeats 1 --out "$out"
    grep -q '<svg' "$out/page.html"
}

fuzz_long() { fuzz "${FUZZ_SECONDS:-900}"; }

benches() {
    local bench
    for bench in benches/*.rs; do
        bench=$(basename "$bench" .rs)
        [ "$bench" = instructions ] || cargo bench --bench "$bench"
    done
}

tests() {
    [ ! -e tests/interop.rs ] || as_root tests/interop/install.sh
    as_root tests/sip/install.sh
    run_tests --release --workspace --features io-uring --no-fail-fast -- --include-ignored --skip long::
}

other_engine() {
    CHAPPE_ENGINE=io-uring run_tests --release --workspace --features io-uring --no-fail-fast \
        --test end_to_end --test interop --test vanished --test footprint \
        --test against_chappe --test system_calls --test moves --test idle_memory -- --include-ignored
}

# 100 MiB at 1 MB/s through two relays, chat beside it.
slow_file() { SLOW_FILE_OCTETS=104857600 run_tests --release --test end_to_end a_slow_receiver -- --nocapture; }

# Minutes of 500 calls a second, and dialogs that stand; the figures are for people to read.
sip_storm() {
    as_root tests/sip/install.sh
    run_tests --release --test sip_storm -- --include-ignored --nocapture
}

# Which tests notice that a requirement is broken; twenty rows, drawn anew each time.
mutation() { tests/mutation.sh; }

# Whole networks in virtual time, after those of tests/run.sh: with the relay as everybody has it.
simulation() { SIM_SEEDS=${SIM_SEEDS:-20000} SIM_FIRST=256 run_tests --profile sim --no-default-features --test sim whatever; }

# An hour of mixed load with churn; judged at its end.
soak() { loadtest/soak.sh; }

need gcc gcc make make
stage build build
! knows demo || stage demo demo
stage "slow file" slow_file
stage fuzz fuzz_long
stage benches benches
stage compare compare
stage "sip storm" sip_storm
stage simulation simulation
stage mutation mutation
stage soak soak
stage tests tests
stage "other engine" other_engine
