#!/bin/sh
# Runs the end-to-end tests, each in network and process namespaces of its own, so that ports are free and nothing is left behind.
# TESTS="traffic ipv6" runs some. Prints a test's output only when it fails. Ends with one line of totals, which it also leaves in
# $B/summary/e2e for `make test`.
set -u
cd "$(dirname "$0")/.." || exit 1
B=$(realpath "${B:-build}")
export B
if [ -n "${SANITIZED:-}" ]; then : "${E2E_SECONDS:=900}"; else : "${E2E_SECONDS:=240}"; fi
passed=0 failed=0
if [ "$(id -u)" = 0 ]; then user=; else user=--map-root-user; fi
# shellcheck disable=SC2086
own="unshare $user --net --pid --fork --kill-child --mount --mount-proc"
if ! $own true 2>/dev/null; then
    echo "end-to-end: 0 passed, 1 failed (namespaces are not permitted here: run as root, or allow unprivileged user namespaces)"
    exit 1
fi
for t in ${TESTS:-$(cd tests/e2e && ls ./*.sh | sed 's,^\./,,; s,\.sh$,,' | grep -vx lib)}; do
    log=$(mktemp)
    begin=$(date +%s)
    if $own timeout -k 5 "$E2E_SECONDS" sh -c 'ip link set lo up; exec bash "tests/e2e/$1.sh"' sh "$t" >"$log" 2>&1; then
        echo "ok   $t ($(($(date +%s) - begin)) s)"
        passed=$((passed + 1))
    else
        sed "s,^,    ," "$log"
        echo "FAIL $t ($(($(date +%s) - begin)) s)"
        failed=$((failed + 1))
    fi
    rm -f "$log"
done
echo "end-to-end: $passed passed, $failed failed"
mkdir -p "$B/summary" && echo "$passed $failed" >"$B/summary/e2e"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
