#!/bin/sh
# Measures what docs/gossip.md shows: prints the tables, writes docs/figures/*.svg. About a minute and a half on one core; the same
# commands give the same numbers. Takes the program from $B/starling-sim.
#   tests/figures.sh [FOLDER]
set -eu
sim=${B:-build}/starling-sim
to=${1:-docs/figures}
mkdir -p "$to"

study() {
    name=$1
    shift
    echo "\$ starling-sim $* --svg $to/$name.svg"
    "$sim" "$@" --svg "$to/$name.svg"
    echo
}

study detect --scenario detect --nodes 50,200,1000 --runs 1
study detect-refused --scenario detect --nodes 50,200,1000 --runs 1 --refused
study update --scenario update --nodes 50,200,1000 --runs 1
study update-lossy --scenario update --nodes 50,200 --runs 1 --loss 10
study swim --scenario swim --nodes 50,100,200,400,1000 --runs 1
study swim-loss --scenario swim-loss --runs 1
study rest --scenario rest-cost --nodes 50,100,200,400,1000,2000
study join-all --scenario join-all --nodes 50,100,200,400,1000 --runs 1
study repair --scenario repair --runs 3
study mass-failure --scenario mass-failure --nodes 200
study lifeguard-interval --scenario lifeguard --interval --compare --quiet --runs 1 \
    --paused 4,16,32 --on-ms 2048,16384 --off-ms 64
study lifeguard-threshold --scenario lifeguard --compare --quiet --runs 1 \
    --paused 4,16,32 --on-ms 8192,16384,32768
