#!/bin/sh
# Measures what docs/gossip.md shows: prints the tables, writes docs/figures/*.svg; the same commands give the same numbers. How long
# each took goes to standard error. Takes the program from $B/starling-sim. A study that fails, or takes longer than STUDY_SECONDS (900),
# costs no other; the exit status is 1 then.
#   tests/figures.sh [FOLDER]         everything, about ten minutes on two idle cores
#   ONLY='detect swim' tests/figures.sh    these alone
set -u
sim=${B:-build}/starling-sim
to=${1:-docs/figures}
limit=${STUDY_SECONDS:-900}
only=${ONLY:-}
failed=
mkdir -p "$to"

wanted() {
    [ -z "$only" ] || case " $only " in *" $1 "*) ;; *) return 1 ;; esac
}

# A table: name, options.
table() {
    name=$1
    shift
    wanted "$name" || return 0
    began=$(date +%s)
    echo "\$ starling-sim $*"
    timeout "$limit" "$sim" "$@" || failed="$failed $name"
    echo
    echo "$name took $(($(date +%s) - began)) s" >&2
}

# A table and docs/figures/NAME.svg.
study() {
    name=$1
    shift
    table "$name" "$@" --svg "$to/$name.svg"
}

study detect --scenario detect --nodes 50,200,1000 --runs 1
study detect-refused --scenario detect --nodes 50,200,1000 --runs 1 --refused
study update --scenario update --nodes 50,200,1000 --runs 1
study update-lossy --scenario update --nodes 50,200 --runs 1 --loss 10
study document --scenario document
table document-lossy --scenario document --loss 1
study coordinates --scenario coordinates
table degraded --scenario degraded --runs 2
study swim --scenario swim --nodes 50,100,200,400,1000 --runs 1
study swim-loss --scenario swim-loss --runs 1
study rest --scenario rest-cost --nodes 50,100,200,400,1000,2000
study join-all --scenario join-all --nodes 50,100,200,400,1000 --runs 1
study repair --scenario repair --nodes 100,1000,3000 --runs 3
study mass-failure --scenario mass-failure --nodes 200
study lifeguard-interval --scenario lifeguard --interval --compare --quiet --runs 1 \
    --paused 4,16,32 --on-ms 2048,16384 --off-ms 64
study lifeguard-threshold --scenario lifeguard --compare --quiet --runs 1 \
    --paused 4,16,32 --on-ms 8192,16384,32768
table lies --scenario lies
table apart-100 --scenario apart --nodes 100
table apart-400 --scenario apart --nodes 400
table byzantine --scenario byzantine --nodes 200

[ -z "$failed" ] || echo "these failed, or took longer than $limit s:$failed" >&2
[ -z "$failed" ]
