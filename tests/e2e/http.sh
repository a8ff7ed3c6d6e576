# HTTP as applications use it: keep-alive and pipelining, chunked bodies and trailers, HEAD, 100-continue, large bodies both ways through
# little memory, WebSocket; and what must not pass: ambiguous framing, foreign identity headers, paths that are not canonical.
. tests/e2e/lib.sh

mesh
http_app 9001 app
cat >"$T/origin.py" <<'PY'
# Echoes what it was sent as the origin saw it, speaks WebSocket (RFC 6455) on /ws, and sends trailers on /trailers.
import base64, hashlib, socketserver
class H(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line: return
            head, h = [line], {}
            while (l := self.rfile.readline()) not in (b"\r\n", b""):
                head.append(l); k, v = l.split(b":", 1); h[k.strip().lower()] = v.strip()
            body, trailers = b"", b""
            if h.get(b"expect") == b"100-continue": self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if h.get(b"transfer-encoding") == b"chunked":
                while (n := int(self.rfile.readline().split(b";")[0], 16)): body += self.rfile.read(n); self.rfile.readline()
                while (l := self.rfile.readline()) not in (b"\r\n", b""): trailers += l
            else: body = self.rfile.read(int(h.get(b"content-length", b"0")))
            if h.get(b"upgrade", b"").lower() == b"websocket": return self.ws(h)
            if line.startswith(b"GET /trailers"):
                self.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n"); continue
            out = b"".join(head) + b"BODY " + str(len(body)).encode() + b" " + hashlib.sha256(body).hexdigest().encode() + b"\nTRAILERS " + trailers
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(out) + (b"" if line.startswith(b"HEAD") else out))
    def ws(self, h):
        k = base64.b64encode(hashlib.sha1(h[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: " + k + b"\r\n\r\n")
        while True:
            b = self.rfile.read(2)
            if len(b) < 2: return
            n = b[1] & 127
            if n == 126: n = int.from_bytes(self.rfile.read(2), "big")
            m = self.rfile.read(4); d = bytes(x ^ m[i % 4] for i, x in enumerate(self.rfile.read(n)))
            self.wfile.write(bytes([b[0]]) + (bytes([len(d)]) if len(d) < 126 else bytes([126]) + len(d).to_bytes(2, "big")) + d)
            if b[0] & 15 == 8: return
class S(socketserver.ThreadingTCPServer): allow_reuse_address = True; daemon_threads = True
S(("127.0.0.1", 9002), H).serve_forever()
PY
python3 "$T/origin.py" &
pids="$pids $!"
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http, timeouts: {request: 0s}}, echo: {protocol: http, timeouts: {request: 0s}}}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: echo, from: [web], to: echo}
P
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service echo=9002
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
E=http://127.0.0.1:7085
eventually 5 curl -sf -H 'Host: echo' $E/

echo "- keep-alive: three requests, one connection"
[ "$(curl -s -H 'Host: echo' -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' $E/1 $E/2 $E/3)" = "1 0 0 " ] || fail "keep-alive"
echo "- HEAD"
curl -s -I -H 'Host: echo' $E/h | grep -qi '^content-length: [1-9]' || fail HEAD
echo "- chunked up with trailers, and down"
python3 - <<'PY' || fail "chunked and trailers"
import socket
s = socket.create_connection(("127.0.0.1", 7085)); s.settimeout(5)
s.sendall(b"POST /c HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding: chunked\r\nTrailer: x-check\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nx-check: yes\r\n\r\n")
s.sendall(b"GET /trailers HTTP/1.1\r\nHost: echo\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
b = b""
while (d := s.recv(65536)): b += d
assert b"BODY 7 7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a" in b, b
assert b"TRAILERS x-check: yes" in b, b
assert b"hello" in b and b"x-sum: 42" in b, b
PY
echo "- pipelining: 200 requests in one write, answered in order"
python3 - <<'PY' || fail "pipelining"
import re, socket
s = socket.create_connection(("127.0.0.1", 7085)); s.settimeout(10)
s.sendall(b"".join(b"GET /p%d HTTP/1.1\r\nHost: echo\r\n\r\n" % i for i in range(199)) + b"GET /p199 HTTP/1.1\r\nHost: echo\r\nConnection: close\r\n\r\n")
b = b""
while (d := s.recv(65536)): b += d
assert [int(x) for x in re.findall(rb"GET /p(\d+) ", b)] == list(range(200)), b[:2000]
PY
echo "- 100-continue"
head -c 100000 /dev/urandom >"$T/rnd"
curl -s -H 'Host: echo' -H 'Expect: 100-continue' --expect100-timeout 10 --data-binary @"$T/rnd" $E/x | grep -q "BODY 100000 $(sha256sum <"$T/rnd" | cut -d' ' -f1)" || fail "100-continue"
echo "- WebSocket"
python3 - <<'PY' || fail "WebSocket"
import os, socket
s = socket.create_connection(("127.0.0.1", 7085)); s.settimeout(5)
s.sendall(b"GET /ws HTTP/1.1\r\nHost: echo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
b = b""
while b"\r\n\r\n" not in b: b += s.recv(4096)
assert b.startswith(b"HTTP/1.1 101") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in b, b
b = b.split(b"\r\n\r\n", 1)[1]
def send(op, d):
    m = os.urandom(4)
    n = bytes([128 | len(d)]) if len(d) < 126 else bytes([254]) + len(d).to_bytes(2, "big")
    s.sendall(bytes([128 | op]) + n + m + bytes(x ^ m[i % 4] for i, x in enumerate(d)))
for d in (b"hello", b"x" * 20000):
    send(2, d)
    while len(b) < len(d) + (2 if len(d) < 126 else 4): b += s.recv(65536)
    assert b.endswith(d), len(b); b = b""
send(8, b"")
PY

echo "- 1 GiB down and up through less than 64 MiB of memory"
truncate -s 1G "$T/files/big"
rss() { awk '/VmHWM/ {print $2}' "/proc/$(pid_of "$1")/status"; }
curl -sf -H 'Host: cart' $E/files/big | cmp -s - "$T/files/big" || fail "1 GiB down"
curl -sf -H 'Host: cart' -H 'Expect:' -T "$T/files/big" $E/upload/big >/dev/null || fail "1 GiB up"
cmp -s "$T/files/big" "$T/uploads/big" || fail "1 GiB up differs"
for n in a b; do [ "$(rss $n)" -lt $((65536 * larger)) ] || fail "agent $n took $(rss $n) KiB"; done
rm -f "$T/files/big" "$T/uploads/big"

echo "- what must not pass"
python3 - <<'PY' || fail "an ambiguous request passed"
import socket
def ask(raw):
    s = socket.create_connection(("127.0.0.1", 7085)); s.settimeout(5)
    s.sendall(raw); s.shutdown(socket.SHUT_WR)
    b = b""
    try:
        while (d := s.recv(65536)): b += d
    except ConnectionResetError: pass
    return b
bad = [
    b"GET / HTTP/1.1\r\nHost: echo\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: echo\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"GET / HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: echo\n\n",
    b"GET / HTTP/1.1\r\nHost: echo\r\nX: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: echo\r\nHost: cart\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"GET /a%2fb HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"GET /../x HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"GET /a\\b HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT echo:80 HTTP/1.1\r\nHost: echo\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: echo\r\nExpect: foo\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: echo\r\n" + b"".join(b"h%d: x\r\n" % i for i in range(101)) + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: echo\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
]
for raw in bad:
    b = ask(raw)
    assert b[9:10] in (b"4", b"5") and b.count(b"HTTP/1.1") == 1, (raw, b)
# What a client says of itself never reaches the application; what the agent knows does.
b = ask(b"GET / HTTP/1.1\r\nHost: echo\r\nX-Starling-Caller: admin\r\nx_starling_caller: admin\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nConnection: close\r\n\r\n").lower()
assert b.startswith(b"http/1.1 200") and b"admin" not in b and b"1.2.3.4" not in b and b.count(b"x-starling-caller") == 1 and b"/web" in b, b
PY
