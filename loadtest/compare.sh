#!/usr/bin/env bash
# Compares relays: starts Chappe, Kamailio and HAProxy on loopback, puts the same loads (cells/) on each of them in turn,
# several times, and makes a table and a page of what each message, octet and session has cost them.
#
# Everything it starts it ends again, by process group, however it ends. peers/README.md says how each relay is set up.

set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# Debian keeps the relays where only root looks.
export PATH="$PATH:/usr/sbin:/sbin" CARGO_TERM_PROGRESS_WHEN=never

say() { printf '%s\n' "$*"; }
refuse() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

usage() {
    cat <<'TEXT'
Usage: loadtest/compare.sh [OPTION]…

  --quick             fewer cells, 3 repetitions, windows of 1 s: under 2 minutes once everything is built
  --cells GLOB        only the cells whose name matches: 'chat*', '*-tcp'
  --peers LIST        only these peers, by comma: chappe, chappe-2, kamailio, kamailio-2, haproxy, haproxy-2, and names
                      given by --peer. -2: two shards, workers or threads
  --peer NAME=HOST:PORT
                      another relay, which runs already; repeatable. Of the environment, with NAME in capitals:
                      NAME_USERS ("alice:secret bob:secret", the default), NAME_CA (PEM; default: the roots of the web),
                      NAME_HOST (name in its certificate; default: HOST), NAME_PID (same machine: its CPU and memory are
                      measured), NAME_TRANSPORTS ("tls", the default, "tcp" or both by blank)
  --repeats N         repetitions of each cell (5)
  --out DIR           where results, table.md and page.html go (in the build directory, by date)
  --list              print the cells and who runs them, and end
  --help              print this

Needs Debian with root or sudo without a password (it installs kamailio, kamailio-tls-modules and haproxy; no service is
started), Rust 1.95 and a C compiler. Exit status: 0 all cells were run (what a peer cannot do is told in the table),
1 not all of them could be run, 2 usage or missing tools.
TEXT
}

# ---- What is run ----------------------------------------------------------------------------------------------------

# One line for each cell: its name, the scenario in cells/, the transport, Chappe's max_chunk, at most so many
# repetitions, whether --quick has it, and who runs it. `others` are the relays given by --peer.
#
# Two threads are not put on every cell: the ratio to one thread hardly depends on the load, and the time is short.
# chunk-64k-cut has the load of chunk-64k, but Chappe keeps its default of cutting to 10 000 octets toward a next hop whose
# make it does not know.
plan=(
    'chat              chat         tls 10000 99 quick chappe kamailio haproxy others chappe-2 haproxy-2'
    'chat-16           chat-16      tls 10000 99 quick chappe kamailio haproxy others chappe-2 haproxy-2'
    'chat-1000         chat-1000    tls 10000 99 full  chappe kamailio haproxy others'
    'chat-both         chat-both    tls 10000 99 full  chappe kamailio others chappe-2'
    'message-2k        message-2k   tls 10000 99 quick chappe kamailio haproxy others'
    'chunk-64k         chunk-64k    tls 65536 99 quick chappe kamailio haproxy others chappe-2 haproxy-2'
    'chunk-64k-cut     chunk-64k    tls 10000 99 full  chappe haproxy'
    'file              file         tls 10000 99 quick chappe kamailio haproxy others'
    'file-2k           file-2k      tls 10000 99 full  chappe kamailio haproxy others'
    'open              open         tls 10000 99 full  chappe kamailio haproxy others'
    'set-up            set-up       tls 10000 99 quick chappe kamailio haproxy others'
    'chat-tcp          chat         tcp 10000 99 quick chappe kamailio haproxy others kamailio-2'
    'chunk-64k-tcp     chunk-64k    tcp 65536 99 full  chappe kamailio haproxy others'
    'chunk-64k-cut-tcp chunk-64k    tcp 10000 99 full  chappe haproxy'
    'chat-5000         chat-5000    tls 10000  3 full  chappe kamailio haproxy others'
    'idle              idle         tls 10000  1 full  chappe kamailio haproxy others'
)

quick=
cells='*'
wanted_peers=
repeats=
out=
list=
others=()
declare -A address_of=()    # of each of the others

parse_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --quick) quick=yes ;;
            --list) list=yes ;;
            --help | -h) usage; exit 0 ;;
            --cells | --peers | --peer | --repeats | --out)
                [ $# -ge 2 ] || refuse "$1 needs a value"
                case $1 in
                    --cells) cells=$2 ;;
                    --peers) wanted_peers=$2 ;;
                    --repeats) repeats=$2 ;;
                    --out) out=$2 ;;
                    --peer)
                        [[ $2 =~ ^([A-Za-z0-9_-]+)=([^=]+:[0-9]+)$ ]] || refuse "--peer wants NAME=HOST:PORT, not '$2'"
                        others+=("${BASH_REMATCH[1]}")
                        address_of[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
                        ;;
                esac
                shift
                ;;
            *) usage >&2; refuse "unknown option '$1'" ;;
        esac
        shift
    done
    if [ -z "$repeats" ]; then
        repeats=5
        [ -z "$quick" ] || repeats=3
    fi
    [[ $repeats =~ ^[1-9][0-9]*$ ]] || refuse "--repeats wants a number from 1"
    check_peers
}

check_peers() {
    local name known=" chappe chappe-2 kamailio kamailio-2 haproxy haproxy-2 "
    for name in "${others[@]}"; do
        [[ $known != *" $name "* ]] || refuse "--peer $name: that name is taken"
        known+="$name "
    done
    for name in ${wanted_peers//,/ }; do
        [[ $known == *" $name "* ]] || refuse "--peers: '$name' is none of$known"
    done
}

wanted_peer() { [ -z "$wanted_peers" ] || [[ ",$wanted_peers," == *",$1,"* ]]; }

# What --peer NAME has in the environment: setting NAME KEY DEFAULT.
setting() {
    local variable=${1^^}
    variable=${variable//[^A-Z0-9]/_}_$2
    printf '%s' "${!variable:-$3}"
}

# Who runs a cell of this transport, out of the peers of its line.
takers() {
    local transport=$1 name other
    shift
    for name in "$@"; do
        if [ "$name" = others ]; then
            for other in "${others[@]}"; do
                [[ " $(setting "$other" TRANSPORTS tls) " != *" $transport "* ]] || ! wanted_peer "$other" || say "$other"
            done
        elif wanted_peer "$name"; then
            say "$name"
        fi
    done
}

# The lines of the plan that are asked for, with the names of who really runs them.
chosen=()
choose_cells() {
    local line name scenario transport max_chunk most pace peers
    for line in "${plan[@]}"; do
        read -r name scenario transport max_chunk most pace peers <<<"$line"
        # shellcheck disable=SC2053  # a pattern is wanted
        [[ $name == $cells ]] || continue
        [ -z "$quick" ] || [ "$pace" = quick ] || continue
        # shellcheck disable=SC2086  # a list of words
        peers=$(takers "$transport" $peers | tr '\n' ' ')
        # With --quick two threads are left out unless they are asked for.
        if [ -n "$quick" ] && [ -z "$wanted_peers" ]; then
            peers=$(tr ' ' '\n' <<<"$peers" | grep -v -- '-2$' | tr '\n' ' ')
        fi
        [ -z "${peers// /}" ] || chosen+=("$name $scenario $transport $max_chunk $most $peers")
    done
    [ ${#chosen[@]} -gt 0 ] || refuse "no cell is left to be run"
}

# ---- What it needs --------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# Whether a peer of this make takes part.
takes_part() {
    local line
    for line in "${chosen[@]}"; do
        [[ " $line " =~ \ $1(-2)?\  ]] && return 0
    done
    return 1
}

install_packages() {
    local missing=() need=(openssl:openssl python3:python3 cc:gcc)
    ! takes_part kamailio || need+=(kamailio:kamailio)
    ! takes_part haproxy || need+=(haproxy:haproxy)
    local each
    for each in "${need[@]}"; do
        command -v "${each%%:*}" >/dev/null || missing+=("${each#*:}")
    done
    if takes_part kamailio && ! dpkg-query -W -f '${db:Status-Abbrev}' kamailio-tls-modules 2>/dev/null | grep -q '^ii'; then
        missing+=(kamailio-tls-modules)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || refuse "missing: ${missing[*]}; only on Debian can this script install them"
    as_root true 2>/dev/null || refuse "missing: ${missing[*]}; to install them it needs root, or sudo without a password"
    say "installing ${missing[*]}"
    # shellcheck disable=SC2016  # the inner shell expands it
    as_root sh -c '
        set -eu
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            # Keeps the packages from starting their servers.
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod +x $policy
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    ' sh "${missing[@]}" >"$scratch/apt.log" 2>&1 || { tail -20 "$scratch/apt.log" >&2; refuse "apt-get failed"; }
}

build() {
    command -v cargo >/dev/null || refuse "needs Rust 1.95, from rustup"
    target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    cargo build --release --workspace --quiet || refuse "the build failed"
    chappe=$target/release/chappe
    load=$target/release/chappe-load
}

print_versions() {
    local dirty=
    say "date       $(date -u +%Y-%m-%dT%H:%MZ)"
    say "kernel     $(uname -sr)"
    say "processor  $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | sed -n 1p), $(nproc) of $(nproc --all) CPUs"
    ! takes_part kamailio || say "kamailio   $(kamailio -v | sed -n 's/^version: //p')"
    ! takes_part haproxy || say "haproxy    $(haproxy -v | sed -n 1p)"
    say "openssl    $(openssl version)"
    say "rustc      $(rustc --version)"
    say "chappe     $("$chappe" --version)"
    git diff --quiet HEAD 2>/dev/null || dirty=' with changes'
    say "commit     $(git rev-parse --short HEAD 2>/dev/null || say unknown)$dirty"
}

# Two links for each of 5000 sessions, at the relay and at the generator, and something for the rest.
raise_open_files() {
    local enough=12500
    [ "$(ulimit -n)" != unlimited ] || return 0
    # With the hard limit, where it has to be raised, too: root may.
    [ "$(ulimit -n)" -ge $enough ] || ulimit -n 20000 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
    [ "$(ulimit -n)" -ge $enough ] || note "only $(ulimit -n) open files are allowed (ulimit -n): 5000 sessions need $enough"
}

# threads_of PEER: how many threads, workers or shards it has.
threads_of() {
    case $1 in
        *-2) say 2 ;;
        *) say 1 ;;
    esac
}

# ---- Starting and ending --------------------------------------------------------------------------------------------

scratch=
notes=()
declare -A pid_of=() port_of=() backend_of=()    # of each relay that runs, by the name of the peer
generators=()

note() {
    notes+=("$*")
    say "note: $*"
}

# Ends a process group and waits for it; what is left after 3 s is killed. Its exit status is in REPLY.
end_group() {
    local pid=$1 tries=0
    kill -TERM -- "-$pid" 2>/dev/null || true
    while kill -0 -- "-$pid" 2>/dev/null && [ $tries -lt 60 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    REPLY=0
    wait "$pid" 2>/dev/null || REPLY=$?
}

# shellcheck disable=SC2317  # the trap calls it
clean_up() {
    local status=$? peer pid
    trap - EXIT
    trap '' INT TERM HUP
    # `timeout` passes the signal on, and kills what does not heed it.
    for pid in "${generators[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for peer in "${!pid_of[@]}"; do
        end_group "${pid_of[$peer]}"
    done
    [ -z "$scratch" ] || rm -rf "$scratch"
    exit "$status"
}

# A port that nobody listens on, below those that the system gives to connections, so that no connection takes it first.
next_port=
free_port() {
    local low
    if [ -z "$next_port" ]; then
        read -r low _ </proc/sys/net/ipv4/ip_local_port_range
        [ "$low" -ge 12000 ] || low=32000
        next_port=$((low - 1000 - RANDOM % 8000))
    fi
    while next_port=$((next_port + 1)); listening 127.0.0.1 "$next_port"; do :; done
    REPLY=$next_port
}

listening() { (: <>"/dev/tcp/$1/$2") 2>/dev/null; }

# Waits until the relay takes connections, at most 10 s.
await() {
    local peer=$1 tries=0
    until listening 127.0.0.1 "${port_of[$peer]}"; do
        alive "$peer" || return 1
        [ $tries -lt 200 ] || return 1
        sleep 0.05
        tries=$((tries + 1))
    done
}

alive() { kill -0 "${pid_of[$1]}" 2>/dev/null; }

# A certificate authority and a certificate for both ends: ECDSA P-256, as all of the peers get.
make_certificates() {
    local tls=$scratch/tls
    mkdir "$tls"
    {
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=comparison" \
            -addext keyUsage=critical,keyCertSign -keyout "$tls/ca.key" -out "$tls/ca.crt"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=localhost" \
            -keyout "$tls/end.key" -out "$tls/end.csr"
        openssl x509 -req -in "$tls/end.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
            -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n') \
            -out "$tls/end.crt"
    } 2>"$scratch/openssl.log" || { cat "$scratch/openssl.log" >&2; refuse "openssl failed"; }
    # HAProxy wants both in one file.
    cat "$tls/end.crt" "$tls/end.key" >"$tls/end.pem"
}

# fill TEMPLATE FILE KEY=VALUE …: writes the template with its placeholders replaced.
fill() {
    local text pair from=$here/peers/$1 to=$2
    text=$(<"$from")
    shift 2
    for pair in "$@"; do
        text=${text//"@${pair%%=*}@"/"${pair#*=}"}
    done
    [[ ! $text =~ @[A-Z_]+@ ]] || refuse "${from##*/}: nobody fills in ${BASH_REMATCH[0]}"
    printf '%s\n' "$text" >"$to"
}

# run_relay PEER COMMAND…: starts it in a session of its own, so that Ctrl-C reaches this script alone and the whole
# group can be ended; should this script be killed, the relay is told to end, too.
run_relay() {
    local peer=$1
    shift
    setsid setpriv --pdeathsig TERM "$@" </dev/null >"$scratch/$peer/log" 2>&1 &
    pid_of[$peer]=$!
}

# start PEER TRANSPORT MAX_CHUNK: starts a relay; false if it does not take connections.
start() {
    local peer=$1 transport=$2 max_chunk=$3 directory=$scratch/$1 tls=$scratch/tls threads port
    local values
    rm -rf "$directory"
    mkdir "$directory"
    threads=$(threads_of "$peer")
    free_port
    port=$REPLY
    port_of[$peer]=$port
    values=(HOST=localhost PORT="$port" TRANSPORT="$transport" CERT="$tls/end.crt" KEY="$tls/end.key" CA="$tls/ca.crt")
    case $peer in
        chappe*)
            fill chappe.toml.in "$directory/chappe.toml" "${values[@]}" SHARDS="$threads" MAX_CHUNK="$max_chunk"
            run_relay "$peer" "$chappe" run --config "$directory/chappe.toml"
            ;;
        kamailio*)
            values+=(SCHEME="msrp$([ "$transport" = tcp ] || say s)" WORKERS="$threads" RUN="$directory" REALM=relay.test)
            fill kamailio.cfg.in "$directory/kamailio.cfg" "${values[@]}"
            fill kamailio-tls.cfg.in "$directory/tls.cfg" "${values[@]}"
            # Without -x and -X its memory manager is one for finding bugs, which makes a message half as dear again.
            OPENSSL_CONF=$here/peers/openssl.cnf run_relay "$peer" \
                kamailio -f "$directory/kamailio.cfg" -DD -E -x fm -X fm -m 2048 -M 32 \
                -w "$directory" -Y "$directory" -P "$directory/pid" -A "WITH_${transport^^}"
            ;;
        haproxy*)
            free_port
            backend_of[$peer]=$REPLY
            fill haproxy.cfg.in "$directory/haproxy.cfg" "${values[@]}" THREADS="$threads" BACKEND_PORT="$REPLY" \
                CERT_AND_KEY="$tls/end.pem" MAXCONN="$(haproxy_connections)"
            OPENSSL_CONF=$here/peers/openssl.cnf run_relay "$peer" haproxy -db -f "$directory/haproxy.cfg"
            ;;
    esac
    await "$peer" && return 0
    note "$peer does not start: $(last_words "$peer")"
    stop "$peer"
    return 1
}

# It does not start if it may not open two files for each of so many connections.
haproxy_connections() {
    local files
    files=$(ulimit -n)
    [ "$files" != unlimited ] && [ "$files" -lt 12500 ] || files=12500
    say $(((files - 500) / 2))
}

stop() {
    end_group "${pid_of[$1]}"
    unset "pid_of[$1]"
}

last_words() { tail -n 3 "$scratch/$1/log" | tr '\n' ' '; }

# ---- Measuring ------------------------------------------------------------------------------------------------------

# What one call may take at most, in seconds: setting up 5000 sessions takes a while, and so does resting.
patience() {
    case $1 in
        idle) say 240 ;;
        chat-5000) say 150 ;;
        *) say 60 ;;
    esac
}

# generate PEER CELL SCENARIO TRANSPORT FILE: puts the load on a relay, in the background; its process is in REPLY.
generate() {
    local peer=$1 cell=$2 scenario=$3 transport=$4 file=$5 tls=$scratch/tls user users pid
    local arguments=(run "$here/cells/$scenario.toml" --transport "$transport" --label "$peer" --cell "$cell" --json "$file" --quiet)
    if [ -n "${address_of[$peer]:-}" ]; then
        arguments+=(--relay "${address_of[$peer]}" --name "$(setting "$peer" HOST "${address_of[$peer]%:*}")")
        users=$(setting "$peer" USERS "alice:secret bob:secret")
        [ "$transport" = tcp ] || [ -z "$(setting "$peer" CA "")" ] || arguments+=(--ca "$(setting "$peer" CA "")")
        pid=$(setting "$peer" PID "")
    else
        arguments+=(--relay "127.0.0.1:${port_of[$peer]}" --name localhost)
        users="alice:secret bob:secret"
        [ "$transport" = tcp ] || arguments+=(--ca "$tls/ca.crt")
        pid=${pid_of[$peer]}
    fi
    [ -z "$pid" ] || arguments+=(--relay-pid "$pid")
    [ "$transport" = tcp ] || arguments+=(--cipher TLS13_AES_128_GCM_SHA256 --key-exchange X25519)
    if [ -n "${backend_of[$peer]:-}" ]; then
        arguments+=(--listen "127.0.0.1:${backend_of[$peer]}")
        [ "$transport" = tcp ] || arguments+=(--certificate "$tls/end.crt" --key "$tls/end.key")
    else
        for user in $users; do
            arguments+=(--user "$user")
        done
    fi
    [ -z "$quick" ] || arguments+=(--set load.warm_up=300ms --set load.duration=1s)
    # In the background and waited for, so that a signal to this script is heeded at once.
    timeout --kill-after 5 "$(patience "$scenario")" "$load" "${arguments[@]}" \
        </dev/null >"$file.log" 2>&1 &
    REPLY=$!
    generators+=("$REPLY")
}

# settle PROCESS PEER CELL SCENARIO FILE: waits for a load, ends the relay and takes note of how it went. False if a
# repetition would be in vain.
settle() {
    local process=$1 peer=$2 cell=$3 scenario=$4 file=$5 status=0 index
    wait "$process" || status=$?
    for index in "${!generators[@]}"; do
        [ "${generators[index]}" != "$process" ] || unset "generators[$index]"
    done
    [ -z "${pid_of[$peer]:-}" ] || end_relay "$peer" "$cell"
    outcome=ok
    case $status in
        0) return 0 ;;
        1) read_errors "$file" ;;
        124 | 137) give_up "$peer" "$cell" "given up after $(patience "$scenario") s" ;;
        *) give_up "$peer" "$cell" "the generator ended with status $status: $(tail -n 1 "$file.log")" ;;
    esac
}

# Notes that there is no result; the next repetition would fare no better.
give_up() {
    outcome="no result"
    unfinished=yes
    note "$1 in $2: $3"
    return 1
}

end_relay() {
    local died=
    alive "$1" || died=yes
    stop "$1"
    [ -z "$died" ] || note "$1 died in $2 with exit status $REPLY: $(last_words "$1")"
}

# Reads a result with errors: what they were into `outcome`; false if they are more than an accident.
read_errors() {
    local delivered errors
    [ -s "$1" ] || { outcome="no result: $(tail -n 1 "$1.log")"; unfinished=yes; return 1; }
    IFS=$'\t' read -r delivered errors outcome < <(python3 - "$1" <<'PY'
import json, sys

result = json.load(open(sys.argv[1]))
errors = result["errors"]
words = "; ".join(f"{kind} ({fault['count']}): {fault['first']}" for kind, fault in errors.items())
count = sum(fault["count"] for fault in errors.values())
print(result["counts"]["messages"], count, " ".join(words.split())[:200] or "nothing arrived", sep="\t")
PY
    )
    [ "$delivered" -gt $((100 * errors)) ]
}

# The name of the file for a cell, a peer and a repetition.
result_file() { say "$out/results/$1.$2.$3.json"; }

declare -A in_vain=()       # "cell peer" that need not be repeated
unfinished=

# measure REPETITION PEER CELL SCENARIO TRANSPORT MAX_CHUNK: one load on a relay that has just been started. Some get
# slower with what earlier sessions have left behind (seen with Kamailio), and after errors they may not be themselves.
measure() {
    local repetition=$1 peer=$2 cell=$3 scenario=$4 transport=$5 max_chunk=$6 file began=$SECONDS
    [ -z "${in_vain["$cell $peer"]:-}" ] || return 0
    if [ -z "${address_of[$peer]:-}" ] && ! start "$peer" "$transport" "$max_chunk"; then
        in_vain["$cell $peer"]=yes
        unfinished=yes
        return 0
    fi
    file=$(result_file "$cell" "$peer" "$repetition")
    generate "$peer" "$cell" "$scenario" "$transport" "$file"
    settle "$REPLY" "$peer" "$cell" "$scenario" "$file" || in_vain["$cell $peer"]=yes
    [ -s "$file.log" ] || rm -f "$file.log"
    report_progress "$repetition" "$repeats" "$cell" "$peer" "$began"
}

report_progress() {
    printf '%4d s  %d/%d  %-18s %-11s %3d s  %s\n' $SECONDS "$1" "$2" "$3" "$4" $((SECONDS - $5)) "$outcome"
}

# rotated BY WORD…: the words, begun with another one each time, so that none always comes first.
rotated() {
    local by=$(($1 % ($# - 1)))
    shift
    say "${@:by + 1}" "${@:1:by}"
}

# All cells once, then all again: what disturbs the machine for a minute then disturbs one repetition of several cells,
# which the median leaves out, and not all repetitions of one.
measure_all() {
    local repetition line name scenario transport max_chunk most peers peer
    for ((repetition = 1; repetition <= repeats; repetition++)); do
        for line in "${chosen[@]}"; do
            read -r name scenario transport max_chunk most peers <<<"$line"
            [ "$scenario" != idle ] || continue
            [ "$repetition" -le "$most" ] || continue
            # shellcheck disable=SC2086  # a list of words
            for peer in $(rotated "$repetition" $peers); do
                measure "$repetition" "$peer" "$name" "$scenario" "$transport" "$max_chunk"
            done
        done
    done
}

# Memory at rest is not disturbed by others, so all peers rest at the same time.
measure_idle() {
    local line name scenario transport max_chunk most peers peer began=$SECONDS
    local -A process_of=()
    for line in "${chosen[@]}"; do
        read -r name scenario transport max_chunk most peers <<<"$line"
        [ "$scenario" = idle ] || continue
        say "$name: all peers at the same time, more than a minute"
        for peer in $peers; do
            [ -n "${address_of[$peer]:-}" ] || start "$peer" "$transport" "$max_chunk" || { unfinished=yes; continue; }
            generate "$peer" "$name" "$scenario" "$transport" "$(result_file "$name" "$peer" 1)"
            process_of[$peer]=$REPLY
        done
        for peer in "${!process_of[@]}"; do
            settle "${process_of[$peer]}" "$peer" "$name" "$scenario" "$(result_file "$name" "$peer" 1)" || true
            report_progress 1 1 "$name" "$peer" "$began"
        done
    done
}

# ---- What comes out -------------------------------------------------------------------------------------------------

# table TITLE BASELINE LABEL…: the results of these peers beside each other.
table() {
    local title=$1 baseline=$2
    shift 2
    collect "$@"
    [ ${#files[@]} -gt 0 ] || return 0
    # Without the byte proxy the first of them has to do.
    [[ " ${labels[*]} " == *" $baseline "* ]] || baseline=${labels[0]}
    printf '\n# %s\n\n' "$title"
    "$load" compare "${files[@]}" --baseline "$baseline"
}

# collect LABEL…: the result files of these peers into `files`, in the order of the plan, and those that have any into
# `labels`.
collect() {
    local line name label file
    files=()
    labels=()
    for line in "${chosen[@]}"; do
        name=${line%% *}
        for label in "$@"; do
            for file in "$out/results/$name.$label".[0-9]*.json; do
                [ -e "$file" ] || continue
                files+=("$file")
                [[ " ${labels[*]} " == *" $label "* ]] || labels+=("$label")
            done
        done
    done
}

write_page() {
    local baseline=haproxy
    collect chappe kamailio haproxy "${others[@]}" chappe-2 kamailio-2 haproxy-2
    [ ${#files[@]} -gt 0 ] || refuse "there is not one result"
    [[ " ${labels[*]} " == *" $baseline "* ]] || baseline=${labels[0]}
    "$load" report "${files[@]}" --baseline "$baseline" --output "$out/page.html"
}

# Ratios that lie across cells.
across() {
    python3 - "$out/results" <<'PY'
import glob, json, statistics, sys

cost = {}
for path in glob.glob(sys.argv[1] + "/*.json"):
    result = json.load(open(path))
    label, cell, relay = result["label"], result["cell"], result["relay"] or {}
    if not result["errors"] and relay.get("cpu_per_message"):
        cost.setdefault((label, cell), []).append(relay["cpu_per_message"])

lines = []
def ratio(what, over, under):
    """A line with the ratio of two medians, where both were measured; gives the ratio back."""
    if over not in cost or under not in cost:
        return None
    value = statistics.median(cost[over]) / statistics.median(cost[under])
    lines.append(f"| {what} | {value:.2f} |")
    return value

peers = sorted({label for label, _ in cost})
for peer in peers:
    ratio(f"{peer}: both sides logged in, against a caller without a relay", (peer, "chat-both"), (peer, "chat"))
grown = {}
for peer in peers:
    grown[peer] = ratio(f"{peer}: 5000 sessions against 100", (peer, "chat-5000"), (peer, "chat"))
if grown.get("chappe") and grown.get("haproxy"):
    lines.append(f"| chappe's growth against haproxy's own | {grown['chappe'] / grown['haproxy']:.2f} |")
for peer in peers:
    for cell in ("chat", "chat-16", "chunk-64k"):
        ratio(f"{peer}: {cell}, two threads against one", (peer + "-2", cell), (peer, cell))
if lines:
    print("\n# Across cells\n\n| relay CPU per message | ratio of medians |\n|---|--:|")
    print("\n".join(lines))
PY
}

write_table() {
    say "# Comparison"
    say
    say '```'
    print_versions
    say '```'
    table "One thread" haproxy chappe kamailio haproxy "${others[@]}"
    table "Two threads" haproxy-2 chappe-2 kamailio-2 haproxy-2
    across
    if [ ${#notes[@]} -gt 0 ]; then
        printf '\n# Notes\n\n'
        printf -- '- %s\n' "${notes[@]}"
    fi
}

main() {
    parse_options "$@"
    choose_cells
    if [ -n "$list" ]; then
        printf '%-18s %-11s %-9s %-9s %-11s %s\n' cell scenario transport max_chunk repetitions peers
        local line name scenario transport max_chunk most peers
        for line in "${chosen[@]}"; do
            read -r name scenario transport max_chunk most peers <<<"$line"
            [ "$most" -lt "$repeats" ] || most=$repeats
            printf '%-18s %-11s %-9s %-9s %-11s %s\n' "$name" "$scenario" "$transport" "$max_chunk" "$most" "$peers"
        done
        return
    fi
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d)
    install_packages
    build
    [ -n "$out" ] || out=$target/compare/$(date +%Y%m%d-%H%M%S)
    mkdir -p "$out/results"
    out=$(cd "$out" && pwd)
    [ -z "$(find "$out/results" -name '*.json' -print -quit)" ] || refuse "$out has results already"
    SECONDS=0
    print_versions
    raise_open_files
    make_certificates
    measure_all
    measure_idle
    write_table >"$out/table.md"
    write_page
    say
    cat "$out/table.md"
    say
    say "took $SECONDS s"
    say "page: $out/page.html"
    [ -z "$unfinished" ] || return 1
}

# In one line, since bash reads on where this file may have been changed meanwhile.
main "$@"; exit
