#!/bin/sh
# Fills in the templates and becomes Kamailio in the foreground (its process id is this one's; SIGTERM stops it with its
# children). Usage: run.sh RUN_DIR PORT CERT KEY CA   (PEM files, absolute paths)
# Environment: HOST (name in Use-Path, default localhost), REALM (kamailio.test), DEBUG (1; 3 logs every frame),
# A2_METHOD (AUTH), REUSE_LINKS (1: send to a far hop on the link it came on; 0: always by its URI).
set -eu
[ $# -eq 5 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
run=$1
mkdir -p "$run"
for name in kamailio.cfg tls.cfg; do
    sed -e "s|@RUN_DIR@|$run|g" -e "s|@PORT@|$2|g" -e "s|@CERT@|$3|g" -e "s|@KEY@|$4|g" -e "s|@CA@|$5|g" \
        -e "s|@HOST@|${HOST:-localhost}|g" -e "s|@REALM@|${REALM:-kamailio.test}|g" -e "s|@DEBUG@|${DEBUG:-1}|g" \
        -e "s|@A2_METHOD@|${A2_METHOD:-AUTH}|g" "$here/$name.in" >"$run/$name"
done
[ "${REUSE_LINKS:-1}" = 0 ] || reuse="-A REUSE_LINKS"
exec kamailio -f "$run/kamailio.cfg" -DD -E -m 64 -M 16 -w "$run" -Y "$run" -P "$run/kamailio.pid" ${reuse:-}
