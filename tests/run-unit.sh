#!/bin/sh
# Runs each test program given; prints its output only when it fails. Ends with one line of totals.
passed=0 failed=0
for t in "$@"; do
    out=$("$t" 2>&1) && status=0 || status=$?
    n=$(printf '%s\n' "$out" | sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.*$/\1/p' | tail -n 1)
    bad=$(printf '%s\n' "$out" | grep -c '^\[  FAILED  \] [^0-9]')
    if [ "$status" != 0 ]; then
        printf '%s\n' "$out"
        echo "$t: exit status $status"
        [ "$bad" -gt 0 ] || bad=1
    elif [ "${n:-0}" = 0 ]; then
        echo "$t: no test ran"
        bad=1
    fi
    passed=$((passed + ${n:-0}))
    failed=$((failed + bad))
done
echo "unit and trace: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
