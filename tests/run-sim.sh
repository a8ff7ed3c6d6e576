#!/bin/sh
# Plays the swarm over many seeds, and every scenario with few hosts over many seeds and with many over some. Takes the program from
# $B/starling-sim. A failing run prints the command that plays it again.
#   tests/run-sim.sh         about a minute on two cores. SIM_SEED and SIM_SCALE (1) shift and multiply the seeds
#   tests/run-sim.sh long    the same with ever new seeds for SIM_SECONDS (3600), from SIM_SEED (the time of day) on, until a
#                            run fails; ctrl-C ends it early, with what was found so far
set -u
B=${B:-build}
sim=$B/starling-sim
scale=${SIM_SCALE:-1}
passed=0 failed=0 playing=

# Counts what a batch printed: file, its exit status, how many runs it was to have.
count() {
    tail -n 1 "$1"
    if [ "$2" -gt 1 ]; then
        cat "$1"
        echo "exit status $2"
        failed=$((failed + $3))
        return
    fi
    bad=$(grep -c '^FAILED: ' "$1")
    [ "$bad" = 0 ] || grep -A 1 '^FAILED: ' "$1" | head -n 12
    failed=$((failed + bad))
    passed=$((passed + $3 - bad))
}

# scenario, hosts (-: as drawn), first seed, seeds
play() {
    hosts="--nodes $2"
    [ "$2" != - ] || hosts=
    # shellcheck disable=SC2086
    "$sim" --scenario "$1" $hosts --seed "$3" --runs "$4" --quiet >"$out/play" 2>&1 &
    playing=$! # a shell that waits hears signals at once
    wait $playing
    count "$out/play" $? "$4"
}

scenarios() {
    while read -r scenario few few_seeds many many_seeds; do
        play "$scenario" "$few" "$1" $((few_seeds * scale))
        play "$scenario" 30 "$1" $(((few_seeds / 6 + 1) * scale))
        [ "$many" = - ] || play "$scenario" "$many" "$1" $((many_seeds * scale))
    done <<'LIST'
join            7 60 200 1
rest            5 20 -   -
crash           9 60 200 1
partition-heal  8 60 200 1
one-way         8 50 -   -
rolling-restart 6 20 -   -
mass-restart    8 50 200 1
slow-nodes      9 50 -   -
starved         9 40 -   -
leave           8 50 200 1
flapping        8 40 -   -
half-connected  8 40 -   -
rack            9 40 200 1
churn           9 30 -   -
congested       9 30 -   -
forge           8 20 -   -
loss            8 20 -   -
policy          8 40 200 1
classes         9 6  -   -
forgotten       8 10 -   -
partial-links   9 20 -   -
mangled         9 20 100 2
paused          9 6  -   -
sluggish        9 12 -   -
moved           9 20 -   -
versions        8 12 -   -
restarts        7 4  -   -
in-phase        9 20 200 1
capture         8 12 -   -
wiped-disk      8 30 200 1
liars          12 6  -   -
eclipse         8 20 -   -
byzantine      12 4  -   -
two-faced       5 60 100 1
bundle          9 20 200 1
fork            9 20 200 1
rollback        9 20 100 1
freeze          9 20 100 1
invent          9 20 100 1
revoke          9 20 200 1
rollout        12 30 100 1
LIST
}

finish() {
    rm -rf "$out"
    echo "simulation: $passed passed, $failed failed" >&3
    mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/sim"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

short_run() {
    first=${SIM_SEED:-1} runs=$((1200 * scale))
    "$sim" --scenario swarm --seed "$first" --runs $runs --quiet >"$out/swarm" 2>&1 &
    swarm=$!
    scenarios "$first"
    wait $swarm
    count "$out/swarm" $? $runs
}

long_run() {
    seed=${SIM_SEED:-$(date +%s)}
    until=$(($(date +%s) + ${SIM_SECONDS:-3600}))
    trap 'kill "$playing" 2>/dev/null; finish; exit' INT TERM
    while [ "$(date +%s)" -lt "$until" ] && [ "$failed" = 0 ]; do
        play swarm - "$seed" 500
        : >"$out/scenarios"
        [ "$failed" != 0 ] || { scenarios "$seed" && play day 8 "$seed" 1; } >"$out/scenarios"
        [ "$failed" = 0 ] || grep -hA 1 '^FAILED: ' "$out/scenarios"
        seed=$((seed + 500))
    done
}

if [ ! -x "$sim" ]; then
    echo "$sim is missing: make all"
    exit 1
fi
exec 3>&1 # a signal may come while a batch's output goes into a file
out=$(mktemp -d)
if [ "${1:-}" = long ]; then long_run; else short_run; fi
finish
