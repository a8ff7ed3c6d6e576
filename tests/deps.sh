#!/bin/sh
# Installs, through apt, the Debian 12 packages that building and testing need and that are missing. Says so.
set -eu
need="gcc clang make pkg-config clang-format clang-tidy cppcheck libclang-rt-14-dev llvm-14
libuv1-dev libsodium-dev liblmdb-dev libmsgpack-dev libhttp-parser-dev libyaml-dev libjansson-dev libcmocka-dev uthash-dev
curl nginx-core redis-server redis-tools python3 nftables iproute2 tcpdump procps openssl faketime util-linux wrk
git"
if ! command -v dpkg-query >/dev/null; then
    echo "this is not a Debian; what is needed must be there already:" $need
    exit 0
fi
missing=
for p in $need; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
as_root=
if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
# A bare chroot has no hosts file; tests ask for localhost by name, as applications do.
[ -z "$missing" ] && [ -e /etc/hosts ] && exit 0
if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
    echo "neither root nor sudo is here; let root run: apt-get install$missing" >&2
    exit 1
fi
if [ ! -e /etc/hosts ]; then
    echo "writing /etc/hosts, which is missing: 127.0.0.1 and ::1 are localhost"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' | $as_root tee /etc/hosts >/dev/null
fi
[ -n "$missing" ] || exit 0
echo "installing missing packages through apt:$missing"
apt_get="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120"
# Packages that start a service on installation must not: tests start their own.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made=1
fi
status=0
{ $apt_get update -qq && $apt_get install -y -qq --no-install-recommends $missing >/dev/null; } || status=$?
[ -z "$made" ] || $as_root rm -f "$policy"
if [ "$status" != 0 ]; then
    echo "apt could not install:$missing (see its message above); install them and run this again" >&2
    exit "$status"
fi
