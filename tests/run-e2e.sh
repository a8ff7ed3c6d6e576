#!/bin/sh
# Runs the end-to-end tests, each in namespaces of its own (tests/alone.sh), so that ports are free and nothing is left behind.
# TESTS="traffic ipv6" runs some. Prints a test's output only when it fails. Ends with one line of totals, which it also leaves in
# $B/summary/e2e for `make test`.
set -u
cd "$(dirname "$0")/.." || exit 1
B=$(realpath "${B:-build}")
export B
if [ -n "${SANITIZED:-}" ]; then : "${E2E_SECONDS:=900}"; else : "${E2E_SECONDS:=240}"; fi
passed=0 failed=0 skipped=0
alone=tests/alone.sh
if ! $alone true; then
    echo "namespaces are not permitted here (let root run this, or allow unprivileged user namespaces): tests run on this system's own"
    echo "loopback, where their ports must be free; those that make hosts of their own are skipped"
    alone=
fi
for t in ${TESTS:-$(cd tests/e2e && ls ./*.sh | sed 's,^\./,,; s,\.sh$,,' | grep -vx lib)}; do
    log=$(mktemp)
    begin=$(date +%s)
    $alone timeout -k 5 "$E2E_SECONDS" bash "tests/e2e/$t.sh" >"$log" 2>&1 && status=0 || status=$?
    seconds=$(($(date +%s) - begin))
    case "$status" in
    0)
        echo "ok   $t ($seconds s)"
        passed=$((passed + 1))
        ;;
    77)
        echo "skip $t: $(tail -n 1 "$log")"
        skipped=$((skipped + 1))
        ;;
    *)
        sed "s,^,    ," "$log"
        echo "FAIL $t ($seconds s)"
        failed=$((failed + 1))
        ;;
    esac
    rm -f "$log"
done
[ "$skipped" = 0 ] || echo "end-to-end: $skipped skipped"
echo "end-to-end: $passed passed, $failed failed"
mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/e2e"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
