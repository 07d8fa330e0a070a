#!/bin/sh
# Installs what the interop tests run against: Kamailio with its TLS module, tshark and dumpcap. Debian, as root, as often
# as one likes. No service is started. Prints the versions; exit status 0 only if all of it can be used.
set -eu
fail() { echo "install.sh: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "must run as root"
command -v apt-get >/dev/null || fail "needs Debian's apt-get"

packages="kamailio kamailio-tls-modules tshark wireshark-common"
if ! dpkg-query -W -f '${db:Status-Abbrev}\n' $packages 2>/dev/null | awk '!/^ii/ { bad = 1 } END { exit bad || NR != 4 }'; then
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

for module in msrp tls auth htable; do
    dpkg -L kamailio kamailio-tls-modules | grep -q "/modules/$module\.so$" || fail "Kamailio's package has no module $module"
done
kamailio -v | head -1
tshark -v 2>/dev/null | head -1
tshark -v 2>/dev/null | tr '\n' ' ' | grep -q 'with Lua' || fail "this tshark has no Lua"
tshark -G protocols 2>/dev/null | grep -q '	msrp$' || fail "this tshark does not know MSRP"
command -v dumpcap
