#!/bin/sh
# Installs the peers of the SIP tests: SIPp, Kamailio with its registrar, baresip without a display. Debian, as root, as often
# as one likes. No service is started. Prints the versions; exit status 0 only if all of it can be used.
set -eu
fail() { echo "install.sh: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "must run as root"
command -v apt-get >/dev/null || fail "needs Debian's apt-get"

packages="sip-tester kamailio baresip-core"
if ! dpkg-query -W -f '${db:Status-Abbrev}\n' $packages 2>/dev/null | awk '!/^ii/ { bad = 1 } END { exit bad || NR != 3 }'; then
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy     # keeps the package from starting its SIP server
        chmod +x $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    apt-get update >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
    apt-get install -y --no-install-recommends $packages >"$log" 2>&1 || { tail -20 "$log" >&2; fail "apt-get install failed"; }
    rm -f "$log"
fi

for module in tm tmx sl rr pv usrloc registrar textops siputils maxfwd sanity nathelper xlog kex corex; do
    dpkg -L kamailio | grep -q "/modules/$module\.so$" || fail "Kamailio's package has no module $module"
done
for module in account menu ctrl_tcp ausine aufile g711; do
    dpkg -L baresip-core | grep -q "/modules/$module\.so$" || fail "baresip's package has no module $module"
done
# SIPp leaves with 99 when it has only told its version.
sipp -v | sed -n 's/^ *\(SIPp v[^ ]*\).*/\1/p'
kamailio -v | head -1
baresip -h 2>&1 | sed -n 's/^\(baresip v[^ ]*\).*/\1/p; s/.*\(baresip v[0-9.]*\).*/\1/p' | head -1
