# Outlier detection: one of three instances answers 500. It is ejected, the others carry on without an error, the log, `why` and the metrics tell of it;
# when its time is over one request is its probe: it stays out while that fails, and comes back when it succeeds.
. tests/e2e/lib.sh

mesh
http_app 9001 one
http_app 9002 two
# One that answers 500 until it is told otherwise, as fast as the others, and writes down what it was asked.
mkdir "$T/nginx-9003"
cat >"$T/nginx-9003/conf" <<CONF
user root; daemon off; master_process off; pid $T/nginx-9003/pid; error_log $T/nginx-9003/log;
events { worker_connections 1024; }
http {
    log_format asked '\$request_uri'; access_log $T/asked asked; keepalive_requests 100000; client_body_temp_path $T/nginx-9003/body;
    proxy_temp_path $T/nginx-9003/p; fastcgi_temp_path $T/nginx-9003/f; uwsgi_temp_path $T/nginx-9003/u; scgi_temp_path $T/nginx-9003/s;
    server {
        listen 127.0.0.1:9003;
        location / {
            if (!-f $T/well) { return 500; }
            return 200 "three\n";
        }
    }
}
CONF
nginx -c "$T/nginx-9003/conf" -e "$T/nginx-9003/log" &
pids="$pids $!"
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002
agent d 7300 --seed 127.0.0.1:7000 --service cart=9003
eventually 10 all_alive 4 a b c d
cat >"$T/policy.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services:
  cart:
    protocol: http
    outlierDetection: {consecutive5xx: 3, successRate: {below: 0%}, ejection: {base: 4s, max: 1h, maxPercent: 50}}
intentions:
  - {name: front, from: [web], to: cart}
P
publish b "$T/policy.yaml"
eventually 5 in_force 1 a b c d
eventually 5 eval '[ "$(ask a why web cart --json | python3 -c "import json,sys; print(len(json.load(sys.stdin)[\"endpoints\"]))")" = 3 ]'

# POST: a status is not retried, so each failure is seen.
codes() { curl -s -d '' -o /dev/null -w '%{http_code}\n' -H 'Host: cart' "http://127.0.0.1:7085/$1?[1-$2]" | sort | uniq -c | awk '{print $1, $2}'; }
metric() { curl -s http://127.0.0.1:7001/metrics | awk -v m="$1" 'index($0, m) == 1 {s += $2} END {print s + 0}'; }
ejected() { [ "$(metric starling_ejected)" = "$1" ]; }

# Three failures in a row, and no fourth. Few requests at a time: its four seconds have begun in the middle of them.
met_it() { codes first 12 >/dev/null; ejected 1; }
eventually 40 met_it
[ "$(codes then 30)" = "30 200" ] || fail "the others are well"
[ "$(grep -c '^/first' "$T/asked")" = 3 ] || fail "$(grep -c '^/first' "$T/asked") met it before it was ejected"
[ "$(metric 'starling_outlier_ejections_total{service="cart",reason="consecutive"}')" = 1 ] || fail "the counter"
[ "$(grep -c 'cart on d is ejected for 4s: failures in a row' "$T/a/log")" = 1 ] || fail "one line for the ejection"
ask a why web cart --json | python3 -c '
import json,sys
o=json.load(sys.stdin)
out=[e for e in o["targets"][0]["excluded"] if e["node"]=="d"]
assert out and out[0]["ejected"]["times"]==1 and out[0]["standing"]=="ejected" and len(o["endpoints"])==2, o' || fail "why does not tell"
ask a status | grep -q '^warning .*ejected for bad answers .*: cart on d$' || fail "status does not tell of it"
ask a why web cart | grep -q 'ejected: ' || fail "why in words"

# Its probe fails: one request, and it is out for twice as long.
probed() { codes probe 3 >/dev/null; [ "$(metric 'starling_outlier_ejections_total{service="cart",reason="probe"}')" = 1 ]; }
eventually 10 probed
[ "$(grep -c '^/probe' "$T/asked")" = 1 ] || fail "$(grep -c '^/probe' "$T/asked") requests were probes"
[ "$(codes between 30)" = "30 200" ] || fail "it is out again"
grep -q 'cart on d is ejected for 8s: its probe failed' "$T/a/log" || fail "the line of the second time"

# It is well again: the next probe brings it back, and it gets its share.
touch "$T/well"
back() { codes return 3 >/dev/null; ejected 0; }
eventually 15 back
# Not at once, where its probe was answered slowly: that is remembered for some seconds (peakEwma).
last() {
    curl -s --no-progress-meter -d '' -Z --parallel-max 32 -o /dev/null -w '%{http_code}\n' -H 'Host: cart' "http://127.0.0.1:7085/last?[1-600]" >>"$T/codes" 2>"$T/curl.log"
    [ "$(grep -c '^/last' "$T/asked")" -ge 10 ]
}
eventually 30 last
[ "$(sort -u "$T/codes")" = 200 ] || fail "all are well: $(sort "$T/codes" | uniq -c)"
grep -q 'cart on d gets requests again: its probe succeeded' "$T/a/log" || fail "the line of its return"
eventually 1 prints 1 metric 'starling_outlier_returns_total{service="cart"' || fail "the counter of returns"

