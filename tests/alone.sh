#!/bin/sh
# Runs a command in network, process and mount namespaces of its own, with loopback up: its ports are free, and what it leaves behind
# ends with it. ALONE=1 tells it so. Exit status 125: this system permits none (a plain container, say); nothing was run.
#   tests/alone.sh COMMAND...
set -u
if [ "$(id -u)" = 0 ]; then user=; else user=--map-root-user; fi
own="unshare $user --net --pid --fork --kill-child --mount --mount-proc"
# shellcheck disable=SC2086
$own true 2>/dev/null || exit 125
ALONE=1
export ALONE
# shellcheck disable=SC2086
exec $own sh -c 'ip link set lo up; exec "$@"' sh "$@"
