#!/bin/sh
# Plays every scenario over many seeds with few hosts, and some with many. Takes the program from $B/starling-sim. Ends with one line
# of totals, which it also leaves in $B/summary/sim for `make test`.
# SIM_SEED and SIM_SCALE (1) shift and multiply the seeds: a night's run is SIM_SCALE=200. A failing run prints the command
# that plays it again.
set -u
B=${B:-build}
sim=$B/starling-sim
first=${SIM_SEED:-1}
scale=${SIM_SCALE:-1}
passed=0 failed=0

# scenario, hosts, seeds
play() {
    runs=$(($3 * scale))
    out=$("$sim" --scenario "$1" --nodes "$2" --seed "$first" --runs "$runs" --quiet 2>&1) && status=0 || status=$?
    printf '%s\n' "$out" | tail -n 1
    if [ "$status" -gt 1 ]; then
        printf '%s\n' "$out"
        echo "$1, $2 nodes: exit status $status"
        failed=$((failed + runs))
        return
    fi
    bad=$(printf '%s\n' "$out" | grep -c '^FAILED: ')
    [ "$bad" = 0 ] || printf '%s\n' "$out" | grep -A 1 '^FAILED: ' | head -n 12
    failed=$((failed + bad))
    passed=$((passed + runs - bad))
}

if [ ! -x "$sim" ]; then
    echo "$sim is missing: make all"
    exit 1
fi
while read -r scenario few few_seeds many many_seeds; do
    play "$scenario" "$few" "$few_seeds"
    play "$scenario" 30 $((few_seeds / 4 + 1))
    [ "$many" = - ] || play "$scenario" "$many" "$many_seeds"
done <<'LIST'
join            7 120 200 2
rest            5 40  200 1
crash           9 120 200 1
partition-heal  8 120 200 1
one-way         8 100 -   -
rolling-restart 6 40  -   -
mass-restart    8 100 200 1
slow-nodes      9 100 200 1
leave           8 100 200 1
forge           8 30  -   -
loss            8 30  -   -
policy          8 80  200 1
LIST
echo "simulation: $passed passed, $failed failed"
mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/sim"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
