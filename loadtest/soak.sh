#!/usr/bin/env bash
# Soak: a mixed load on one Chappe for an hour, and whether anything grows: memory, descriptors, timers, times to delivery.
#
#   loadtest/soak.sh                    an hour
#   loadtest/soak.sh --minutes 10       shorter; below ten minutes warming up may look like growth
#   loadtest/soak.sh --out DIR          where relay.log, samples.jsonl, the generators' results and table.md go
#   loadtest/soak.sh --rate 0.5         all rates times this, for a small machine; below 0.2 links are idle for too long
#   loadtest/soak.sh --engine io-uring  the other engine
#   loadtest/soak.sh --no-build         with the release build that is there
#
# The load: chat both ways with success REPORTs and refusals, files of which some are given up, sessions that come and go
# (each with two AUTHs), slow receivers, receivers that stall altogether, connections that ask to be challenged and leave,
# calls with anchored sessions where SIPp is installed (tests/sip/install.sh), and a reload every two minutes. Every octet is
# verified by chappe-load (README.md); any error it finds ends in exit status 1.
#
# Every 10 s: resident memory, descriptors, gauges (sessions, links, open SENDs, timers), the relay's CPU, and the median and
# 99th percentile of the times of a probe of its own. soak.py samples and judges. Exit status: 0 nothing grows, 1 something
# does or was lost, 2 it could not be run. Whatever it has started has ended when it ends.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
export CARGO_TERM_PROGRESS_WHEN=never

say() { printf '%s\n' "$*"; }
refuse() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

python3 "$here/soak.py" self-check || refuse "the judge does not judge"

minutes=60
rate=1
out=
engine=tokio
build=yes
while [ $# -gt 0 ]; do
    case $1 in
        --minutes) minutes=${2:-}; shift ;;
        --rate) rate=${2:-}; shift ;;
        --out) out=${2:-}; shift ;;
        --engine) engine=${2:-}; shift ;;
        --no-build) build=no ;;
        --help) sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) refuse "unknown option $1; --help tells" ;;
    esac
    [ $# -eq 0 ] || shift
done
[[ $minutes =~ ^[1-9][0-9]*$ ]] || refuse "--minutes takes a whole number"
[[ $rate =~ ^[0-9]+(\.[0-9]+)?$ ]] || refuse "--rate takes a number"
for program in cargo python3 openssl; do
    command -v $program >/dev/null || refuse "needs $program"
done

target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
chappe=$target/release/chappe
load=$target/release/chappe-load
if [ "$build" = yes ]; then
    cargo build --release --workspace --features io-uring --quiet || refuse "the build failed"
fi
[ -x "$chappe" ] && [ -x "$load" ] || refuse "there is no release build in $target"
out=${out:-$target/soak/$(date -u +%Y%m%dT%H%MZ)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

# ---- What is started is ended, by its id ----------------------------------------------------------------------------

started=()
clean_up() {
    local status=$? pid
    trap - EXIT
    trap '' INT TERM HUP
    for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ---- The relay ------------------------------------------------------------------------------------------------------

port=$(free_port) admin=$(free_port) sip=$(free_port)
(
    cd "$out"
    exec 2>openssl.log
    new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "$@"; }
    new -x509 -subj '/CN=soak authority' -keyout ca.key -out ca.crt
    new -subj '/CN=localhost' -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' >extensions
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out server.crt
) || { cat "$out/openssl.log" >&2; refuse "no certificate"; }
cat >"$out/chappe.toml" <<TOML
[relay]
hostname = "localhost"
shards = 2
pin = false
engine = "$engine"
drain_timeout = "1s"
[[listen]]
address = "127.0.0.1:$port"
transport = "tls"
# For the calls, whose descriptions offer MSRP without TLS.
[[listen]]
address = "127.0.0.1:0"
transport = "tcp"
[tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
[[auth.user]]
name = "alice"
password = "secret"
[[auth.user]]
name = "bob"
password = "secret"
[limits]
# The whole load comes from one address and two users.
tokens_per_user = 20000
connections_per_address = 30000
new_connections_per_address_per_minute = 10000000
auths_per_address_per_minute = 10000000
[policy]
allow_next_hops = ["127.0.0.0/8"]
[[sip.listen]]
address = "127.0.0.1:$sip"
transport = "tcp"
[sip.media]
accept_loopback = true
[admin]
address = "127.0.0.1:$admin"
[records]
path = "records.jsonl"
[log]
level = "info"
format = "json"
TOML
"$chappe" run --config "$out/chappe.toml" 2>"$out/relay.log" &
relay=$!
started+=("$relay")
for _ in $(seq 100); do
    ! grep -q '"transport":"Tls"' "$out/relay.log" || break
    kill -0 "$relay" 2>/dev/null || { cat "$out/relay.log" >&2; refuse "the relay does not start"; }
    sleep 0.1
done

# ---- The load -------------------------------------------------------------------------------------------------------

seconds=$((minutes * 60))
times() { python3 -c "print(max(1, round($1 * $rate, 2)))"; }
generators=()

# scenario NAME: the rest of the scenario is on standard input.
scenario() {
    { printf 'about = "soak: %s"\n' "$1"; cat; } >"$out/$1.toml"
    "$load" run "$out/$1.toml" --relay "localhost:$port" --ca "$out/ca.crt" --user alice:secret --user bob:secret --quiet \
        --json "$out/$1.json" --cell "$1" >"$out/$1.txt" 2>&1 &
    generators+=("$1=$!")
    started+=("$!")
}
baseline=$(python3 "$here/soak.py" look --pid "$relay" --admin "$admin")
scenario chat <<TOML
[sessions]
count = 200
callers = "authenticated"
over = "10s"
[load]
shape = "open"
rate = $(times 300)
warm_up = "15s"
duration = "${seconds}s"
[[messages]]
weight = 60
size = "60B"
[[messages]]
weight = 30
size = "400B"
success_report = true
[[messages]]
weight = 8
size = "2KiB"
failure_report = "partial"
[[messages]]
weight = 2
size = "60B"
refuse = 1.0
TOML
scenario files <<TOML
[sessions]
count = 20
callers = "authenticated"
over = "10s"
[load]
shape = "open"
rate = $(times 3)
warm_up = "15s"
duration = "${seconds}s"
patience = "90s"
[[messages]]
size = "512KiB"
chunk = "10000B"
content_type = "application/octet-stream"
success_report = true
abort = 0.1
TOML
scenario churn <<TOML
[sessions]
count = 500
callers = "authenticated"
[load]
shape = "churn"
rate = $(times 10)
messages = 3
warm_up = "15s"
duration = "${seconds}s"
[[messages]]
size = "200B"
success_report = true
TOML
scenario slow <<TOML
[sessions]
count = 20
callers = "authenticated"
over = "10s"
[load]
shape = "open"
rate = $(times 6)
warm_up = "15s"
duration = "${seconds}s"
patience = "90s"
[[messages]]
size = "32KiB"
chunk = "8KiB"
content_type = "application/octet-stream"
[slow]
share = 0.5
rate = "50kB"
TOML
if command -v sipp >/dev/null; then
    callee=$(free_port)
    # side SCENARIO WORD…: one side of the calls; its statistics are judged like the generators' results.
    side() {
        local name=$1
        shift
        (
            cd "$out"
            exec sipp "$@" -sf "$here/../tests/sip/scenarios/$name.xml" -t t1 -i 127.0.0.1 -nostdin \
                -key msrp_host 127.0.0.1 -key msrp_port 9 -key direction sendrecv -recv_timeout 40000 -s bob \
                -trace_stat -stf "$name.csv" -fd 10 -l 5000
        ) >"$out/$name.txt" 2>&1 &
        started+=("$!")
    }
    calls=$(python3 -c "print(max(1, round(5 * $rate)))")
    side uas_storm -p "$callee" -key target 127.0.0.1
    sleep 1
    side uac_storm "127.0.0.1:$sip" -p "$(free_port)" -key target "127.0.0.1:$callee;transport=tcp" -r "$calls" -rp 1000 -d 5000 \
        -m $((calls * seconds))
    generators+=("calls=$!")
else
    say "no sipp: no calls (tests/sip/install.sh installs it)"
fi

# ---- Sampling, and the verdict --------------------------------------------------------------------------------------

say "soak: $minutes min, relay $relay, results in $out"
verdict=0
python3 "$here/soak.py" run --pid "$relay" --admin "$admin" --port "$port" --out "$out" --seconds "$seconds" \
    --rate "$rate" --baseline "$baseline" "${generators[@]/#/--generator=}" || verdict=$?
exit "$verdict"
