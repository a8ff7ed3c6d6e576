# What an agent refuses to protect a service: rate limits (429 with Retry-After, others not hit, invented values), circuit breakers
# (503 UO while too much is under way) and limits of heads (431), at the caller's agent and in front of the application, and what the metrics and `why` say.
. tests/e2e/lib.sh

mesh
http_app 9001 fast
# An application that answers /slow when it is told to.
cat >"$T/slow.py" <<'PY'
import http.server, os, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        while self.path == "/slow" and not os.path.exists(sys.argv[2]):
            time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
PY
python3 "$T/slow.py" 9002 "$T/go" 2>"$T/slow.log" &
pids="$pids $!"
redis-server --port 9003 --bind 127.0.0.1 --save '' --daemonize no >"$T/redis.log" 2>&1 &
pids="$pids $!"
eventually 5 redis-cli -p 9003 ping
agent a 7000 --caller web=7085 --caller batch=7086 --upstream db=7090
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service slow=9002 --service db=9003/tcp --caller web=7185
eventually 10 all_alive 2 a b
cat >"$T/policy.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services:
  cart:
    protocol: http
    routes:
      - {name: checkout, match: [{path: {prefix: /checkout}}]}
      - {name: rest}
    rateLimits:
      - {scope: instance, per: source, rate: 1/m, burst: 20}
      - {scope: instance, route: checkout, per: {header: x-tenant}, rate: 2/h, burst: 2}
  slow: {protocol: http, circuitBreaker: {maxRequests: 2}, limits: {headers: 8, headerBytes: 2KiB}}
  db: {protocol: tcp, circuitBreaker: {maxConnections: 1}}
intentions:
  - {name: front, from: [web, batch], to: cart}
  - {name: front-slow, from: [web], to: slow}
  - {name: store, from: ["*"], to: db}
P
publish b "$T/policy.yaml"
eventually 5 in_force 1 a b
eventually 5 all_healthy 3 a b

# codes PORT COUNT [CURL ARGS...]: "COUNT CODE" lines
codes() { port=$1 count=$2; shift 2; curl -s -o /dev/null -w '%{http_code}\n' "$@" "http://127.0.0.1:$port/x?[1-$count]" | sort | uniq -c | awk '{print $1, $2}'; }
metric() { curl -s "http://127.0.0.1:$1/metrics" | awk -v m="$2" 'index($0, m) == 1 {s += $2} END {print s + 0}'; }

# The burst, and then one a minute; the other caller is not hit, the local short way is the same bucket.
[ "$(codes 7085 30 -H 'Host: cart')" = "20 200
10 429" ] || fail "web: $(codes 7085 30 -H 'Host: cart')"
[ "$(codes 7086 5 -H 'Host: cart')" = "5 200" ] || fail "batch must not be hit"
[ "$(codes 7185 1 -H 'Host: cart')" = "1 429" ] || fail "web at the application's own host"
curl -s -i -H 'Host: cart' http://127.0.0.1:7085/x >"$T/limited"
after=$(sed -n 's/^[Rr]etry-[Aa]fter: \([0-9]*\).*/\1/p' "$T/limited")
[ "$after" -ge 1 ] && [ "$after" -le 60 ] || { cat "$T/limited"; fail "Retry-After $after"; }
grep -qi '^x-starling-flag: RL' "$T/limited" && grep -qi '^x-starling-rule: rateLimits\[0\]' "$T/limited" || { cat "$T/limited"; fail "the refusal names its limit"; }
# By a header's value and on one route: each tenant has two; the refusal of the second limit takes nothing from the first.
for tenant in x y; do
    [ "$(curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: cart' -H "x-tenant: $tenant" "http://127.0.0.1:7086/checkout?[1-4]" | tr '\n' ' ')" = "200 200 429 429 " ] || fail "tenant $tenant"
done
[ "$(codes 7086 20 -H 'Host: cart')" = "11 200
9 429" ] || fail "batch had eleven left"
# Refused in front of the application, and counted there.
limited() { [ "$(metric 7101 "starling_rate_limited_total{service=\"cart\",limit=\"rateLimits[$1]\"}")" -ge "$2" ]; }
eventually 1 limited 0 20 || fail "metric of rate limits"
eventually 1 prints 4 metric 7101 'starling_rate_limited_total{service="cart",limit="rateLimits[1]"}' || fail "metric of the second limit"
ask a why web cart GET /checkout -H 'x-tenant: x' --json | python3 -c '
import json,sys
o=json.load(sys.stdin)
assert [l["bucket"] for l in o["rate_limits"]] == ["web","x"] and o["lacking"] == [], o'

# Two under way: the third is refused at once, by the caller's agent; when they end all is well again.
for i in 1 2; do
    curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: slow' http://127.0.0.1:7085/slow >"$T/slow-$i" &
    eval "slow_$i=$!"
done
both_inside() { [ "$(metric 7001 starling_requests_active)" = 2 ]; } # a third must not take the place of one of them
eventually 5 both_inside
refused_by_breaker() { curl -s -i -m 2 -H 'Host: slow' http://127.0.0.1:7085/x >"$T/refused" && grep -q '^HTTP/1.1 503' "$T/refused"; }
eventually 5 refused_by_breaker
grep -qi '^x-starling-flag: UO' "$T/refused" && grep -qi '^x-starling-rule: circuitBreaker.maxRequests' "$T/refused" || { cat "$T/refused"; fail "the refusal names the breaker"; }
was_refused() { [ "$(metric 7001 'starling_breaker_refused_total{service="slow",limit="circuitBreaker.maxRequests"}')" -ge 1 ]; }
eventually 1 was_refused || fail "metric of breakers"
touch "$T/go"
wait "$slow_1" "$slow_2"
[ "$(cat "$T/slow-1" "$T/slow-2" | sort | uniq -c | awk '{print $1, $2}')" = "2 200" ] || fail "those inside: $(cat "$T"/slow-*)"
eventually 1 prints 0 metric 7001 starling_requests_active # a request leaves the breaker a moment after its client has the answer
[ "$(codes 7085 5 -H 'Host: slow')" = "5 200" ] || fail "the breaker must be empty again"

# Heads: so many headers, so many bytes, each refused by its name; just below all is well.
many= ; for i in 1 2 3 4 5 6 7 8 9; do many="$many -H x-$i:$i"; done
long=$(printf '%03000d' 0)
[ "$(codes 7085 1 -H 'Host: slow' -H "x-long: ${long:0:1500}")" = "1 200" ] || fail "a head within its limits"
curl -s -i -H 'Host: slow' $many http://127.0.0.1:7085/x >"$T/many"
grep -q '^HTTP/1.1 431' "$T/many" && grep -qi '^x-starling-rule: limits.headers' "$T/many" || { cat "$T/many"; fail "too many headers"; }
curl -s -i -H 'Host: slow' -H "x-long: $long" http://127.0.0.1:7085/x >"$T/long"
grep -q '^HTTP/1.1 431' "$T/long" && grep -qi '^x-starling-rule: limits.headerBytes' "$T/long" || { cat "$T/long"; fail "too long a head"; }
eventually 1 prints 2 metric 7001 starling_head_refused_total || fail "metric of heads"

# One TCP connection at a time.
exec 5<>/dev/tcp/127.0.0.1/7090
printf 'PING\r\n' >&5
read -r -t 5 answer <&5 && [ "${answer%?}" = +PONG ] || fail "redis says $answer"
if redis-cli -p 7090 ping 2>"$T/redis-refused.log" | grep -q PONG; then fail "a second connection"; fi
exec 5>&-
eventually 5 eval '[ "$(redis-cli -p 7090 ping)" = PONG ]'
