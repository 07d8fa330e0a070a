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
  --peers LIST        only these peers, by comma: chappe, chappe-2, chappe-ring, chappe-ring-2, kamailio, kamailio-2, haproxy,
                      haproxy-2, and names given by --peer. -2: two shards, workers or threads; -ring: the io_uring engine
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
started), Rust 1.95, a C compiler and make. Exit status: 0 all cells were run (what a peer cannot do is told in the table),
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
    'chat              chat         tls 10000 99 quick chappe kamailio haproxy others chappe-2 haproxy-2 chappe-ring chappe-ring-2'
    'chat-16           chat-16      tls 10000 99 quick chappe kamailio haproxy others chappe-2 haproxy-2 chappe-ring'
    'chat-1000         chat-1000    tls 10000 99 full  chappe kamailio haproxy others chappe-ring'
    'chat-both         chat-both    tls 10000 99 full  chappe kamailio others chappe-2 chappe-ring-2'
    'message-2k        message-2k   tls 10000 99 quick chappe kamailio haproxy others chappe-ring'
    'chunk-64k         chunk-64k    tls 65536 99 quick chappe kamailio haproxy others chappe-2 haproxy-2 chappe-ring'
    'chunk-64k-cut     chunk-64k    tls 10000 99 full  chappe haproxy chappe-ring'
    'file              file         tls 10000 99 quick chappe kamailio haproxy others chappe-ring'
    'file-2k           file-2k      tls 10000 99 full  chappe kamailio haproxy others chappe-ring'
    'open              open         tls 10000 99 full  chappe kamailio haproxy others chappe-ring'
    'set-up            set-up       tls 10000 99 quick chappe kamailio haproxy others chappe-ring'
    'chat-tcp          chat         tcp 10000 99 quick chappe kamailio haproxy others kamailio-2 chappe-ring'
    'chunk-64k-tcp     chunk-64k    tcp 65536 99 full  chappe kamailio haproxy others'
    'chunk-64k-cut-tcp chunk-64k    tcp 10000 99 full  chappe haproxy'
    'chat-5000         chat-5000    tls 10000  3 full  chappe kamailio haproxy others chappe-ring'
    'idle              idle         tls 10000  1 full  chappe kamailio haproxy others chappe-ring'
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
    local name known=" chappe chappe-2 chappe-ring chappe-ring-2 kamailio kamailio-2 haproxy haproxy-2 "
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
        # With --quick two threads and the other engine are left out unless they are asked for.
        if [ -n "$quick" ] && [ -z "$wanted_peers" ]; then
            peers=$(tr ' ' '\n' <<<"$peers" | grep -vE -- '-(2|ring|ring-2)$' | tr '\n' ' ')
        fi
        [ -z "${peers// /}" ] || chosen+=("$name $scenario $transport $max_chunk $most $peers")
    done
    [ ${#chosen[@]} -gt 0 ] || refuse "no cell is left to be run"
}

# shellcheck source=loadtest/peers/start.sh
source "$here/peers/start.sh"
# shellcheck source=loadtest/peers/table.sh
source "$here/peers/table.sh"

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
        124 | 137) rm -f "$file"; give_up "$peer" "$cell" "given up after $(patience "$scenario") s" ;;
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

# ---- All of it -----------------------------------------------------------------------------------------------------

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
