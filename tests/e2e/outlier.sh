# Outlier detection: one of three instances answers 500. It is ejected, the others carry on without an error, the log, `why` and the metrics tell of it;
# when its time is over one request is its probe: it stays out while that fails, and comes back when it succeeds.
. tests/e2e/lib.sh

mesh
http_app 9001 one
http_app 9002 two
# Answers 500 until it is told otherwise.
cat >"$T/sick.py" <<'PY'
import http.server, os, sys
class Sick(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = b"three\n"
        with open(sys.argv[3], "a") as f:
            f.write(self.path + "\n")
        self.send_response(200 if os.path.exists(sys.argv[2]) else 500)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sick).serve_forever()
PY
python3 "$T/sick.py" 9003 "$T/well" "$T/asked" 2>"$T/sick.log" &
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
defaults: {retry: {attempts: 0}}
services:
  cart:
    protocol: http
    outlierDetection: {consecutive5xx: 3, successRate: {below: 0%}, ejection: {base: 2s, max: 1h, maxPercent: 50}}
    loadBalancer: {policy: roundRobin}
intentions:
  - {name: front, from: [web], to: cart}
P
publish b "$T/policy.yaml"
eventually 5 in_force 1 a b c d
eventually 5 eval '[ "$(ask a why web cart --json | python3 -c "import json,sys; print(len(json.load(sys.stdin)[\"endpoints\"]))")" = 3 ]'

codes() { curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: cart' "http://127.0.0.1:7085/$1?[1-$2]" | sort | uniq -c | awk '{print $1, $2}'; }
metric() { curl -s http://127.0.0.1:7001/metrics | awk -v m="$1" 'index($0, m) == 1 {s += $2} END {print s + 0}'; }
ejected() { [ "$(metric starling_ejected)" = "$1" ]; }

# Three failures in a row, and no fourth.
codes first 60 >"$T/codes"
grep -qx '3 500' "$T/codes" && grep -qx '57 200' "$T/codes" || { cat "$T/codes"; fail "three of sixty should have met it"; }
ejected 1 || fail "the gauge"
[ "$(metric 'starling_outlier_ejections_total{service="cart",reason="consecutive"}')" = 1 ] || fail "the counter"
[ "$(grep -c 'cart on d is ejected for 2000 ms' "$T/a/log")" = 1 ] || fail "one line for the ejection"
ask a why web cart --json | python3 -c '
import json,sys
o=json.load(sys.stdin)
out=[e for e in o["targets"][0]["excluded"] if e["node"]=="d"]
assert out and out[0]["ejected"]["times"]==1 and out[0]["standing"]=="ejected" and len(o["endpoints"])==2, o' || fail "why does not tell"
ask a why web cart | grep -q 'ejected: ' || fail "why in words"

# Its probe fails: one request, and it is out for twice as long.
probed() { codes probe 3 >/dev/null; [ "$(metric 'starling_outlier_ejections_total{service="cart",reason="probe"}')" = 1 ]; }
eventually 10 probed
[ "$(grep -c '^/probe' "$T/asked")" = 1 ] || fail "$(grep -c '^/probe' "$T/asked") requests were probes"
[ "$(codes between 30)" = "30 200" ] || fail "it is out again"
grep -q 'cart on d is ejected for 4000 ms, the 2. time: its probe failed' "$T/a/log" || fail "the line of the second time"

# It is well again: the next probe brings it back, and it gets its share.
touch "$T/well"
back() { codes return 3 >/dev/null; ejected 0; }
eventually 15 back
[ "$(codes last 60)" = "60 200" ] || fail "all are well"
[ "$(grep -c '^/last' "$T/asked")" -ge 10 ] || fail "$(grep -c '^/last' "$T/asked") of 60 went to it"
grep -q 'cart on d gets requests again: its probe succeeded' "$T/a/log" || fail "the line of its return"
[ "$(metric 'starling_outlier_returns_total{service="cart"')" = 1 ] || fail "the counter of returns"

