#!/bin/sh
# Lets Wireshark's MSRP dissector read captured traffic and counts the frames by method and code.
# Usage: tshark.sh PCAP KEYLOG PORT plain|tls     (KEYLOG: an SSLKEYLOGFILE; - with plain)
# Exit status: 0 all frames well formed; 1 a malformed frame, octets outside of frames, or no frame at all; 2 usage.
set -eu
[ $# -eq 4 ] && [ -r "$1" ] || { sed -n '2,4p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
case $4 in
    tls) set -- "$1" "$3" tls -o "tls.keylog_file:$2" -d "tcp.port==$3,tls" ;;
    plain) set -- "$1" "$3" plain ;;
    *) sed -n '2,4p' "$0" >&2; exit 2 ;;
esac
pcap=$1 port=$2 layer=$3
shift 3
tab=$(printf '\t')
# Two passes (-2), so that a frame is shown once, whole, in the packet that ends it. The raw text copy would double work.
rows=$(tshark -2 -n -r "$pcap" -X "lua_script:$here/msrp_stream.lua" -X "lua_script1:$port" -X "lua_script1:$layer" "$@" \
    -o tcp.desegment_tcp_streams:TRUE -o tls.desegment_ssl_application_data:TRUE -o tcp.reassemble_out_of_order:TRUE \
    -o msrp.display_raw_text:FALSE -Y "tcp.port == $port" \
    -T fields -E "separator=$tab" -E aggregator=, -E occurrence=a \
    -e frame.number -e tcp.stream -e msrpstream.frame -e msrp.method -e msrp.status.code -e msrp.cnt.flg \
    -e _ws.malformed -e msrp.status.code.invalid -e msrpstream.lost -e msrp.hdr)
printf '%s\n' "$rows" | awk -F '\t' '
    { streams[$2] = 1 }
    $3 { n = split($3, kinds, ","); cut += n; spoken[$2] = 1 }
    { read += tally($4) + tally($5); flags += split($6, unused, ",") }
    $7 || $8 { print "packet " $1 ": malformed: " $3 " " $7; bad = 1 }
    $9 != "" { print "packet " $1 ": " $9 " octets outside of frames"; bad = 1 }
    # A header line that Wireshark knows no name for; it may be an extension, but it needs a colon.
    $10 && $10 !~ /^[^,:]+:/ { print "packet " $1 ": header line: " $10; bad = 1 }
    function tally(list,    n, i, kinds) { n = split(list, kinds, ","); for (i = 1; i <= n; i++) count[kinds[i]]++; return n }
    END {
        for (kind in count) print kind, count[kind] | "sort"
        close("sort")
        for (s in streams) all++
        for (s in spoken) used++
        print "frames " read + 0 " on " used + 0 " of " all + 0 " connections"
        if (read != cut || flags != cut) { print "cut out " cut ", read " read ", with an end-line " flags; bad = 1 }
        exit bad || !read
    }'
