#!/bin/sh
# Runs each libFuzzer program of the folder given for FUZZ_SECONDS (20), with a corpus that is kept beside it, and
# tests/fuzz/NAME.dict where there is one. Fails if one of them finds something; says how to run that input again.
#   tests/run-fuzz.sh build/fuzz/tests/fuzz
set -u
dir=${1:?usage: tests/run-fuzz.sh FOLDER}
seconds=${FUZZ_SECONDS:-20}
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0 runs=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for bin in "$dir"/*; do
    if [ ! -f "$bin" ] || [ ! -x "$bin" ]; then continue; fi
    name=$(basename "$bin")
    corpus="$dir/corpus/$name"
    crashes="$dir/crashes/$name"
    mkdir -p "$corpus" "$crashes"
    set -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/"
    [ ! -f "$here/fuzz/$name.dict" ] || set -- "$@" -dict="$here/fuzz/$name.dict"
    if "$bin" "$@" "$corpus" >"$log" 2>&1; then
        n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "ok   $name: ${n:-0} runs, $(find "$corpus" -type f | wc -l) inputs in the corpus"
        runs=$((runs + ${n:-0}))
        passed=$((passed + 1))
    else
        tail -n 40 "$log"
        echo "FAIL $name: run again with: $bin $(sed -n 's/.*Test unit written to //p' "$log" | head -n 1)"
        failed=$((failed + 1))
    fi
done
echo "fuzz: $passed passed, $failed failed, $runs runs in $seconds s each"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
