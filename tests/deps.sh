#!/bin/sh
# Installs, through apt, the Debian 12 packages that building and testing need and that are missing. Says so.
set -eu
need="gcc clang make pkg-config clang-format clang-tidy cppcheck libclang-rt-14-dev llvm-14
libuv1-dev libsodium-dev liblmdb-dev libmsgpack-dev libhttp-parser-dev libyaml-dev libjansson-dev libcmocka-dev uthash-dev
curl nginx-core redis-server redis-tools python3 nftables iproute2 tcpdump procps openssl faketime util-linux wrk"
missing=
for p in $need; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing missing packages through apt:$missing"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
export DEBIAN_FRONTEND=noninteractive
# Packages that start a service on installation must not: tests start their own.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made=1
fi
status=0
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; } || status=$?
[ -z "$made" ] || $as_root rm -f "$policy"
if [ "$status" != 0 ]; then
    echo "apt could not install:$missing (see its message above); install them and run this again" >&2
    exit "$status"
fi
