#!/usr/bin/env bash
# Twenty thousand simulated networks, or as many as are asked for, from a seed that no earlier night had. A failure prints
# the smallest plan found, its trace and the command that shows it again. About two hours on two cores.
#
#   tests/sim/nightly.sh [SEEDS] [FIRST]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seeds=${1:-20000}
# Days since 2020, each with room for its seeds.
first=${2:-$((($(date +%s) - 1577836800) / 86400 * 1000000))}
echo "seeds $first to $((first + seeds - 1))"
SIM_SEEDS=$seeds SIM_FIRST=$first RUST_BACKTRACE=${RUST_BACKTRACE:-0} \
    cargo test --profile sim --no-default-features --test sim -- --nocapture whatever_happens
