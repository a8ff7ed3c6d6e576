# docs/gossip-example.c, which embeds gossip.h: three of them find each other.
. tests/e2e/lib.sh

[ "$(wc -l <docs/gossip-example.c)" -lt 150 ] || fail "the example has grown beyond 150 lines"
# As docs/gossip.md says it is compiled; under a sanitizer the library has one, and the Makefile's is taken.
example=$B/tests/gossip-example
compile=$(sed -n 's/.*`\(cc [^`]*gossip-example\)`.*/\1/p' docs/gossip.md | sed "s,build/libstarling.a,$B/libstarling.a,; s,-o gossip-example,-o $T/gossip-example,")
[ -n "$compile" ] || fail "docs/gossip.md does not say how it is compiled"
[ -n "${SANITIZED:-}" ] || { $compile || fail "it is not compiled so: $compile"; example=$T/gossip-example; }
if "$example" 7001 >"$T/usage.log" 2>&1; then fail "it takes a port for all"; fi
grep -q 'PORT COUNT' "$T/usage.log" || fail "it says nothing of what is missing"
for port in 7001 7002 7003; do
    timeout 20 "$example" $port 3 7001 >"$T/$port.log" 2>&1 &
    eval "p$port=$!"
    pids="$pids $!"
done
for port in 7001 7002 7003; do
    eval "wait \$p$port" || fail "the one at $port did not find the others"
    [ "$(grep -c 'is alive' "$T/$port.log")" -ge 3 ] || fail "the one at $port does not say whom it found"
done
