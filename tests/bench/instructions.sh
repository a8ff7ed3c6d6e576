#!/bin/sh
# Instructions of one small request at each agent, in a network namespace of its own; see instructions.py. Needs valgrind.
set -eu
cd "$(dirname "$0")/../.."
B=$(realpath "${B:-build}")
export B
if [ "$(id -u)" = 0 ]; then user=; else user=--map-root-user; fi
# shellcheck disable=SC2086
exec unshare $user --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up; exec python3 tests/bench/instructions.py'
