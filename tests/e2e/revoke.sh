# Revocation by key (ADVERSARY G34-G36, P33, nebula's rows): a host is revoked under load, and a token. Whoever falls is cut within 5 s,
# streams that were open too; everybody else loses nothing; it holds after restarts, before any peer answers, and when a later policy drops
# the line.
. tests/e2e/lib.sh

mesh
"$starling" token create --ca "$T/ca" --service '*' --node 't-*' -o "$T/other" --json >"$T/other.json"
token_key=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["key"])' "$T/other.json")
http_app 9001 app
agent a 7000 --caller web=7085 --upstream cart=7090
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9001/tcp
agent v 7200 --seed 127.0.0.1:7000 --caller web=7285 --upstream db=7291 --service odd=9001
eventually 10 all_alive 3 a b v
cp -a "$T/v/data" "$T/as-it-was" # what a thief has copied: keys, credential, state of before

policy() {
    cat >"$T/v$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
services: {cart: {protocol: http}, odd: {protocol: http}, db: {protocol: tcp}}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: store, from: ["*"], to: db}
P
    shift
    for line in "$@"; do
        grep -q '^revoke:' "$T/v$version.yaml" || echo 'revoke:' >>"$T/v$version.yaml"
        echo "  - {key: \"$line\", reason: lost in a train, at: 2026-08-20T10:00:00Z}" >>"$T/v$version.yaml"
    done
}
set_policy() { version=$1; policy "$@"; publish b "$T/v$1.yaml"; }
set_policy 1
eventually 5 in_force 1 a b v
v_key=$(json v status 'o["id"]')

good() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: ${2:-cart}" "http://127.0.0.1:$1/x")" = 200 ]; }
eventually 5 good 7085
eventually 5 good 7285

# The load of a, which must lose nothing; and of v, which must begin to fail. Each line: time, status.
cat >"$T/load.py" <<'PY'
import http.client, os, sys, threading, time
port, stop, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock, lines = threading.Lock(), []
def run():
    while not os.path.exists(stop):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            for _ in range(50):
                c.request("GET", "/x", headers={"Host": "cart"})
                r = c.getresponse()
                r.read()
                with lock:
                    lines.append((time.time(), r.status))
                if r.status == 200 and not os.path.exists(out + ".begun"):
                    open(out + ".begun", "w").close()
                time.sleep(0.005)
        except OSError:
            with lock:
                lines.append((time.time(), 0))
threads = [threading.Thread(target=run) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
open(out, "w").write("".join(f"{t} {s}\n" for t, s in sorted(lines)))
PY
python3 "$T/load.py" 7085 "$T/stop" "$T/of-a" & load_a=$!
python3 "$T/load.py" 7285 "$T/stop" "$T/of-v" & load_v=$!
pids="$pids $load_a $load_v"
# A stream that stays open: it says when it was closed.
python3 - 7291 "$T/stream" <<'PY' &
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
s.recv(10000)
open(sys.argv[2] + ".open", "w").write("open")
while True:
    try:
        if not s.recv(10000):
            break
    except OSError:
        break
open(sys.argv[2], "w").write(str(time.time()))
PY
stream=$!
pids="$pids $stream"
eventually 10 test -e "$T/stream.open" -a -e "$T/of-a.begun" -a -e "$T/of-v.begun"
eventually 5 good 7285
published=$(date +%s.%N)
set_policy 2 "$v_key"
eventually 5 test -e "$T/stream"
eventually 5 is b members 'len(o)' 2
eventually 5 is a members 'len(o)' 2
eventually 5 grep -q 'NO MEMBER ANY MORE: its own key .* is revoked by policy version 2: lost in a train' "$T/v/log"
eventually 5 is v status 'any("NO MEMBER" in w for w in o["warnings"])' True
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7201/readyz)" = 503 ] || fail "v says it is ready"
curl -s http://127.0.0.1:7001/metrics | grep -q '^starling_members_revoked_total 1$' || fail "a has not counted the revocation"
curl -s http://127.0.0.1:7201/metrics | grep -q '^starling_self_revoked 1$' || fail "v does not show that it is out"
grep -q "member v ($v_key) is revoked and cut: its own key .* by policy version 2: lost in a train" "$T/b/log" || fail "b does not say whom it cut"
# Asked later, when it is a member no more: who it was, and the reason that the policy gives.
is a "members --revoked" '[(m["name"], m["id"]) for m in o]' "[('v', '$v_key')]" || fail "members --revoked does not name v"
ask a members --revoked | grep -q '^v .*its own key .* is revoked by policy version 2: lost in a train$' || fail "members --revoked gives no reason"
ask b why web "odd" GET / | grep -q '^revoked    v: its own key .*: lost in a train$' || { ask b why web "odd" GET /; fail "why does not say why the instance is gone"; }
ask v why web "odd" GET / | grep -q '^revoked    v: .*lost in a train$' || { ask v why web "odd" GET /; fail "the revoked host's own why does not say so"; }
touch "$T/stop"
wait "$load_a" "$load_v" || fail "a load ended badly"
python3 - "$published" "$T/of-a" "$T/of-v" "$T/stream" <<'PY' || fail "see above"
import sys
published = float(sys.argv[1])
read = lambda f: [(float(t), int(s)) for t, s in (l.split() for l in open(f))]
a, v, stream = read(sys.argv[2]), read(sys.argv[3]), float(open(sys.argv[4]).read())
bad = [x for x in a if x[1] != 200]
assert len(a) > 100 and not bad, f"{len(bad)} of {len(a)} requests of a failed: {bad[:5]}"
last = max([t for t, s in v if s == 200])
assert [s for t, s in v if t < published and s == 200], "v had no success before"
assert last < published + 5, f"v's calls went on for {last - published} s"
assert stream < published + 5, f"v's stream went on for {stream - published} s"
assert [s for t, s in v if t > last], "v has not tried since"
print(f"calls ended after {max(0, last - published):.2f} s, the stream after {stream - published:.2f} s")
PY

# It does not start again, also not with a new token: its key is out.
crash v
refused() {
    ! timeout 10 "$starling" agent --data "$1" --node v --port-base 7200 --listen 127.0.0.1:7200 --seed 127.0.0.1:7000 --token "$T/token" >"$T/said" 2>&1 &&
        grep -q "$2" "$T/said" || { cat "$T/said"; fail "the revoked host was not refused"; }
}
refused "$T/v/data" 'no member any more: its own key'

# Whoever starts with its keys and knows nothing of it is met by nobody: not by agents that were restarted and know of it from their store
# alone, nor by those that hear of a policy that drops the line.
set_policy 3
eventually 5 in_force 3 a b
for n in a b; do crash $n; done
"$starling" agent --data "$T/as-it-was" --node v --port-base 7200 --listen 127.0.0.1:7200 --seed 127.0.0.1:7000 >>"$T/thief.log" 2>&1 & thief=$!
pids="$pids $thief"
agent a 7000 --caller web=7085
eventually 10 grep -q 'version 3 .* is in force, as stored' "$T/a/log"
is a "members --revoked" '[(m["name"], m["id"], m["cut"]) for m in o]' "[('v', '$v_key', True)]" || fail "a has forgotten with its restart whom it cut"
lonely() { curl -s http://127.0.0.1:7001/metrics | awk '/^starling_bulk_(handshakes_failed|malformed)_total/ {n += $2} END {exit n < 3}'; }
eventually 15 lonely # it has tried
is a members 'len([m for m in o if m["name"] == "v" and m["state"] == "alive"])' 0 || fail "a took the revoked host back"
# It is told why, by those whom it believes, as it has proved to hold the key; and says so.
eventually 10 grep -q "member a (ed25519:[0-9a-f]*) refuses this host: its own key $v_key is revoked by an earlier policy" "$T/thief.log"
"$starling" status --data "$T/as-it-was" | grep -q "^warning  *member a (ed25519:[0-9a-f]*) refuses this host: its own key $v_key is revoked" || fail "its status does not say why it is alone"
end "$thief"
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b
eventually 5 good 7085

# Signing refuses to drop a line before its time, unless told why; and to revoke a key that is the root's matter.
sed 's/version: 2/version: 9/; /^revoke:/,$d' "$T/v2.yaml" >"$T/drop.yaml"
! "$starling" policy sign "$T/drop.yaml" --ca "$T/ca" --previous "$T/v2.yaml.bundle" -o "$T/drop.bundle" >"$T/said" 2>&1 || fail "a revocation was dropped"
grep -q "the revocation of $v_key (lost in a train) would be dropped" "$T/said" || { cat "$T/said"; fail "the dropped line is not named"; }
sed 's/2026-08-20/2020-08-20/; s/version: 2/version: 3/' "$T/v2.yaml" >"$T/old.yaml"
"$starling" policy sign "$T/old.yaml" --ca "$T/ca" --force --lower -o "$T/old.bundle" >/dev/null
"$starling" policy sign "$T/drop.yaml" --ca "$T/ca" --previous "$T/old.bundle" --force --lower -o "$T/drop.bundle" >/dev/null || fail "a line that has outlived its target cannot go"
"$starling" policy sign "$T/drop.yaml" --ca "$T/ca" --previous "$T/v2.yaml.bundle" --force --lower --drop-revocations 'a test' -o "$T/drop.bundle" >/dev/null 2>"$T/said"
grep -q "$v_key is revoked no longer (lost in a train): a test" "$T/said" || { cat "$T/said"; fail "the forced drop is not told"; }
"$starling" policy verify "$T/drop.bundle" --ca "$T/ca" --json | grep -q '"dropped": "a test"' || fail "the reason is not in the bundle"
policy_key=$("$starling" policy verify "$T/v2.yaml.bundle" --ca "$T/ca" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["signers"][0])')
version=9; policy 9 "$policy_key"
! "$starling" policy sign "$T/v9.yaml" --ca "$T/ca" --lower -o "$T/v9.bundle" >"$T/said" 2>&1 || fail "a policy key was revoked by policy"
grep -q 'rotated out of the root' "$T/said" || { cat "$T/said"; fail "it is not said how a policy key goes"; }

# A token's key: all hosts that were enrolled with it, and no other.
cp "$T/token" "$T/first"; cp "$T/other" "$T/token"
agent t-1 7300 --seed 127.0.0.1:7000 --service cart=9001
agent t-2 7400 --seed 127.0.0.1:7000
eventually 10 all_alive 4 a b t-1 t-2
is a members '[m["token"] for m in o if m["name"] == "t-1"][0]' "$token_key" || fail "whose token enrolled t-1 is not shown"
set_policy 4 "$token_key"
eventually 5 is a members 'sorted(m["name"] for m in o)' "['a', 'b']"
eventually 5 is b members 'sorted(m["name"] for m in o)' "['a', 'b']"
for n in t-1 t-2; do eventually 5 grep -q 'NO MEMBER ANY MORE: the key of its token' "$T/$n/log"; done
eventually 5 good 7085

# Afterwards: whom it cut, and what the policy revokes where nobody was cut for it, with the reason and the time that the policy gives.
is a "members --revoked" 'sorted((m["name"], m["cut"]) for m in o)' "[('', False), ('t-1', True), ('t-2', True), ('v', True)]" || { ask a members --revoked; fail "members --revoked"; }
cp "$T/first" "$T/token"
agent n 7500 --seed 127.0.0.1:7000
eventually 10 in_force 4 n
ask n members --revoked | grep -qx -- "- *2026-08-20T10:00:00Z *$token_key is revoked by policy version 4: lost in a train" || { ask n members --revoked; fail "what the policy revokes is not shown where nobody was cut for it"; }
is n "members --revoked" '[(m["id"], m["cut"], m["at"]) for m in o]' "[('$token_key', False, 1787220000)]"
