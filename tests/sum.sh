#!/bin/sh
# Adds up what the runners named left in $B/summary, and says it in one line that continuous integration can read. A runner that left
# nothing did not get to its end: one failure. Fails if there was one.
#   tests/sum.sh unit sim e2e
set -u
B=${B:-build}
passed=0 failed=0
for part in "$@"; do
    if read -r p f 2>/dev/null <"$B/summary/$part"; then
        passed=$((passed + p)) failed=$((failed + f))
    else
        echo "$part did not run to its end"
        failed=$((failed + 1))
    fi
done
mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/total"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
