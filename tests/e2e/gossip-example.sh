# docs/gossip-example.c, which embeds gossip.h: three of them find each other.
. tests/e2e/lib.sh

[ "$(wc -l <docs/gossip-example.c)" -lt 150 ] || fail "the example has grown beyond 150 lines"
for port in 7001 7002 7003; do
    timeout 20 "$B/tests/gossip-example" $port 3 7001 >"$T/$port.log" 2>&1 &
    eval "p$port=$!"
    pids="$pids $!"
done
for port in 7001 7002 7003; do
    eval "wait \$p$port" || fail "the one at $port did not find the others"
    [ "$(grep -c 'is alive' "$T/$port.log")" -ge 3 ] || fail "the one at $port does not say whom it found"
done
