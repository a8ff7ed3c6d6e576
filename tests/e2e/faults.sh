# Faults: an abort and a delay, told apart from the application's own, by whom they are meant for, until their end; over the mesh, on the
# short way and on tcp; and what status, why and the metrics say of them.
. tests/e2e/lib.sh

mesh
http_app 9001 cart
redis-server --port 9002 --bind 127.0.0.1 --save '' --daemonize no >"$T/redis.log" 2>&1 &
pids="$pids $!"
agent a 7000 --caller web=7085 --caller ops=7086 --upstream db=7090
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9002/tcp --caller web=7185
eventually 10 all_alive 2 a b

# policy VERSION SECONDS: its faults end so long from now, at $end
policy() {
    end=$(($(date +%s) + $2))
    until=$(date -u -d "@$end" +%Y-%m-%dT%H:%M:%SZ)
    cat >"$T/policy-$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
services:
  cart:
    protocol: http
    routes: [{name: brief, match: [{headers: {x-chaos: {exact: stuck}}}], timeouts: {request: 1s}}, {name: rest}]
  db: {protocol: tcp}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: store, from: ["*"], to: db}
faults:
  - {name: game-day, to: cart, match: [{headers: {x-chaos: {exact: abort}}}], abort: {status: 418}, until: $until}
  - {name: half, to: cart, match: [{headers: {x-chaos: {exact: half}}}], abort: {status: 503, percent: 50}, until: $until}
  - {name: slow, to: cart, match: [{headers: {x-chaos: {exact: delay}}}], delay: {fixed: 300ms}, until: $until}
  - {name: stuck, to: cart, match: [{headers: {x-chaos: {exact: stuck}}}], delay: {fixed: 1h}, until: $until}
  - {name: no-db, to: db, abort: {}, until: $until}
P
    publish a "$T/policy-$1.yaml"
    eventually 5 in_force "$1" a b
    eventually 5 all_healthy 2 a b
}
policy 1 3600
ask a status | grep -q "fault game-day of the policy disturbs calls of cart until $until" || { ask a status; fail "status does not tell of the faults"; }

# call PORT CHAOS: prints the status; the head is in $T/head
call() { curl -s -D "$T/head" -o "$T/body" -w '%{http_code}' -H 'Host: cart' -H "x-chaos: $2" "http://127.0.0.1:$1/x"; }
for port in 7085 7185; do # another host's instance, and one of the caller's own
    [ "$(call $port no)" = 200 ] || fail "who is not meant is disturbed at $port"
    [ "$(call $port abort)" = 418 ] && grep -qi '^x-starling-flag: FI' "$T/head" && grep -qi '^x-starling-rule: game-day' "$T/head" && grep -q 'fault game-day of policy 1' "$T/body" || { cat "$T/head" "$T/body"; fail "abort at $port"; }
    begin=$(date +%s%N)
    [ "$(call $port delay)" = 200 ] && grep -q '^cart GET /x' "$T/body" || fail "delay at $port"
    took=$((($(date +%s%N) - begin) / 1000000))
    [ "$took" -ge 300 ] || fail "the delay took $took ms"
    # It is part of the request's time.
    [ "$(call $port stuck)" = 504 ] && grep -qi '^x-starling-flag: UT' "$T/head" && grep -qi '^x-starling-rule: stuck' "$T/head" || { cat "$T/head"; fail "stuck at $port"; }
done
# Who may not call is told so, and not disturbed.
[ "$(call 7086 abort)" = 403 ] || fail "an intention goes before a fault"
[ "$(redis-cli -p 7090 ping 2>/dev/null)" != PONG ] || fail "tcp is not closed"
# Its client cannot be told why, so the log says it.
told() { grep -q 'near (unknown) -> db: a tcp connection was closed, answered by a fault of the policy (flag FI) by no-db, policy 1' "$T/a/log"; }
eventually 5 told
# Half of them: of 200 six standard deviations are 43.
curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: cart' -H 'x-chaos: half' "http://127.0.0.1:7085/[1-200]" >"$T/half"
n=$(grep -c 503 "$T/half")
[ "$n" -gt 57 ] && [ "$n" -lt 143 ] && [ "$(grep -c 200 "$T/half")" = $((200 - n)) ] || fail "$n of 200 were aborted"
# A client that does not wait does no harm.
! curl -s -m 0.2 -H 'Host: cart' -H 'x-chaos: stuck' http://127.0.0.1:7085/x || fail "stuck, but answered"

ask a why web cart GET /x -H 'x-chaos: abort' >"$T/why"
grep -q '^fault      game-day' "$T/why" && grep -q '^answer     418 FI, fault game-day' "$T/why" || { cat "$T/why"; fail "why of a fault"; }

# Until its end, then no more; by the clock alone. A busy machine may come to look when it is over, and then tries with more time.
disturbed() { [ "$(call 7085 abort)" = 418 ]; }
quiet() { ! disturbed && [ "$(call 7085 abort)" = 200 ]; }
version=2 seconds=3
until policy $version $seconds && disturbed; do
    [ "$(date +%s)" -ge "$end" ] || fail "not disturbed before its end"
    version=$((version + 1)) seconds=$((seconds * 2))
    [ "$seconds" -lt 60 ] || fail "a fault of half a minute was never met"
done
while [ "$(date +%s)" -lt "$end" ]; do
    disturbed || [ "$(date +%s)" -ge "$end" ] || fail "over before its end"
done
within 2 quiet
[ "$(redis-cli -p 7090 set k v)" = OK ] || fail "tcp after the fault"
! ask a status | grep -q 'disturbs calls' || fail "status tells of a fault that is over"
ask a why web cart GET /x -H 'x-chaos: abort' | grep -q '^fault' && fail "why tells of a fault that is over"

curl -sf http://127.0.0.1:7001/metrics >"$T/metrics"
grep -q '^starling_faults_total{fault="game-day",kind="abort"} [1-9]' "$T/metrics" && grep -q '^starling_faults_total{fault="slow",kind="delay"} 1$' "$T/metrics" &&
    grep -q '^starling_faults_total{fault="no-db",kind="abort"} [1-9]' "$T/metrics" && grep -q '^starling_requests_total{.*flag="FI".*} ' "$T/metrics" || { grep faults "$T/metrics"; fail "metrics"; }
