# Clean stop and start: SIGTERM leaves the cluster and finishes what is in flight; SIGHUP reads agent.yaml again; a second agent on the same
# folder is refused; a restart needs no token; the socket answers only while the agent runs.
. tests/e2e/lib.sh

mesh
http_app 9001 app
# An application that takes its time: it answers /later when it is told to, and /hold after a minute.
cat >"$T/slow.py" <<'PY'
import http.server, os, sys, threading
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/hold": threading.Event().wait(60)
        while self.path == "/later" and not os.path.exists(sys.argv[1]): threading.Event().wait(0.02)
        self.send_response(200); self.send_header("content-length", "5"); self.end_headers(); self.wfile.write(b"done\n")
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 9002), H).serve_forever()
PY
python3 "$T/slow.py" "$T/now" &
pids="$pids $!"
cat >"$T/b.yaml" <<'Y'
services:
  - {name: cart, port: 9001}
  - {name: slow, port: 9002}
Y
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, slow: {protocol: http, timeouts: {request: 60s, perTry: 60s}}, late: {protocol: http}}
intentions: [{name: a, from: [web], to: cart}, {name: b, from: [web], to: slow}, {name: c, from: [web], to: late}]
P
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --config "$T/b.yaml"
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
eventually 5 curl -sf -H 'Host: slow' http://127.0.0.1:7085/

# A second agent on the same folder.
if "$starling" agent --data "$T/b/data" --node b --port-base 7900 --listen 127.0.0.1:7900 >"$T/second" 2>&1; then fail "a second agent started"; fi
grep -qi 'another agent' "$T/second" || { cat "$T/second"; fail "unclear message"; }

# SIGHUP: a service more, known everywhere; a broken file changes nothing.
echo '  - {name: late, port: 9001, labels: {version: "7"}}' >>"$T/b.yaml"
kill -HUP "$(pid_of b)"
eventually 5 is a services 'sorted(s["service"] for s in o)' "['cart', 'late', 'slow']"
eventually 5 curl -sf -H 'Host: late' http://127.0.0.1:7085/
cp "$T/b.yaml" "$T/good.yaml"
echo 'servces: []' >>"$T/b.yaml"
if ask b reload >"$T/out" 2>&1; then fail "a misspelt key was taken"; fi
grep -q 'b.yaml:[0-9]*:1:.*servces' "$T/out" && grep -q 'services' "$T/out" || { cat "$T/out"; fail "no place or suggestion"; }
is a services 'len(o)' 3 || fail "a broken file changed something"
cp "$T/good.yaml" "$T/b.yaml"

# SIGTERM while a request is in flight: it is answered, b says good-bye, and its process ends by itself.
under_way() { curl -s http://127.0.0.1:7101/metrics | grep -q "^starling_requests_active $1\$"; }
eventually 5 under_way 0
curl -s -o "$T/answer" -w '%{http_code}' -H 'Host: slow' http://127.0.0.1:7085/later >"$T/code" &
request=$!
eventually 5 under_way 1
kill -TERM "$(pid_of b)"
eventually 3 is a members '[m["state"] for m in o if m["name"]=="b"]' "['left']"
touch "$T/now"
wait "$request"
[ "$(cat "$T/code")" = 200 ] && [ "$(cat "$T/answer")" = done ] || fail "the request in flight was lost: $(cat "$T/code")"
gone() { ! kill -0 "$(pid_of b)" 2>/dev/null; }
eventually 5 gone
tail -n 1 "$T/b/log" | grep -q 'info  control: stopped$' || { tail -n 3 "$T/b/log"; fail "the log does not say that it has stopped"; }
curl -s -i -H 'Host: cart' http://127.0.0.1:7085/ >"$T/none"
grep -q '^HTTP/1.1 503' "$T/none" && grep -qi 'endpoint' "$T/none" || { cat "$T/none"; fail "no endpoint must be 503 with a reason"; }
if ask b status >"$T/out" 2>&1; then fail "status of a stopped agent"; fi
grep -q 'no agent runs' "$T/out" || fail "unclear message: $(cat "$T/out")"

# Back again without a token and without a seed: members come from the store.
"$starling" agent --data "$T/b/data" --node b --port-base 7100 --listen 127.0.0.1:7100 --config "$T/b.yaml" >>"$T/b/log" 2>&1 &
pids="$pids $!"; echo $! >"$T/b/pid"
eventually 10 all_alive 2 a b
eventually 5 curl -sf -H 'Host: cart' http://127.0.0.1:7085/
# Finishing what is in flight is bounded by `drain`.
ask b leave >/dev/null
echo 'drain: 1s' >>"$T/b.yaml"
agent b 7100 --seed 127.0.0.1:7000 --config "$T/b.yaml"
eventually 10 all_alive 2 a b
eventually 5 curl -sf -H 'Host: slow' http://127.0.0.1:7085/
eventually 5 under_way 0
curl -sf -o /dev/null -H 'Host: slow' http://127.0.0.1:7085/hold &
request=$!
eventually 5 under_way 1
kill -TERM "$(pid_of b)"
eventually 6 gone
wait "$request" && fail "that request cannot have been answered"
grep -q 'still in flight when the time to drain was over' "$T/b/log" || fail "what was cut is not told"
agent b 7100 --seed 127.0.0.1:7000 --config "$T/b.yaml"
eventually 10 all_alive 2 a b
# `leave` returns when the agent is gone, and its folder free.
ask b leave >/dev/null
flock -n "$T/b/data/lock" true || fail "the folder is still held"
eventually 5 gone # its parent, this shell, has been told
# A key file that others may read is refused.
chmod 644 "$T/b/data/identity.key"
if "$starling" agent --data "$T/b/data" --node b --port-base 7100 --listen 127.0.0.1:7100 >"$T/out" 2>&1; then fail "a readable key was taken"; fi
grep -q 'identity.key' "$T/out" || { cat "$T/out"; fail "the file is not named"; }
