# Mirrored requests: copies with their bodies reach the service that is to get them, marked as copies; the requests themselves do not
# notice, whatever becomes of the copy: denied, nobody there, too slow. Copies have no copies, and are counted apart.
. tests/e2e/lib.sh

mesh
http_app 9001 cart
# Notes one line for each request: method, path, whose copy, the body's length and hash. Under /upload/stuck it never reads the body.
cat >"$T/recorder.py" <<'P'
import hashlib, http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        whole = b""
        while (n := int(self.rfile.readline(), 16)) > 0:
            whole += self.rfile.read(n)
            self.rfile.readline()
        self.rfile.readline()
        return whole
    def note(self):
        if self.path.startswith("/upload/stuck"):
            time.sleep(3600)
        b = self.body()
        h = self.headers
        with open(sys.argv[2], "a") as f:
            f.write(f"{self.command} {self.path} host={h['host']} mirror={h['x-starling-mirror']} caller={h['x-starling-caller']} {len(b)} {hashlib.sha256(b).hexdigest()}\n")
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()
    do_GET = do_PUT = do_POST = note
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512 # as many copies as come at once: beyond it the kernel drops a connection, which is tried again in 1, 3, 7 s
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
P
recorder() { python3 "$T/recorder.py" "$1" "$T/$2.seen" & pids="$pids $!"; touch "$T/$2.seen"; }
recorder 9002 shadow
shadow=$!
recorder 9003 third
for p in 9002 9003; do eventually 10 python3 -c "import socket; socket.create_connection(('127.0.0.1', $p))"; done
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service other=9001 --service secret=9003
agent c 7200 --seed 127.0.0.1:7000 --service shadow=9002 --service third=9003
eventually 10 all_alive 3 a b c
cat >"$T/policy.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services:
  cart:
    protocol: http
    routes:
      - {name: some, match: [{path: {prefix: /some}}], mirror: {to: shadow, percent: 25}}
      - {name: denied, match: [{path: {prefix: /denied}}], mirror: {to: secret}}
      - {name: nobody, match: [{path: {prefix: /nobody}}], mirror: {to: nowhere}}
      - {name: rest, mirror: {to: shadow}}
  shadow: {protocol: http, routes: [{name: all, mirror: {to: third}}]}
  third: {protocol: http}
  secret: {protocol: http}
  nowhere: {protocol: http}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: copies, from: [web], to: shadow, allow: [{paths: ["/upload/*", "/x/*", "/some/*"]}]}
  - {name: secrets, from: [ops], to: secret}
  - {name: third, from: ["*"], to: third}
  - {name: nowhere, from: ["*"], to: nowhere}
P
publish a "$T/policy.yaml"
eventually 5 in_force 1 a b c
eventually 5 all_healthy 5 a b c
counted() { curl -sf http://127.0.0.1:7001/metrics | awk -v want="starling_mirrored_total{$1}" 'index($0, want) == 1 { n = $2 } END { print n + 0 }'; }
at_least() { [ "$(counted "$1")" -ge "$2" ]; }
seen() { [ "$(grep -c "$1" "$T/shadow.seen")" = "$2" ]; }

# Every request has its copy, as it was asked, marked; and its answer (500) is nobody's.
curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: cart' "http://127.0.0.1:7085/x/[1-50]?q=1" >"$T/codes"
[ "$(sort "$T/codes" | uniq -c | awk '{print $1, $2}')" = "50 200" ] || fail "the requests: $(sort "$T/codes" | uniq -c)"
eventually 10 seen '^GET /x/[0-9]*?q=1 host=cart mirror=1 caller=spiffe://shop.example/web 0 ' 50 || { head -3 "$T/shadow.seen"; fail "copies"; }
eventually 5 at_least 'service="shadow",outcome="answered"' 50

# Bodies, of known length and not.
head -c 60000 /dev/urandom >"$T/body"
sum=$(sha256sum <"$T/body" | cut -d' ' -f1)
curl -sf -H 'Host: cart' -T "$T/body" http://127.0.0.1:7085/upload/known
curl -sf -H 'Host: cart' -H 'Transfer-Encoding: chunked' -T - http://127.0.0.1:7085/upload/chunked <"$T/body"
for n in known chunked; do
    cmp "$T/body" "$T/uploads/$n" || fail "the upload $n"
    eventually 10 grep -q "^PUT /upload/$n .* 60000 $sum$" "$T/shadow.seen" || { tail -3 "$T/shadow.seen"; fail "the copy of $n"; }
done

# So many percent: of 400 six standard deviations are 52.
before=$(wc -l <"$T/shadow.seen")
curl -s -o /dev/null -H 'Host: cart' "http://127.0.0.1:7085/some/[1-400]"
some() { n=$(($(counted 'service="shadow",outcome="answered"') - 52)); [ "$n" = "$(($(wc -l <"$T/shadow.seen") - before))" ] && [ "$n" -gt 48 ] && [ "$n" -lt 152 ]; }
eventually 10 some || { curl -sf http://127.0.0.1:7001/metrics | grep mirrored; fail "of 400: $(($(wc -l <"$T/shadow.seen") - before))"; }

# Denied to this caller, denied on this path, and nobody there: the request does not notice.
for path in denied/1 nobody/1 y/1; do curl -sf -H 'Host: cart' "http://127.0.0.1:7085/$path" >/dev/null || fail "$path"; done
eventually 5 at_least 'service="secret",outcome="denied"' 1
eventually 5 at_least 'service="nowhere",outcome="failed"' 1
eventually 5 at_least 'service="shadow",outcome="denied"' 1

# A receiver that does not read holds nothing up: the copy is dropped.
head -c 20000000 /dev/zero >"$T/large"
curl -sf -m "$((10 * slower))" -H 'Host: cart' -T "$T/large" http://127.0.0.1:7085/upload/stuck || fail "held up by its copy"
cmp -s "$T/large" "$T/uploads/stuck" || fail "the upload beside a stuck copy"
eventually 10 at_least 'service="shadow",outcome="behind"' 1
# Nor does one that is gone.
end "$shadow"
for i in 1 2 3; do curl -sf -H 'Host: cart' "http://127.0.0.1:7085/x/$i" >/dev/null || fail "without a receiver"; done
eventually 10 at_least 'service="shadow",outcome="failed"' 3

# Copies have no copies; what becomes of them is counted apart, at both agents.
[ ! -s "$T/third.seen" ] || { cat "$T/third.seen"; fail "a copy of a copy"; }
curl -sf http://127.0.0.1:7001/metrics >"$T/near"
curl -sf http://127.0.0.1:7201/metrics >"$T/far"
grep -q '^starling_requests_total{.*service="shadow",role="near-mirror",status="5xx"' "$T/near" || { grep shadow "$T/near"; fail "the near agent's count"; }
grep -q '^starling_requests_total{.*service="shadow",role="far-mirror",status="5xx"' "$T/far" || { grep shadow "$T/far"; fail "the far agent's count"; }
! grep 'service="shadow",role="\(near\|far\)"' "$T/near" "$T/far" || fail "copies among the requests"
! grep '^starling_requests_total{service="cart",role="near",status="5xx"' "$T/near" || fail "an answer to a copy counts for the request"
ask a why web cart GET /some/x | grep -q '^mirror     shadow, 25% of the requests' || fail "why of a mirror"
