#!/usr/bin/env bash
# Everything that must hold before a change is merged, from a clean checkout on a bare Debian machine: rustup's stable (1.95, with
# clippy and rustfmt) and nightly, git, gcc and python3 are expected, the rest is installed. Takes up to half an hour on two
# cores. Run it as root, or with sudo that asks no password, where packages are missing. The last line is `N passed, N failed`.
#
#   FUZZ_SECONDS=15     time for each fuzz target
#   CARGO_TARGET_DIR    as for cargo
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

format() {
    cargo fmt --all --check
    cargo fmt --check --manifest-path fuzz/Cargo.toml
}

# With and without the second engine.
lint() {
    cargo clippy --workspace --all-targets --features io-uring -- -D warnings
    cargo clippy --lib --bins -- -D warnings
}

# Wire and core need no runtime, no sockets and no TLS.
core_alone() {
    cargo check --no-default-features
    cargo clippy --no-default-features -- -D warnings
    local tree found
    tree=$(cargo tree --no-default-features --edges normal --prefix none --format '{p}')
    found=$(awk '{ print $1 }' <<<"$tree" | sort -u | grep -Ex 'tokio.*|mio|socket2|rustix|libc|rustls.*|aws-lc.*|async-.*|futures.*' || true)
    if [ -n "$found" ]; then
        say "the core depends on: $found"
        return 1
    fi
    say "$(awk '{ print $1 }' <<<"$tree" | sort -u | wc -l) crates, none of them a runtime, a socket or TLS"
}

# Advisories are left out: their database cannot be reached from everywhere.
dependencies() {
    need_crate cargo-deny cargo-deny
    cargo deny check bans licenses sources
}

fuzz_smoke() { fuzz "${FUZZ_SECONDS:-15}"; }

# Real processes: what breaks around them, and what an operator does to them under load.
faults() {
    as_root tests/faults/install.sh
    run_tests --workspace --features io-uring --test faults -- --include-ignored --skip long:: --test-threads=4
}
upgrade() {
    as_root tests/upgrade/install.sh
    run_tests --workspace --features io-uring --test upgrade -- --include-ignored --test-threads=2
}

interop() {
    as_root tests/interop/install.sh
    run_tests --release --workspace --test interop -- --include-ignored
}

# SIPp, Kamailio and baresip with Chappe between them; they mostly wait for each other. That they get on among themselves is
# a stage of tests/long.sh.
sip_peers() {
    as_root tests/sip/install.sh
    run_tests --release --workspace --test sip_anchored -- --include-ignored --test-threads=4
    run_tests --release --workspace --test sip_storm -- --include-ignored --skip long::
}

# Instruction counts do not depend on the machine's load.
instructions() {
    need valgrind valgrind
    need_crate gungraun-runner gungraun-runner "$(awk '/^name = "gungraun"$/ { getline; print $3 }' Cargo.lock | tr -d '"')"
    if [ -x benches/instructions.sh ]; then benches/instructions.sh; else cargo bench --bench instructions; fi
}

# Of the program that the release tests have just built; `cargo run` builds this package alone, and so once more: tests/long.sh.
demo() { "$target/release/chappe" demo; }

# Tests that mean something only at full speed are marked
# #[cfg_attr(debug_assertions, ignore = "needs a release build")]: a plain `cargo test` passes them over, this runs their files.
release() {
    need ip iproute2
    local file
    for file in $(grep -ls 'cfg_attr(debug_assertions, ignore' tests/*.rs loadtest/tests/*.rs); do
        run_tests --release --workspace --test "$(basename "$file" .rs)"
    done
}

# `faults` and `upgrade` are stages of their own.
tests() {
    local one names=()
    for one in tests/*.rs tests/*/main.rs loadtest/tests/*.rs; do
        one=${one%/main.rs}
        case $(basename "$one" .rs) in faults | upgrade | sim) ;; *) names+=(--test "$(basename "$one" .rs)") ;; esac
    done
    run_tests --workspace --features io-uring --no-fail-fast --lib --bins "${names[@]}"
    run_tests --workspace --features io-uring --doc
}

# What was just tested with epoll, once more with io_uring: all that speaks to a relay over sockets.
other_engine() {
    CHAPPE_ENGINE=io-uring run_tests --workspace --features io-uring --no-fail-fast \
        --test end_to_end --test abuse --test redaction --test secrets --test against_chappe --test system_calls --test moves
}

# Whole networks in virtual time: 256 seeds, and each of the bugs put in on purpose is found. One build for both; with no bug
# planted the relay is the one that everybody has.
simulation() { run_tests --profile sim --no-default-features --features planted --test sim; }

# Each test that a requirement names has passed in this very run.
requirements() { TEST_RESULTS=$results cargo test --workspace --features io-uring --test requirements; }

need gcc gcc make make
stage format format
stage lint lint
stage "core alone" core_alone
stage dependencies dependencies
stage "fuzz smoke" fuzz_smoke
[ ! -e tests/interop.rs ] || stage interop interop
stage "sip peers" sip_peers
[ ! -e benches/instructions.rs ] || stage instructions instructions
! knows demo || stage demo demo
stage "release tests" release
stage tests tests
stage faults faults
stage upgrade upgrade
stage "other engine" other_engine
stage simulation simulation
stage requirements requirements
