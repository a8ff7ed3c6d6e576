# Credentials that live for seconds, renewed without a restart: by themselves from the token's file, on command, with a new Noise key, and
# with traffic that loses nothing, also on one stream that is open over many renewals (ADVERSARY G34). And what happens when nobody renews.
. tests/e2e/lib.sh

"$starling" mesh init --name shop.example --dir "$T/ca" >/dev/null
life=9
token() { "$starling" token create --ca "$T/ca" --service '*' --node '*' --ttl "${2:-1h}" --credential-life "${3:-${life}s}" -o "$T/$1" --force >/dev/null; }
token token
http_app 9001 app
agent a 7000 --caller web=7085 --upstream db=7091
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9002/tcp
# An application that echoes for as long as it is asked.
python3 - <<'PY' &
import socket, threading
def serve(c):
    while True:
        d = c.recv(1000)
        if not d:
            return c.close()
        c.sendall(d)
l = socket.create_server(("127.0.0.1", 9002))
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
PY
pids="$pids $!"
eventually 10 all_alive 2 a b
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, db: {protocol: tcp}}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: store, from: ["*"], to: db, mode: audit}
P
sed -i 's/, mode: audit//; s/"\*"/web/' "$T/p.yaml"
sed -i 's/from: \[web\], to: db/from: ["*"], to: db/' "$T/p.yaml"
publish b "$T/p.yaml"
eventually 5 in_force 1 a b
good() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7085/x)" = 200 ]; }
eventually 5 good

cat >"$T/load.py" <<'PY'
import http.client, os, socket, sys, threading, time
stop, out = sys.argv[1:3]
bad, count, lock = [], [0], threading.Lock()
def requests():
    while not os.path.exists(stop):
        try:
            c = http.client.HTTPConnection("127.0.0.1", 7085, timeout=20)
            for _ in range(100):
                c.request("GET", "/x", headers={"Host": "cart"})
                r = c.getresponse()
                r.read()
                with lock:
                    count[0] += 1
                    if r.status != 200:
                        bad.append((time.time(), r.status, r.getheader("x-starling-reason")))
                time.sleep(0.01)
        except OSError as e:
            bad.append((time.time(), 0, str(e)))
def stream():
    try:
        s = socket.create_connection(("127.0.0.1", 7091), timeout=20)
        while not os.path.exists(stop):
            s.sendall(b"ping")
            if s.recv(100) != b"ping":
                raise OSError("the stream ended")
            time.sleep(0.05)
    except OSError as e:
        bad.append((time.time(), "stream", str(e)))
threads = [threading.Thread(target=requests) for _ in range(3)] + [threading.Thread(target=stream)]
[t.start() for t in threads]
[t.join() for t in threads]
open(out, "w").write(f"{count[0]} requests, bad: {bad[:10]}\n")
sys.exit(bool(bad))
PY
python3 "$T/load.py" "$T/stop" "$T/load" & load=$!
pids="$pids $load"

renewals() { curl -s "http://127.0.0.1:$1/metrics" | awk '/^starling_renewals_total/ {print $2}'; }
has_renewed() { [ "$(renewals "$1")" -ge "$2" ]; }
key_of() { sha256sum <"$T/$1/data/noise.key"; }
# By itself, again and again: each credential has long ended when the last one begins.
for n in 1 2 3; do
    eventually $((life + 3)) has_renewed 7001 $n
    eventually $((life + 3)) has_renewed 7101 $n
done
grep -q 'the credential is renewed: node b is a member until' "$T/b/log" || fail "b does not say that it has renewed"
# With another Noise key, on both ends; the file holds the new one, and old sessions and links go on.
for n in a b; do
    before=$(key_of $n)
    ask $n renew --roll-key | grep -q 'with a new Noise key' || fail "the Noise key of $n was not rolled"
    [ "$before" != "$(key_of $n)" ] || fail "the file has the old key"
done
good || fail "a request failed after the roll"
# On command, with a token of longer life: from now on there is time.
token long 1h 1h
for n in a b; do ask $n renew --token "$T/long" >/dev/null; done
for n in a b; do
    is $n status 'o["credential_expires"] - __import__("time").time() > 3000' True || fail "$n has not taken the longer credential"
    eventually 5 is $n members 'min(m["credential_expires"] for m in o) - __import__("time").time() > 3000' True
done
# What may not renew is refused, and nothing changes: a token of another mesh, one that has ended, one for other nodes, none at all.
"$starling" mesh init --name bank.example --dir "$T/bank" >/dev/null
"$starling" token create --ca "$T/bank" --service '*' --node '*' -o "$T/foreign" >/dev/null
token short 1s
"$starling" token create --ca "$T/ca" --service '*' --node 'z-*' -o "$T/others" >/dev/null
"$starling" token create --ca "$T/ca" --service 'web' --node '*' -o "$T/narrow" >/dev/null
past() { [ "$(date +%s)" -gt "$1" ]; }
eventually 5 past $(($(date +%s) + 1))
before=$(json b status 'o["credential_expires"]')
for t in foreign short others narrow; do
    ! ask b renew --token "$T/$t" >"$T/said" 2>&1 || fail "b took the token $t"
    [ -s "$T/said" ] || fail "nothing was said of the token $t"
done
grep -q 'does not allow the service' "$T/said" || { cat "$T/said"; fail "the missing service is not named"; }
! ask b renew --token "$T/nowhere" >/dev/null 2>&1 || fail "b took no token"
is b status 'o["credential_expires"]' "$before" || fail "a refused renewal changed something"
touch "$T/stop"
wait "$load" || { cat "$T/load"; fail "traffic was lost"; }
cat "$T/load"

# A restart in the middle: what was renewed is what is on disk.
crash b
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9002/tcp
eventually 10 all_alive 2 a b
is b status 'o["credential_expires"]' "$before" || fail "b came back with another credential"
eventually 5 good

# Nobody renews c: it is warned of, and when its credential has ended it is no member any more, its stream is cut and its calls fail.
agent c 7200 --seed 127.0.0.1:7000 --caller web=7285
eventually 10 all_alive 3 a b c
eventually 5 in_force 1 c
good_c() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7285/x)" = 200 ]; }
eventually 5 good_c
rm "$T/token"
bad_c() { ! good_c; }
eventually $((life + 5)) bad_c
grep -q 'the credential is not renewed' "$T/c/log" || fail "c does not say that its token is gone"
# By their own clocks, which need not be the first to see it.
eventually 2 grep -qE 'credential of (member )?c has (expired|ended)' "$T/b/log" "$T/a/log" || fail "nobody says that c's credential has ended"
# A fresh token in its place, and a SIGHUP: it is back without a restart.
token token 1h 1h
kill -HUP "$(pid_of c)"
eventually 20 good_c
eventually 10 all_alive 3 a b c

# Another identity key under the same name (G34): the old one says good-bye, the new one takes the name over, and whoever comes back with the
# old key is a second claimant to whom nothing goes.
c_key=$(json c status 'o["id"]')
ask c leave >/dev/null
mv "$T/c/data" "$T/c-before"
agent c 7200 --seed 127.0.0.1:7000 --caller web=7285
new_key() { [ "$(json a members '[m["id"] for m in o if m["name"] == "c" and m["state"] == "alive" and "conflict" not in m]')" = "['$(json c status 'o["id"]')']" ]; }
eventually 10 new_key
[ "$(json c status 'o["id"]')" != "$c_key" ] || fail "c has its old key"
eventually 10 good_c
"$starling" agent --data "$T/c-before" --node c --port-base 7300 --listen 127.0.0.1:7300 --seed 127.0.0.1:7000 >>"$T/thief.log" 2>&1 & thief=$!
pids="$pids $thief"
claims() { is a members "['conflict' in m for m in o if m['id'] == '$c_key']" '[True]'; }
eventually 15 claims
new_key || fail "the old key has taken the name back"
good_c || fail "the new identity does not get through"
