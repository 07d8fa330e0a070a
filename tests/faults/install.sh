#!/bin/sh
# Installs what the faults that need root are made with: nftables and iproute2; mount, unshare and a shell are Debian's base.
# Debian, as root, as often as one likes. Nothing is started and no rule of this machine is touched: the tests drop packets in
# network namespaces of their own. Prints the versions; exit status 0 only if all of it can be used.
set -eu
fail() { echo "install.sh: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "must run as root"
command -v apt-get >/dev/null || fail "needs Debian's apt-get"

packages="nftables iproute2 util-linux mount"
if ! dpkg-query -W -f '${db:Status-Abbrev}\n' $packages 2>/dev/null | awk '!/^ii/ { bad = 1 } END { exit bad || NR != 4 }'; then
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    apt-get update >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
    apt-get install -y --no-install-recommends $packages >"$log" 2>&1 || { tail -20 "$log" >&2; fail "apt-get install failed"; }
    rm -f "$log"
fi

name=chappe-install-$$
ip netns add "$name" || fail "this kernel or container has no network namespaces"
trap 'ip netns del "$name"' EXIT
ip netns exec "$name" nft 'add table inet probe; add chain inet probe in { type filter hook input priority 0; policy drop; }' ||
    fail "this kernel has no nf_tables"
ip link add chappe-in0 netns "$name" type veth peer name chappe-in1 netns "$name" || fail "this kernel has no veth"
unshare --mount true || fail "no mount namespaces"
nft --version
ip -V
