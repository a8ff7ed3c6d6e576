#!/bin/sh
# One seed, one run, whatever built the simulator: builds it again with the other compiler and without optimisation, plays some seeds
# with each, and compares the lines of the runs, which end in the hash of everything that happened. Takes the first program from
# $B/starling-sim; builds under $B/compilers. About a minute on two cores.
set -eu
B=${B:-build}
first=$B/starling-sim

runs() {
    for scenario in crash partition-heal churn forge policy loss swarm; do
        "$1" --scenario "$scenario" --seed 11 --runs 5
    done | sed 's/ virtual s in [0-9.]* s,/ virtual s,/'
    "$1" --scenario lifeguard --interval --runs 1 --paused 4 --on-ms 2048 --off-ms 64
}

# name, compiler, flags
compare() {
    command -v "$2" >/dev/null || { echo "compilers: no $2 here"; return; }
    ${MAKE:-make} --no-print-directory -s ROOMS='gossip agent/trust' B="$B/compilers/$1" CC="${CCACHE:-} $2" CFLAGS="$3" "$B/compilers/$1/starling-sim" >/dev/null
    runs "$B/compilers/$1/starling-sim" >"$B/compilers/$1/lines"
    if ! diff "$B/compilers/lines" "$B/compilers/$1/lines"; then
        echo "compilers: $2 $3 plays other runs"
        exit 1
    fi
    echo "compilers: $2 $3: $(wc -l <"$B/compilers/$1/lines") lines, all the same"
}

mkdir -p "$B/compilers"
runs "$first" >"$B/compilers/lines"
compare clang-O0 clang -O0
compare gcc-O3 gcc -O3
