#!/usr/bin/env bash
# A client for the walk-through in README.md: SIPp makes its call, netcat connects its MSRP session.
#
#   client.sh bob           registers at Kamailio and takes a call
#   client.sh alice bob     registers, and calls him for two minutes
#
# Each line of its input is a message. It answers those that it hears; both these and the answers to its own are shown.
set -euo pipefail
export LC_ALL=C # lengths are octets
cd "$(dirname "$0")/../../tests/sip/scenarios"

case "${1-} ${2-}" in "alice bob") n=1 ;; "bob ") n=2 ;; *) echo "client.sh bob | client.sh alice bob" >&2; exit 2 ;; esac
name=$1 own="msrp://127.0.0.1:700$n/$1$RANDOM$RANDOM;tcp"
scratch=$(mktemp -d)
trap 'exec 2>/dev/null; kill -KILL $(jobs -p) || true; rm -r "$scratch"' EXIT

settings=(-i 127.0.0.1 -p "508$n" -m 1 -nostdin -trace_logs -log_file "$scratch/log")
settings+=(-key msrp_path "$own" -key msrp_host 127.0.0.1 -key msrp_port "700$n" -key target 127.0.0.1)

# A message with this text, or one without a body.
send() {
    local id=${name}$((++sent)) size=${#1} body=
    [ -z "$1" ] || body=$(printf 'Content-Type: text/plain\r\n\r\n%s\r\n_' "$1")
    printf 'MSRP %s SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %s\r\nByte-Range: 1-%d/%d\r\n%s-------%s$\r\n' \
        "$id" "$told" "$own" "$id$RANDOM" "$size" "$size" "${body%_}" "$id" >&5
}

say() {
    while IFS= read -r line; do send "$line"; done
}

hear() {
    local line part=none id=none from
    while IFS= read -r line; do
        line=${line%$'\r'}
        case "$part $line" in
            "none MSRP "*" SEND") part=head id=${line#MSRP } id=${id% SEND} ;;
            "none MSRP "*) echo "    ${line#MSRP }" ;;
            "none Status: "*) echo "    $line" ;;
            "head From-Path: "*) from=${line#From-Path: } from=${from%% *} ;;
            "head ") part=body ;;
            "head -------$id"* | "body -------$id"*)
                printf 'MSRP %s 200 OK\r\nTo-Path: %s\r\nFrom-Path: %s\r\n-------%s$\r\n' "$id" "$from" "$own" "$id" >&5
                part=none
                ;;
            "body "*) echo "> $line" ;;
        esac
    done
}

sipp 127.0.0.1:5060 -sf uac_register.xml -s "$name" -key contact "sip:$name@127.0.0.1:508$n" "${settings[@]}" &>"$scratch/sipp" ||
    { echo "no answer from Kamailio"; exit 1; }
if [ "$name" = bob ]; then
    coproc nc { exec nc -l 127.0.0.1 "700$n"; }
    sipp -sf uas_basic.xml "${settings[@]}" &>"$scratch/sipp" &
else
    sipp 127.0.0.1:5060 -sf uac_basic.xml -s "$2" -d 120000 "${settings[@]}" &>"$scratch/sipp" &
fi
call=$!
echo "$name has registered; MSRP at $own"
# Where to send is in the other side's description.
until told=$(sed -n 's/^[a-z]*\.path //p' "$scratch/log" 2>/dev/null) && [ -n "$told" ]; do
    kill -0 "$call" 2>/dev/null || { echo "no call"; exit 1; }
    sleep 0.1
done
echo "the call stands; the other side is $told"
sent=0
[ "$name" = bob ] || coproc nc { exec nc 127.0.0.1 2855; }
exec 3<&0 4<&"${nc[0]}" 5>&"${nc[1]}"
# Who connects is known by its first message.
[ "$name" = bob ] || send ""
say <&3 &
hear <&4 &
wait "$call" || true
echo "the call is over"
