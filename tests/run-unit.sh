#!/bin/sh
# Runs each test program given; prints its output only when it fails. Ends with one line of totals, which it also leaves in
# $B/summary/unit for `make test`.
set -u
B=${B:-build}
passed=0 failed=0
for t in "$@"; do
    out=$("$t" 2>&1) && status=0 || status=$?
    # cmocka names a failed test twice, where it ran and in the list at the end; only the number above that list is counted.
    ok=$(printf '%s\n' "$out" | grep -c '^\[       OK \] ')
    bad=$(printf '%s\n' "$out" | awk '/^\[  FAILED  \] .*test\(s\), listed below:$/ { n += $(NF - 3) } END { print n + 0 }')
    if [ "$status" != 0 ]; then
        printf '%s\n' "$out"
        echo "$t: exit status $status"
        [ "$bad" -gt 0 ] || bad=1
    elif [ "$ok" = 0 ]; then
        echo "$t: no test ran"
        bad=1
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "unit and trace: $passed passed, $failed failed"
mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/unit"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
