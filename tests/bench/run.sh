#!/bin/sh
# Figures of the data plane beside the bare path in the same run; prints a table for docs/benchmarks.md. SECONDS_EACH=5 sets the time
# of one measurement. In a network namespace of its own, so that ports are free.
set -eu
cd "$(dirname "$0")/../.."
B=$(realpath "${B:-build}")
export B
if [ "$(id -u)" = 0 ]; then user=; else user=--map-root-user; fi
# shellcheck disable=SC2086
exec unshare $user --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up; exec python3 tests/bench/bench.py'
