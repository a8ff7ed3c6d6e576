# Hostile hosts at the mesh port (ADVERSARY D1, D7, D8, N4, N10, N27): junk, floods, half handshakes and replays are answered by nothing and
# change nothing; the members go on, and an honest host still joins.
. tests/e2e/lib.sh

mesh
http_app 9001 app
cat >"$T/lib.py" <<'PY'
import errno, json, os, pickle, random, re, resource, selectors, socket, struct, sys, threading, time, urllib.request
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
slower, larger = int(os.environ["slower"]), int(os.environ["larger"])  # under a sanitizer; see lib.sh
def most_kib(mib): return mib * 1024 if larger == 1 else 1 << 20  # a sanitizer keeps what is freed
MESH = ("127.0.0.1", 7000)
T = os.environ["T"]
def metrics(port=7001):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=5).read().decode()
    out = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1); name = name.split("{")[0]; out[name] = out.get(name, 0) + float(value)
    return out
def drops(m): return sum(v for k, v in m.items() if k.startswith("starling_udp_drop_"))
def pid(n="a"): return int(open(T + "/%s/pid" % n).read())
def fds(n="a"): return len(os.listdir("/proc/%d/fd" % pid(n)))
def rss_kib(n="a"): return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid(n)).read())[1])
def eventually(seconds, true, what):
    end = time.monotonic() + (seconds + 10) * slower  # as in lib.sh
    while not true():
        assert time.monotonic() < end, "not within %d s: %s" % (seconds, what() if callable(what) else what)
        threading.Event().wait(0.05)
class Honest:  # requests through the mesh, one after another, all the while
    def __enter__(self):
        self.took, self.failed, self.stop = [], [], threading.Event()
        self.t = threading.Thread(target=self.run); self.t.start()
        return self
    def run(self):
        while not self.stop.is_set():
            at = time.monotonic()
            try:
                with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:7085/", headers={"Host": "cart"}), timeout=5) as r: assert r.read().startswith(b"app")
            except Exception as e: self.failed.append(repr(e))
            self.took.append(time.monotonic() - at)
            self.stop.wait(0.01)
    def __exit__(self, *x):
        self.stop.set(); self.t.join()
        if x[0]: return
        assert len(self.took) > 5 and not self.failed, (len(self.took), self.failed[:3])
        self.took.sort()
        assert self.took[len(self.took) * 99 // 100] < 2.0 * slower, self.took[-5:]
def tape():
    try: return pickle.load(open(T + "/tape", "rb"))
    except OSError: return [], []
def initiations(): return [(p, d) for p, d in tape()[0] if d[:1] == b"\1"]
def closed_by_peer(s):  # what it said before it closed, or None while it is open
    s.setblocking(False)
    try: return s.recv(65536)
    except BlockingIOError: return None
    except OSError: return b""
PY
export T slower larger PYTHONPATH="$T" PYTHONDONTWRITEBYTECODE=1
cart_policy
# Between a and b stands a relay that writes down every datagram and every TCP conversation with the port it was for: the address that
# each of them advertises is the relay's.
cat >"$T/relay.py" <<'PY'
import asyncio, os, pickle
T = os.environ["T"]
datagrams, conversations = [], []
class Back(asyncio.DatagramProtocol):
    def __init__(self, front, to): self.front, self.to = front, to
    def datagram_received(self, d, a): datagrams.append((self.to[1], d)); self.front.sendto(d, self.to)
class Front(asyncio.DatagramProtocol):
    def __init__(self, port): self.port, self.back = port, {}
    def connection_made(self, t): self.t = t
    def datagram_received(self, d, a): datagrams.append((self.port, d)); asyncio.ensure_future(self.pass_on(d, a))
    async def pass_on(self, d, a):
        if a not in self.back:
            self.back[a] = (await asyncio.get_running_loop().create_datagram_endpoint(lambda: Back(self.t, a), remote_addr=("127.0.0.1", self.port)))[0]
        self.back[a].sendto(d)
async def pipe(r, w, keep):
    try:
        while (d := await r.read(65536)): keep.append(d); w.write(d); await w.drain()
    except OSError: pass
    w.close()
def tcp(port):
    async def serve(r, w):
        up = []; conversations.append((port, up))
        try: r2, w2 = await asyncio.open_connection("127.0.0.1", port)
        except OSError: w.close(); return
        await asyncio.gather(pipe(r, w2, up), pipe(r2, w, []))
    return serve
async def main():
    for door, port in ((7900, 7000), (7910, 7100)):
        await asyncio.get_running_loop().create_datagram_endpoint(lambda port=port: Front(port), local_addr=("127.0.0.1", door))
        await asyncio.start_server(tcp(port), "127.0.0.1", door)
    while True:
        await asyncio.sleep(0.2)
        with open(T + "/tape.new", "wb") as f: pickle.dump((datagrams, [(p, b"".join(c)) for p, c in conversations]), f)
        os.rename(T + "/tape.new", T + "/tape")
asyncio.run(main())
PY
python3 "$T/relay.py" >"$T/relay.log" 2>&1 &
pids="$pids $!"
agent a 7000 --caller web=7085 --advertise 127.0.0.1:7900
agent b 7100 --seed 127.0.0.1:7900 --advertise 127.0.0.1:7910 --service cart=9001
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
eventually 5 curl -sf -H 'Host: cart' http://127.0.0.1:7085/
# A busy machine may doubt one for a moment; nobody was ever held dead.
none_lost() {
    eventually 5 all_alive "$@" || fail "a member was lost"
    for n in "${@:2}"; do ! grep 'member .* is dead' "$T/$n/log" || fail "$n held one who lives dead"; done
}

echo "- D1, D7: 20,000 datagrams of junk from many ports, and mangled real ones: no answer"
python3 - <<'PY' || fail junk
from lib import *
rng = random.Random(1)
eventually(10, initiations, "no initiation was recorded")
real = [d for port, d in tape()[0] if port == 7000 or d[0] == 1]
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
for s in socks: s.bind(("127.0.0.1", 0)); s.setblocking(False)
def junk(i):
    kind = i % 4
    if kind == 0: return rng.randbytes(rng.choice((0, 1, 3, 4, 15, 16, 31, 32, 148, 1200, 1280, 9000)))
    if kind == 1: return bytes([rng.randrange(6), 0, 0, 0]) + rng.randbytes(rng.randrange(1300))
    d = bytearray(rng.choice(real))
    if kind == 2: d[rng.randrange(len(d))] ^= 1 << rng.randrange(8); return bytes(d)
    return bytes(d[:rng.randrange(len(d))]) if rng.random() < .5 else bytes(d) + rng.randbytes(1 + rng.randrange(64))
before, rss, answers, sent = metrics(), rss_kib(), [], 0
with Honest():
    for i in range(20000):
        try: socks[i % 32].sendto(junk(i), MESH); sent += 1
        except BlockingIOError: pass
        if i % 500 == 499:
            threading.Event().wait(0.05)  # no faster than its socket buffer is read
            for s in socks:
                try: answers.append(s.recv(65536))
                except BlockingIOError: pass
for s in socks:
    try: answers.append(s.recv(65536))
    except (BlockingIOError, ConnectionError): pass
assert not answers, (len(answers), answers[0][:40])
after = metrics()
assert drops(after) - drops(before) > sent * 0.5, (drops(after) - drops(before), sent)
assert after["starling_gossip_deaths_total"] == before["starling_gossip_deaths_total"]
assert rss_kib() - rss < most_kib(8), (rss, rss_kib())
PY
none_lost 2 a b

echo "- N10: recorded initiations and everything else, replayed 2,000 times, from b's side and from strangers"
python3 - <<'PY' || fail replay
from lib import *
first, real = initiations(), tape()[0]
both = lambda: [metrics(7001), metrics(7101)]
def rise(before, after, name): return sum(a[name] - b[name] for a, b in zip(after, before))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.2", 0)); s.setblocking(False)
before, bytes_out, bytes_in, n_out, n_in, other = both(), 0, 0, 0, 0, []
with Honest():
    for i in range(2000):
        for port, d in (first[i % len(first)], real[i % len(real)]):
            try: s.sendto(d, ("127.0.0.1", port)); bytes_out += len(d); n_out += 1
            except BlockingIOError: pass
        if i % 100 == 99: threading.Event().wait(0.02)
        try:
            while True:
                d = s.recv(65536); bytes_in += len(d); n_in += 1
                if d[0] != 3: other.append(d[:16])
        except BlockingIOError: pass
# Beyond the rate a source is asked, in 64 bytes and without public-key work, to show that it receives where it sends from. Nothing else is said.
assert not other and bytes_in * 10 <= bytes_out and n_in <= n_out, (other[:3], bytes_in, bytes_out)
after = both()
assert rise(before, after, "starling_udp_handshakes_done_total") <= 2, "a replay made a session"
assert sum(map(drops, after)) > sum(map(drops, before)) + 1000
PY
none_lost 2 a b
is b members '[m["address"] for m in o if m["name"]=="a"]' "['127.0.0.1:7900']" || fail "the address of a has changed"

echo "- N4: TCP junk, truncated and oversized; whole conversations replayed"
python3 - <<'PY' || fail "junk on TCP"
from lib import *
rng = random.Random(4)
real = sorted((c for port, c in tape()[1] if len(c) > 200), key=len)
assert real, "no conversation was recorded"
members = metrics()["starling_members"]
before, log_before, base, rss = metrics(), os.path.getsize(T + "/a/log"), fds(), rss_kib()
def preface(kind=1, pattern=1, cipher=1, version=1, magic=b"strl"): return magic + bytes([version, kind, pattern, cipher])
def cases():
    for _ in range(60): yield rng.randbytes(rng.randrange(1, 3000))
    for n in range(8): yield preface()[:n]
    for kind in (0, 1, 2, 3, 255):
        for pattern in (0, 1, 2, 3, 255): yield preface(kind, pattern, rng.choice((0, 1, 2, 255))) + struct.pack(">H", 96) + rng.randbytes(96)
    for kind in (1, 2):
        for n in (0, 1, 15, 31, 32, 33, 4192, 4193, 65535):
            yield preface(kind, 1) + struct.pack(">H", n) + rng.randbytes(n)
            yield preface(kind, 2) + struct.pack(">H", n) + rng.randbytes(n)
        yield preface(kind, 1) + struct.pack(">H", 65535) + rng.randbytes(100)
    for c in real[:3]:
        yield c  # N10 on TCP: the whole of it
        for _ in range(15): yield c[:rng.randrange(len(c))]
        for _ in range(15): b = bytearray(c); b[rng.randrange(min(len(b), 400))] ^= 1 << rng.randrange(8); yield bytes(b)
        yield c + rng.randbytes(70000)
    yield b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500)
held, said, got = [], 0, 0
with Honest():
    for c in cases():
        s = socket.create_connection(MESH); s.settimeout(5); held.append((s, len(c)))
        try: s.sendall(c)
        except OSError: pass
    end = time.monotonic() + 9 * slower
    while held and time.monotonic() < end:
        for one in held[:]:
            d = closed_by_peer(one[0])
            if d == b"": held.remove(one); one[0].close()
            elif d: said += len(d)
        threading.Event().wait(0.05)
assert not held, "%d connections are still open" % len(held)
after = metrics()
assert after["starling_members"] == members and after["starling_gossip_deaths_total"] == before["starling_gossip_deaths_total"]
eventually(8, lambda: fds() <= base + 4, lambda: (fds(), base))
assert rss_kib() - rss < most_kib(12), (rss, rss_kib())
assert os.path.getsize(T + "/a/log") - log_before < 64 * 1024, "the log was flooded"
PY
none_lost 2 a b

echo "- N27: a byte every 200 ms does not keep a handshake open"
python3 - <<'PY' || fail "slow handshake"
from lib import *
socks = []
for kind in (1, 2):
    for pattern in (1, 2):
        for begun in (0, 4, 8):
            s = socket.create_connection(MESH); s.setblocking(False)
            socks.append([s, (b"strl" + bytes([1, kind, pattern, 1]) + struct.pack(">H", 1000) + b"x" * 1000)[begun:], kind, pattern, begun, None])
            s.send((b"strl" + bytes([1, kind, pattern, 1]))[:begun])
begin = time.monotonic()
while any(o[5] is None for o in socks) and time.monotonic() - begin < 12 * slower:
    for o in socks:
        if o[5] is None:
            try: o[0].send(o[1][:1]); o[1] = o[1][1:]
            except OSError: pass
            if closed_by_peer(o[0]) is not None: o[5] = time.monotonic() - begin
    threading.Event().wait(0.2)
open_still = [o[2:] for o in socks if o[5] is None or o[5] > 9 * slower]
assert not open_still, open_still
PY

echo "- D8: 4,000 silent TCP connections, made anew as they are closed: an honest host joins and traffic goes on"
mkfifo "$T/go"
python3 - "$T/go" <<'PY' &
from lib import *
base = fds()
sel, stop, peak = selectors.DefaultSelector(), time.monotonic() + 6, 0
def open_one(i):
    s = socket.socket(); s.setblocking(False); s.bind(("127.0.0.%d" % (10 + i % 4), 0))
    s.connect_ex(MESH); sel.register(s, selectors.EVENT_READ)
for i in range(4000): open_one(i)
open(sys.argv[1], "w").close()
made = 4000
with Honest():
    while time.monotonic() < stop:
        for key, _ in sel.select(0.05):
            try:
                if key.fileobj.recv(1): continue
            except BlockingIOError: continue
            except OSError: pass
            sel.unregister(key.fileobj); key.fileobj.close()
            if made < 8000: open_one(made); made += 1
        peak = max(peak, fds())
    # They keep silent: all are closed at the deadline, not when it suits them.
    end = time.monotonic() + 9 * slower
    while sel.get_map() and time.monotonic() < end:
        for key, _ in sel.select(0.05):
            try: key.fileobj.recv(1)
            except BlockingIOError: continue
            except OSError: pass
            sel.unregister(key.fileobj); key.fileobj.close()
assert not sel.get_map(), "%d idle connections are still open" % len(sel.get_map())
assert peak - base < 1500, peak
eventually(5, lambda: fds() <= base + 8, lambda: (fds(), base))
PY
flood=$!
pids="$pids $flood"
read -r _ <"$T/go" || true
agent c 7200 --seed 127.0.0.1:7000 --service cart=9001
eventually 9 all_alive 3 a b c
wait "$flood" || fail "idle connections"
none_lost 3 a b c
