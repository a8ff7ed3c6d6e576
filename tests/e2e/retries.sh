# Retries between real agents: an application that fails the first try of each request, in every way there is. What may be repeated is, on the
# other instance, with its body; what may not is not; never beyond attempts and budget. Then the times of a try, of silence and of a stream.
. tests/e2e/lib.sh

# One application behind two ports. It counts the tries of each request by its path, and writes a line for each: PATH TRY PORT METHOD SHA256 OF
# THE BODY. The first part of the path says how the first try ends (503, close, hang; always: all are 503), the others are answered.
cat >"$T/app.py" <<'PY'
import hashlib, http.server, socketserver, sys, threading, time
lock, tries, log = threading.Lock(), {}, open(sys.argv[1], "a", buffering=1)
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        all = b""
        while n := int(self.rfile.readline(), 16):
            all += self.rfile.read(n)
            self.rfile.readline()
        while self.rfile.readline().strip(): pass
        return all
    def answer(self):
        body = self.body()
        with lock:
            n = tries[self.path] = tries.get(self.path, 0) + 1
            log.write(f"{self.path} {n} {self.server.server_address[1]} {self.command} {hashlib.sha256(body).hexdigest()}\n")
        how = self.path.split("/")[1]
        if n == 1 and how == "close":
            self.close_connection = True
            return
        if n == 1 and how == "hang": time.sleep(8)
        bad = how == "always" or (n == 1 and how == "503")
        text = b"this must not leak\n" * 200 if bad else b"try %d\n" % n
        self.send_response(503 if bad else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 128
    def handle_error(self, *a): pass
for port in sys.argv[2:]:
    threading.Thread(target=Server(("127.0.0.1", int(port)), Answer).serve_forever).start()
PY
app() { # LOG PORT...
    python3 "$T/app.py" "$@" 2>>"$T/app.log" &
    pids="$pids $!"
    shift
    for port in "$@"; do eventually 5 curl -s -o /dev/null "http://127.0.0.1:$port/ready"; done
}
touch "$T/tries"
app "$T/tries" 9001 9002

mesh
agent a 7000 --caller web=7085 --service near=9004 --upstream short=7090 --upstream brief=7091 --upstream patient=7092
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service poor=9001 --service late=9003 \
    --service short=9005/tcp --service brief=9005/tcp --service patient=9005/tcp
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002 --service poor=9002
eventually 10 all_alive 3 a b c
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
defaults:
  unmatched: audit
  timeouts: {request: 6s, perTry: 1200ms}
  limits: {replayBody: 32KiB}
  retry: {attempts: 2, backoff: {base: 5ms, max: 10ms}, budget: {percent: 100, minPerSecond: 1000}}
services:
  cart:
    protocol: http
    routes:
      - {name: once, match: [{headers: {x-once: {present: true}}}], retry: {attempts: 0}}
      - {name: rest}
  poor: {protocol: http, retry: {attempts: 1, budget: {percent: 0, interval: 60s, minPerSecond: 1}}}
  late: {protocol: http, timeouts: {request: 60s, perTry: 60s}, retry: {attempts: 10, backoff: {base: 3s, max: 3s}}}
  near: {protocol: http, timeouts: {request: 60s, perTry: 60s}, retry: {attempts: 10, backoff: {base: 3s, max: 3s}}}
  short: {protocol: tcp, timeouts: {idle: 2s}}
  brief: {protocol: tcp, timeouts: {stream: 1500ms}}
  patient: {protocol: tcp, timeouts: {idle: 0s}}
P
publish a "$T/p.yaml"
eventually 5 in_force 1 a b c
eventually 5 all_healthy 9 a

# get PATH CURL-OPTIONS...: status in $code, body in $T/body, seconds in $took
get() {
    path=$1; shift
    read -r code took <<R
$(curl -s -o "$T/body" -D "$T/head" -w '%{http_code} %{time_total}' -H "Host: ${host:-cart}" "$@" "http://127.0.0.1:7085$path")
R
}
tries_of() { grep -c "^$1 " "$T/tries" || true; }
expect() { # CODE TRIES, of the last get
    [ "$code" = "$1" ] && [ "$(tries_of "$path")" = "$2" ] ||
        { cat "$T/head" "$T/body"; grep "^$path " "$T/tries"; fail "$path: $code after $(tries_of "$path") tries, not $1 after $2"; }
}
metric() { curl -s http://127.0.0.1:7001/metrics | awk -v want="$1" 'index($0, want) == 1 {n += $NF} END {print n + 0}'; }

echo "- what may be repeated is, on the other instance"
for how in 503 close hang; do
    for method in GET PUT DELETE; do
        get "/$how/$method" -X "$method" -d "what $method brings"
        expect 200 2
        grep -q '^try 2$' "$T/body" || fail "the first try's answer leaked: $(head -c 100 "$T/body")"
        [ "$(grep "^$path " "$T/tries" | cut -d' ' -f3 | sort -u | wc -l)" = 2 ] || fail "$path: twice on one instance"
        [ "$(grep "^$path " "$T/tries" | cut -d' ' -f4,5 | sort -u | wc -l)" = 1 ] || fail "$path: the second try was another request"
    done
    get "/$how/head" -I
    expect 200 2
done
get /503/expect -X PUT -H 'Expect: 100-continue' -d "after a word"
expect 200 2

echo "- what may not is not"
get /503/post -d order
expect 503 1
grep -q 'this must not leak' "$T/body" || fail "the application's own answer is not passed on"
get /close/post -d order
expect 502 1
get /hang/post -d order
expect 504 1
grep -qi '^x-starling-flag: UT' "$T/head" || { cat "$T/head"; fail "flag"; }
python3 -c 'import sys; sys.exit(not 1.1 < float(sys.argv[1]) < 5)' "$took" || fail "a try lasted $took s"
get /503/once -H 'x-once: 1'
expect 503 1

echo "- a body is sent again as far as it was kept"
head -c 30000 /dev/urandom >"$T/short"
head -c 300000 /dev/urandom >"$T/long"
sha=$(sha256sum "$T/short" | cut -d' ' -f1)
get /503/short -X PUT --data-binary @"$T/short"
expect 200 2
get /503/chunked -X PUT -H 'Transfer-Encoding: chunked' --data-binary @"$T/short"
expect 200 2
[ "$(grep -c "^/503/[sc].* $sha$" "$T/tries")" = 4 ] || { cat "$T/tries"; fail "a body changed on its way"; }
get /503/long -X PUT --data-binary @"$T/long"
expect 503 1
get /503/long-chunked -X PUT -H 'Transfer-Encoding: chunked' --data-binary @"$T/long"
expect 503 1
eventually 1 prints 2 metric 'starling_retries_total{service="cart",cause="status",outcome="body"}' || fail "what was too long to be kept is not counted"

echo "- never more than attempts"
get /always/x
expect 503 3
eventually 1 prints 1 metric 'starling_requests_total{service="cart",role="near",status="5xx",flag="URX"}' || fail "URX is not counted"
eventually 1 prints 1 metric 'starling_retries_total{service="cart",cause="status",outcome="attempts"}' || fail "used up retries are not counted"
eventually 1 prints 4 metric 'starling_retries_total{service="cart",cause="per-try-timeout",outcome="made"}' || fail "timed out tries are not counted"

echo "- never more than the budget: one a second over a minute"
for i in $(seq 100); do printf 'url = "http://127.0.0.1:7085/always/poor-%s"\nheader = "Host: poor"\noutput = /dev/null\nnext\n' "$i"; done | sed '$d' >"$T/curl.conf"
curl -s -K "$T/curl.conf"
[ "$(tries_of '/always/poor-[0-9]*')" = 160 ] || fail "$(tries_of '/always/poor-[0-9]*') tries of 100 requests"
eventually 1 prints 40 metric 'starling_retries_total{service="poor",cause="status",outcome="budget"}' || fail "refused by the budget"

echo "- nothing had reached an application: a POST too, on the same instance if there is no other, here or elsewhere"
# The first try has been refused: far away it is in that agent's log then, here it is refused in the moment in which the request is taken.
tried_late() { grep -q 'audit: far web -> late' "$T/b/log"; }
tried_near() { [ "$(metric starling_requests_active)" -ge 1 ]; }
made() { [ "$(metric "starling_retries_total{service=\"$1\",cause=\"connect-failure\",outcome=\"made\"}")" -ge 1 ]; }
for service in late=9003 near=9004; do
    host=${service%=*} port=${service#*=}
    curl -s -o "$T/late" -w '%{http_code}' -H "Host: $host" -d order "http://127.0.0.1:7085/503x/$host" >"$T/code" &
    client=$!
    eventually 5 "tried_$host"
    app "$T/tries" "$port"
    wait "$client"
    [ "$(cat "$T/code")" = 200 ] || fail "$host: $(cat "$T/code") $(cat "$T/late")"
    [ "$(tries_of "/503x/$host")" = 1 ] || fail "$host: $(tries_of "/503x/$host") tries reached the application"
    eventually 1 made "$host" || fail "$host: no retry was counted"
done

echo "- silence is ended where it is not wanted, a stream when it has lasted long enough, and neither where 0s says so"
python3 - <<'PY' &
import socket, threading
s = socket.create_server(("127.0.0.1", 9005))
def echo(c):
    while d := c.recv(4096): c.sendall(d)
    c.close()
while True: threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()
PY
pids="$pids $!"
eventually 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9005'
slower=$slower python3 - <<'PY' || fail "times of a tcp connection"
import os, socket, time
slower = int(os.environ["slower"])
def talk(port, seconds):
    """One byte each 0.2 s, echoed; returns the connection and how long it lasted, None: until the end."""
    c, begin = socket.create_connection(("127.0.0.1", port), 5), time.monotonic()
    while time.monotonic() - begin < seconds:
        try:
            c.sendall(b"x")
            if not c.recv(1): return c, time.monotonic() - begin
        except OSError: return c, time.monotonic() - begin
        time.sleep(0.2)
    return c, None
patient, lasted = talk(7092, 0.1)
assert lasted is None
short, lasted = talk(7090, 3)
assert lasted is None, "idle: ended after %s s although it spoke" % lasted
begin = time.monotonic()
short.settimeout(10)
assert short.recv(1) == b"", "idle"
silent = time.monotonic() - begin
assert 1.5 < silent < 6 * slower, "idle: ended after %s s of silence" % silent
brief, lasted = talk(7091, 12)
assert lasted and 1.2 < lasted < 6 * slower, "stream: lasted %s" % lasted
patient.sendall(b"still here")
assert patient.recv(100) == b"still here", "idle: 0s"
PY
eventually 1 prints 1 metric 'starling_requests_total{service="short",role="near",status="none",flag="SI"}' || fail "SI is not counted"
eventually 1 prints 1 metric 'starling_requests_total{service="brief",role="near",status="none",flag="DT"}' || fail "DT is not counted"
