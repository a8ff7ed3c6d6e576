# Hostile neighbours on the host, and a hostile disk (ADVERSARY P31, N32, S3, S8, S10, S12): the doors for operators answer only whom they are
# for and give up nothing under load; a full disk stops nothing but what must be stored; a damaged folder is named, never papered over.
. tests/e2e/lib.sh
needs_namespaces
needs_users

cleanup() { status=$?; umount -l "$T/b/data" "$T/b/ro" 2>/dev/null || true; finish "$status"; }
trap cleanup EXIT
mesh
http_app 9001 app
cat >"$T/lib.py" <<'PY'
import json, os, random, re, resource, shutil, socket, subprocess, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
slower, larger = int(os.environ["slower"]), int(os.environ["larger"])  # under a sanitizer; see lib.sh
def most_kib(mib): return mib * 1024 if larger == 1 else 1 << 20  # a sanitizer keeps what is freed
T, starling = os.environ["T"], os.environ["starling"]
def pid(n="a"): return int(open(T + "/%s/pid" % n).read())
def fds(n="a"): return len(os.listdir("/proc/%d/fd" % pid(n)))
def rss_kib(n="a"): return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid(n)).read())[1])
def all_of(s):
    b = b""
    try:
        while (d := s.recv(65536)): b += d
    except (ConnectionResetError, TimeoutError): b += b"[lost]"
    return b
def eventually(seconds, true, what):
    end = time.monotonic() + (seconds + 10) * slower  # as in lib.sh
    while not true():
        assert time.monotonic() < end, "not within %d s: %s" % (seconds, what() if callable(what) else what)
        threading.Event().wait(0.05)
def web(raw, port=7001):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(5)
        try: s.sendall(raw); s.shutdown(socket.SHUT_WR)
        except OSError: pass
        return all_of(s)
def status(b): return int(b[9:12]) if b.startswith(b"HTTP/1.") else 0
def door():
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(T + "/a/data/agent.sock")
    return s
def lines(raw):
    with door() as s:
        try: s.sendall(raw); s.shutdown(socket.SHUT_WR)
        except OSError: pass
        return [json.loads(l) for l in all_of(s).replace(b"[lost]", b"").splitlines()]
PY
export T starling slower larger PYTHONPATH="$T" PYTHONDONTWRITEBYTECODE=1
for v in 1 2 3; do cat >"$T/p$v.yaml" <<P
policy: v1
mesh: shop.example
version: $v
services: {cart: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}]
P
done
mkdir -p "$T/b/data"
mount -t tmpfs -o size=3m,mode=700 none "$T/b/data"
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b
publish a "$T/p1.yaml"
eventually 5 in_force 1 a b
eventually 5 curl -sf -H 'Host: cart' http://127.0.0.1:7085/
serves() { curl -s http://127.0.0.1:7085/ -H 'Host: cart' | grep -q '^app'; }

echo "- P31: the read-only port"
python3 - <<'PY' || fail "read-only port"
from lib import *
def get(path, host=b"127.0.0.1:7001", more=b"", method=b"GET"): return web(b"%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n" % (method, path, host, more))
for host in (b"127.0.0.1:7001", b"localhost:7001", b"localhost", b"[::1]:7001"): assert status(get(b"/healthz", host)) == 200, host
for host in (b"evil.example", b"evil.example:7001", b"127.0.0.1.evil.example", b"localhost.evil.example", b"a.localhost", b"2130706433", b"0x7f.1", b"127.1"):
    assert status(get(b"/metrics", host)) in (400, 403), host
for origin in (b"http://evil.example", b"null", b"http://localhost:7001", b"http://127.0.0.1:7001"): assert status(get(b"/metrics", more=b"Origin: %s\r\n" % origin)) == 403, origin
for method in (b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE"): assert status(get(b"/metrics", method=method)) == 405, method
for path in (b"/../metrics", b"/..%2f..%2fetc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/metrics%00", b"/metrics/../../etc/passwd", b"\\metrics"): assert status(get(path)) == 400, path
for path in (b"/etc/passwd", b"/metricsx", b"/leave", b"/reload", b"/publish", b"/"): assert status(get(path)) == 404, path
for raw in (b"\0" * 100, b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/1.1\nHost: localhost\n\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"x: y\r\n" * 5000 + b"\r\n"):
    assert status(web(raw)) in (400, 431), raw[:40]
base, rss = fds(), rss_kib()
held = []
for i in range(1000):
    s = socket.create_connection(("127.0.0.1", 7001)); s.settimeout(5); held.append(s)
    try: s.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
    except OSError: pass
assert fds() - base <= 64 + 8, fds() - base
for s in held: s.close()
eventually(5, lambda: fds() <= base + 2 and status(get(b"/healthz")) == 200, lambda: (fds(), base))
# Who asks without reading is not answered without end.
with socket.create_connection(("127.0.0.1", 7001)) as s:
    s.settimeout(0.5)
    try:
        for _ in range(3000): s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
    except OSError: pass
    assert rss_kib() - rss < most_kib(8), (rss, rss_kib())
assert status(get(b"/healthz")) == 200
PY
serves || fail "traffic stopped"

echo "- P31: the Unix socket"
[ "$(stat -c '%a' "$T/a/data/agent.sock") $(stat -c '%a' "$T/a/data")" = "600 700" ] || fail "modes"
nobody=$(id -u nobody)
cat >"$T/try.py" <<'PY'
import os, socket, sys
uid = int(sys.argv[2])
if uid: os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
s = socket.socket(socket.AF_UNIX); s.settimeout(5)
try: s.connect(sys.argv[1]); s.sendall(b'{"command":"status"}\n'); print(len(s.recv(100)))
except PermissionError: print("denied")
except OSError: print(0)
PY
chmod 755 "$T" "$T/a"
[ "$(python3 "$T/try.py" "$T/a/data/agent.sock" "$nobody")" = denied ] || fail "another user may connect"
# Even when the file system would let them in, the agent asks who it is.
chmod 711 "$T/a/data"; chmod 666 "$T/a/data/agent.sock"
[ "$(python3 "$T/try.py" "$T/a/data/agent.sock" "$nobody")" = 0 ] || fail "another user was answered"
[ "$(python3 "$T/try.py" "$T/a/data/agent.sock" 0)" != 0 ] || fail "the owner was not answered"
chmod 700 "$T/a/data"; chmod 600 "$T/a/data/agent.sock"
python3 - <<'PY' || fail "Unix socket"
from lib import *
rss, base = rss_kib(), fds()
bad = [b"", b"x", b"{", b"[]", b"1", b"null", b'"status"', b"{}", b'{"command":5}', b'{"command":null}', b'{"command":"no such"}', b'{"command":"status","command":"leave"}', b"\xff\xfe",
    b'{"command":"\\u0000status"}', b"[" * 100000, b'{"a":' * 100000, b'{"command":"publish"}', b'{"command":"publish","bundle":5}', b'{"command":"publish","bundle":"zz"}',
    b'{"command":"publish","bundle":"' + b"00" * 1000 + b'"}', b'{"command":"why"}', b'{"command":"why","from":[],"to":{},"path":5,"headers":[1]}',
    b'{"command":"why","from":"web","to":"cart","method":"GET","path":"/' + b"a" * 20000 + b'"}', b'{"command":"why","from":"web","to":"cart","method":"GET","path":"/\\u0000","headers":{"a":5}}']
for b in bad:
    answer = lines(b + b"\n")
    assert len(answer) == 1 and answer[0]["ok"] is False and answer[0]["error"], (b[:60], answer)
answers = lines(b"".join(b + b"\n" for b in bad[1:14]) + b'{"command":"status"}\n')
assert [a["ok"] for a in answers] == [False] * 13 + [True], answers
# A line beyond the limit, or without an end: closed, and its memory given back.
for raw in (b'{"command":"' + b"x" * 3000000 + b'"}\n', b"y" * 5000000):
    assert not [a for a in lines(raw) if a["ok"]]
held = []
for i in range(1000):
    s = socket.socket(socket.AF_UNIX); s.settimeout(5)
    s.connect(T + "/a/data/agent.sock"); held.append(s)
    try: s.sendall(b'{"command":')
    except OSError: pass
eventually(5, lambda: fds() - base <= 64 + 8, lambda: fds() - base)
for s in held: s.close()
eventually(5, lambda: fds() <= base + 2 and [a["ok"] for a in lines(b'{"command":"status"}\n')] == [True], lambda: (fds(), base))
assert rss_kib() - rss < most_kib(12), (rss, rss_kib())
PY
serves || fail "traffic stopped"
eventually 20 all_alive 2 a b || fail "a member was lost"

echo "- S3: the disk of b is full"
healthz() { curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/healthz"; }
health_is() { [ "$(healthz 7101)" = "$1" ]; }
warns() { is b status 'any("cannot be written" in w for w in o["warnings"])' "$1"; }
health_is 200 || fail "unhealthy before"
dd if=/dev/zero of="$T/b/data/filler" bs=4k 2>/dev/null && fail "the disk could not be filled"
"$starling" policy sign "$T/p2.yaml" --ca "$T/ca" -o "$T/p2.bundle" >/dev/null
if ask b policy publish "$T/p2.bundle" >"$T/out" 2>&1; then fail "published what could not be stored"; fi
grep -qiE 'full|space' "$T/out" || { cat "$T/out"; fail "unclear refusal"; }
eventually 2 health_is 503
warns True || fail "status does not warn"
[ "$(curl -s http://127.0.0.1:7101/metrics | awk '$1=="starling_store_failing" {print $2}')" = 1 ] || fail "the metric does not say so"
is b status 'o["policy"]["version"]' 1 || fail "what is not stored is in force"
serves || fail "traffic stopped on a full disk"
# Gossip goes on: a host that joins now is known to b, and a policy that others have in force waits at b until it can be stored.
agent c 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 3 a b c
publish a "$T/p2.yaml"
eventually 5 in_force 2 a c
is b status 'o["policy"]["version"]' 1 || fail "what is not stored is in force"
serves || fail "traffic stopped"
rm "$T/b/data/filler"
eventually 15 in_force 2 b
eventually 5 health_is 200
warns False || fail "status still warns"
publish b "$T/p3.yaml"
eventually 5 in_force 3 a b c
serves || fail "traffic stopped"

echo "- S8, S10: state damaged while b was stopped"
end "$(pid_of b)"
gone() { ! kill -0 "$(pid_of b)" 2>/dev/null; }
eventually 10 gone
cp -a "$T/b/data" "$T/b/good"
rm -f "$T/b/good/agent.sock"
python3 - <<'PY' || fail "damage"
from lib import *
rng = random.Random(8)
good, bad = T + "/b/good", T + "/b/bad"
size, key = os.path.getsize(good + "/state.mdb"), open(good + "/identity.key", "rb").read()
node = json.loads(subprocess.run([starling, "members", "--json", "--data", T + "/a/data"], capture_output=True, check=True).stdout)
node = [m for m in node if m["name"] == "b"][0]
def fill(at, what):
    with open(bad + "/state.mdb", "r+b") as f: f.seek(at); f.write(what)
def swap(make):
    os.remove(bad + "/state.mdb"); make(bad + "/state.mdb")
used = [p for p in range(2, size // 4096) if open(good + "/state.mdb", "rb").read()[p * 4096:p * 4096 + 4096].strip(b"\0")] if size < 1 << 24 else []
cases = [("truncated to %d" % n, lambda n=n: os.truncate(bad + "/state.mdb", n)) for n in (0, 1, 100, 4095, 4096, 8192, 12288, size // 2, size - 1)]
cases += [("page %d zeroed" % p, lambda p=p: fill(p * 4096, bytes(4096))) for p in [0, 1] + used[:12]]
cases += [("random page %d" % p, lambda p=p: fill(p * 4096, rng.randbytes(4096))) for p in [0, 1] + used[:8]]
cases += [("bytes at %d" % at, lambda at=at: fill(at, rng.randbytes(8))) for at in [rng.choice([0, 1] + used) * 4096 + rng.randrange(4088) for _ in range(20)]]
cases += [("grown", lambda: open(bad + "/state.mdb", "ab").write(b"x" * 5000)), ("random", lambda: open(bad + "/state.mdb", "wb").write(rng.randbytes(size))),
    ("folder", lambda: swap(os.mkdir)), ("fifo", lambda: swap(os.mkfifo)), ("symlink", lambda: swap(lambda p: os.symlink(good + "/state.mdb", p))),
    ("another's", lambda: swap(lambda p: shutil.copy(T + "/c/copy.mdb", p))), ("lock file is foreign", lambda: open(bad + "/lock", "wb").write(b"999999999\n" * 100)),
    ("LMDB's lock file is random", lambda: open(bad + "/state.mdb-lock", "wb").write(rng.randbytes(8192)))]
os.system("mdb_copy -n %s/c/data/state.mdb %s/c/copy.mdb 2>/dev/null || cp %s/c/data/state.mdb %s/c/copy.mdb" % (T, T, T, T))
wrong, started, refused = [], 0, 0
for name, damage in cases:
    shutil.rmtree(bad, ignore_errors=True); shutil.copytree(good, bad, symlinks=True); damage()
    p = subprocess.Popen([starling, "agent", "--data", bad, "--node", "b", "--port-base", "7100", "--listen", "127.0.0.1:7100"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end, answers = time.monotonic() + 20 * slower, False
    while p.poll() is None and not answers and time.monotonic() < end:
        answers = subprocess.run([starling, "status", "--json", "--data", bad], capture_output=True)
        answers = answers.stdout if answers.returncode == 0 else False
    if p.poll() is None: p.kill()
    said = p.communicate()[1].decode("utf8", "replace")
    if answers:
        started += 1
        o = json.loads(answers)
        if node["id"] not in json.dumps(o): wrong.append((name, "another identity", o))
    else:
        refused += 1
        if p.returncode != 1 or not re.search(r"state\.mdb|lock|holds the state of another", said) or len(said) > 4000: wrong.append((name, p.returncode, said[-600:]))
    if open(bad + "/identity.key", "rb").read() != key: wrong.append((name, "identity.key has changed"))
assert not wrong, "\n".join(map(str, wrong))
assert refused > 15, (started, refused)
print("  %d refused, %d started soundly" % (refused, started))
PY

echo "- N32, S12: keys and folder that are not as they must be"
python3 - <<'PY' || fail keys
from lib import *
good, bad = T + "/b/good", T + "/b/bad"
os.system("chmod 700 " + good)
def text(name): return open(good + "/" + name, "rb").read()
def put(name, b):
    with open(bad + "/" + name, "wb") as f: f.write(b)
def replace(name, make): os.remove(bad + "/" + name); make(bad + "/" + name)
other = open(T + "/a/data/identity.key", "rb").read()
cases = []
for name in ("identity.key", "noise.key"):
    t = text(name)
    cases += [(name, "empty", lambda n=name: put(n, b"")), (name, "cut", lambda n=name, t=t: put(n, t[:-6])), (name, "grown", lambda n=name, t=t: put(n, t.rstrip() + b"AAAA\n")),
        (name, "a second line", lambda n=name, t=t: put(n, t + t)), (name, "binary", lambda n=name: put(n, os.urandom(32))), (name, "all zero", lambda n=name: put(n, bytes(32))),
        (name, "huge", lambda n=name: put(n, b"A" * 10000000)), (name, "0644", lambda n=name: os.chmod(bad + "/" + n, 0o644)), (name, "0640", lambda n=name: os.chmod(bad + "/" + n, 0o640)),
        (name, "symlink", lambda n=name: replace(n, lambda p: os.symlink(good + "/" + n, p))), (name, "fifo", lambda n=name: replace(n, os.mkfifo)), (name, "folder", lambda n=name: replace(n, os.mkdir)),
        (name, "another user's", lambda n=name: os.chown(bad + "/" + n, 65534, -1)), (name, "missing", lambda n=name: os.remove(bad + "/" + n))]
cases += [("identity.key", "another host's", lambda: put("identity.key", other)), ("bad", "folder 0777", lambda: os.chmod(bad, 0o777)), ("bad", "folder 0750", lambda: os.chmod(bad, 0o750)),
    ("bad", "folder of another user", lambda: os.chown(bad, 65534, -1))]
wrong = []
for name, what, damage in cases:
    subprocess.run(["rm", "-rf", bad]); shutil.copytree(good, bad, symlinks=True); os.chmod(bad, 0o700); damage()
    # with a token at hand, too: a lost key is no reason to become somebody else
    for more in ([], ["--token", T + "/token"]):
        try: p = subprocess.run([starling, "agent", "--data", bad, "--node", "b", "--port-base", "7100", "--listen", "127.0.0.1:7100", *more], capture_output=True, timeout=15 * slower)
        except subprocess.TimeoutExpired: wrong.append((name, what, more, "it started")); continue
        said = p.stderr.decode("utf8", "replace")
        if p.returncode != 1 or (name not in said and "credential" not in said) or len(said) > 4000: wrong.append((name, what, more, p.returncode, said[-400:]))
        if name != "bad" and os.path.lexists(bad + "/" + name) != (what != "missing"): wrong.append((name, what, "it was removed, or made anew"))
        for kept in {"identity.key", "noise.key", "credential", "root.trust"} - {name}:
            if what != "another host's" and open(bad + "/" + kept, "rb").read() != text(kept): wrong.append((name, what, kept + " has changed"))
assert not wrong, "\n".join(map(str, wrong))
# No key was ever written to a log.
for n in "abc":
    log = open(T + "/%s/log" % n, "rb").read()
    for f in ("identity.key", "noise.key"):
        secret = open((good if n == "b" else T + "/%s/data" % n) + "/" + f, "rb").read().split()[-1]
        assert secret not in log and secret[:20] not in log, n
PY
rm -rf "$T/b/bad"; cp -a "$T/b/good" "$T/b/ro"
mount --bind "$T/b/ro" "$T/b/ro" && mount -o remount,ro,bind "$T/b/ro"
if "$starling" agent --data "$T/b/ro" --node b --port-base 7100 --listen 127.0.0.1:7100 >"$T/out" 2>&1; then fail "started on a read-only folder"; fi
grep -qi 'read-only' "$T/out" || { cat "$T/out"; fail "unclear message"; }
