# Part of ../compare.sh: what the relays need, how they are started and ended. Sourced, not run.
# shellcheck shell=bash disable=SC2034,SC2154  # shares the variables of compare.sh

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
    local missing=() need=(openssl:openssl python3:python3 cc:gcc make:make)
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
    chappe=$target/release/chappe
    # The other engine is no part of the program as it is shipped, so it has a program of its own here.
    if takes_part chappe-ring; then
        cargo build --release --features io-uring --bin chappe --quiet || refuse "the build with io_uring failed"
        cp "$chappe" "$chappe-ring"
    fi
    cargo build --release --workspace --quiet || refuse "the build failed"
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
            local engine=tokio program=$chappe
            [[ $peer != chappe-ring* ]] || engine=io-uring program=$chappe-ring
            fill chappe.toml.in "$directory/chappe.toml" "${values[@]}" SHARDS="$threads" MAX_CHUNK="$max_chunk" ENGINE=$engine
            run_relay "$peer" "$program" run --config "$directory/chappe.toml"
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
