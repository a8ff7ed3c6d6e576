# Break-glass: what the policy denies is opened to named callers for some hours by two signers, at every agent within seconds; a live
# stream that it let through ends with it; it is seen, counted and kept in the history; and nothing brings it back (B9, B12, B17).
. tests/e2e/lib.sh

quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
refused() { words=$1; shift; if "$@" >"$T/out" 2>&1; then cat "$T/out"; fail "not refused: $*"; fi; grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "wrong words: $*"; }; }
code_is() { [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: cart' "http://127.0.0.1:$1/admin/x")" = "$2" ]; }
phase_is() { want=$1; shift; for n in "$@"; do is "$n" status 'o["overlay"] and "%s:%d:%s" % (o["overlay"]["name"], o["overlay"]["version"], o["overlay"]["phase"])' "$want" || return 1; done; }
metric() { curl -s "http://127.0.0.1:$1/metrics" | sed -n "s/^$2 //p"; }
metric_is() { [ "$(metric "$1" "$2")" = "$3" ]; }
gone() { ! kill -0 "$1"; }

"$starling" mesh init --name shop.example --dir "$T/ca" --policy-keys 3 --policy-threshold 1 >/dev/null
"$starling" token create --ca "$T/ca" --service '*' --node '*' -o "$T/token" >/dev/null
for n in 1 2 3; do mkdir "$T/s$n"; mv "$T/ca/policy-$n.key" "$T/s$n/policy.key"; cp "$T/ca/root.trust" "$T/s$n"; done
cp "$T/s1/policy.key" "$T/ca"

http_app 9001 app
# Two that go on for ever: a TCP service that greets, and an answer without an end.
cat >"$T/streams.py" <<'PY'
import socket, threading, time
def serve(port, talk):
    s = socket.create_server(("127.0.0.1", port), backlog=8)
    while True:
        threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()
def greet(c):
    c.sendall(b"hello\n")
    c.recv(1)
def feed(c):
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        c.sendall(b"5\r\ntick\n\r\n")
        time.sleep(0.05)
threading.Thread(target=serve, args=(9002, greet), daemon=True).start()
serve(9003, feed)
PY
python3 "$T/streams.py" &
pids="$pids $!"
agent a 7000 --caller ops=7085 --caller "ops=uid:$(id -un)" --upstream db=127.0.0.1:7086 --caller web=7087
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9002/tcp --service feed=9003
eventually 10 all_alive 2 a b
cat >"$T/shop.yaml" <<'Y'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, db: {protocol: tcp}, feed: {protocol: http}}
intentions:
  - {name: front, from: [web], to: cart, allow: [{paths: ["/cart/*"]}]}
  - {name: no-admin, from: ["*"], to: cart, deny: [{paths: ["/admin/*"]}]}
Y
publish a "$T/shop.yaml"
eventually 5 in_force 1 a b
eventually 5 code_is 7085 403

# Written, checked and signed by two; one is not enough, and what would be no break-glass is no overlay.
overlay() { # VERSION SECONDS RULES...
    cat <<Y
overlay: v1
mesh: shop.example
name: incident-4711
version: $1
reason: payments are stuck
ends: $(date -u -d "+$2 seconds" +%Y-%m-%dT%H:%M:%SZ)
intentions: [$3]
Y
}
admin='{name: admin, from: [ops], to: cart, allow: [{paths: ["/admin/*"]}]}'
open="$admin, {name: data, from: [ops], to: db}, {name: feed, from: [ops], to: feed}"
overlay 1 3600 "$open" >"$T/night.yaml"
quiet "$starling" overlay check "$T/night.yaml" --policy "$T/shop.yaml"
overlay 1 90000 "$admin" >"$T/long.yaml"
refused 'ends at most 24 hours after it is signed' "$starling" overlay sign "$T/long.yaml" --ca "$T/s1" -o "$T/long.overlay"
overlay 1 3600 '{name: all, from: ["*"], to: cart}' >"$T/broad.yaml"
refused 'does not speak of everybody' "$starling" overlay sign "$T/broad.yaml" --ca "$T/s1" -o "$T/broad.overlay"
quiet "$starling" overlay sign "$T/night.yaml" --ca "$T/s1" --policy "$T/shop.yaml" -o "$T/night.overlay"
refused 'not signed by enough keys' ask a overlay publish "$T/night.overlay"
refused 'signed it already' "$starling" overlay sign "$T/night.overlay" --ca "$T/s1"
quiet "$starling" overlay sign "$T/night.overlay" --ca "$T/s2"
quiet "$starling" overlay verify "$T/night.overlay" --root "$T/ca/root.trust"
code_is 7085 403 || fail "let through before anything was published"

# Published at any agent: in force everywhere, for those it names only.
quiet ask b overlay publish "$T/night.overlay"
grep -q 'overlay incident-4711 is in force here until' "$T/out" || fail "the publisher was not told"
eventually 10 phase_is incident-4711:1:on a b
eventually 5 code_is 7085 200
code_is 7087 403 || fail "web was let through, too"
ask a why ops cart GET /admin/x | grep -q '^rule       overlay:incident-4711/admin  (incident-4711:7)' || { ask a why ops cart GET /admin/x; fail "why does not name it"; }
ask a status | grep -q '^overlay   incident-4711, version 1, in force until .*: payments are stuck' || { ask a status; fail "status is silent"; }
ask a status | grep -q '^warning   break-glass: overlay incident-4711 stands above the policy' || fail "no warning"
seen_everywhere() { ask a policy status | grep -q '^overlay incident-4711, version 1: in force at 2 of 2 members'; }
eventually 15 seen_everywhere
ask a members | grep -q 'break-glass: an overlay is in force' || { ask a members; fail "members is silent"; }
refused 'is held already' ask a overlay publish "$T/night.overlay"
eventually 5 metric_is 7001 starling_overlay_in_force 1
for n in a b; do grep -q 'warn  audit: break-glass: overlay incident-4711 (version 1: payments are stuck; signed by ed25519:.*) is in force' "$T/$n/log" || fail "no line in the log of $n"; done
eventually 1 grep -q 'audit: near ops -> cart by overlay: allow, rule overlay:incident-4711/admin, status 200' "$T/a/log" || fail "no audit of the request, near"
eventually 1 grep -q 'audit: far ops -> cart by overlay: allow' "$T/b/log" || fail "no audit of the request, far"
counted() { curl -s http://127.0.0.1:7001/metrics | grep -q 'starling_overlay_requests_total{service="cart",role="near",rule="overlay:incident-4711/admin",decision="allow"} [1-9]'; }
eventually 1 counted || fail "not counted"

# Who joins later has it, and so has who is started again alone.
agent c 7200 --seed 127.0.0.1:7100
eventually 10 phase_is incident-4711:1:on c
crash c
agent c 7200
eventually 10 phase_is incident-4711:1:on c
is c status 'o["overlay"]["in_force"]' True || fail "not in force after a restart"
crash c

# Live streams that it let through end with it, near and far; the policy decides again.
streams() {
    python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", 7086))
sys.stdout.write(s.recv(6).decode()); sys.stdout.flush()
while s.recv(1): pass' >"$T/tcp" 2>/dev/null &
    tcp=$!
    curl -sN -H 'Host: feed' http://127.0.0.1:7085/ >"$T/feed" 2>/dev/null &
    feed=$!
    eventually 5 grep -q hello "$T/tcp"
    eventually 5 grep -q tick "$T/feed"
}
streams
quiet ask b overlay show -o "$T/now.overlay"
quiet "$starling" overlay end "$T/now.overlay" --ca "$T/s3" --reason 'payments flow again' -o "$T/end.overlay"
refused 'not signed by enough keys' ask a overlay publish "$T/end.overlay"
quiet "$starling" overlay sign "$T/end.overlay" --ca "$T/s1"
kill -0 $tcp && kill -0 $feed || fail "the streams did not last until then"
quiet ask a overlay publish "$T/end.overlay"
eventually 10 phase_is incident-4711:2:ended a b
eventually 5 code_is 7085 403
eventually 5 gone $tcp
eventually 5 gone $feed
for n in a b; do grep -q 'break-glass is over: overlay incident-4711 .*: its operators have ended it' "$T/$n/log" || fail "no end in the log of $n"; done
eventually 1 grep -q 'audit: near ops -> feed by overlay: allow, rule overlay:incident-4711/feed, status 200, flag UAEX' "$T/a/log" || fail "no audit of the stream that was cut"
refused 'version 2 is held already' ask b overlay publish "$T/night.overlay"
ask a overlay history | sed 1d >"$T/history"
grep -q '^1 .* ended .*payments are stuck; ed25519:.*, ed25519:' "$T/history" || { cat "$T/history"; fail "history"; }

# The next one ends by itself, on time by each agent's own word and with nobody's help, also at one who was away and at one who is started again.
overlay 3 $((12 * slower)) "$open" >"$T/short.yaml"
ends=$(date -d "$(sed -n 's/^ends: //p' "$T/short.yaml")" +%s)
quiet "$starling" overlay sign "$T/short.yaml" --ca "$T/s1" -o "$T/short.overlay"
quiet "$starling" overlay sign "$T/short.overlay" --ca "$T/s3"
quiet ask a overlay publish "$T/short.overlay"
eventually 5 phase_is incident-4711:3:on a b
eventually 5 code_is 7085 200
streams
eventually $((12 * slower + 3)) phase_is incident-4711:3:expired a b
for n in a b; do
    at=$(date -d "$(sed -n 's/^\([^ ]*\) .*break-glass is over: overlay incident-4711 .*: its end has come.*/\1/p' "$T/$n/log")" +%s)
    [ "$at" -ge "$ends" ] && [ "$at" -le $((ends + 2 * slower)) ] || fail "over at $n $((at - ends)) s after its end"
done
code_is 7085 403 || fail "it is over, and ops is let through"
eventually 5 gone $tcp
eventually 5 gone $feed
refused 'has ended already\|is held already' ask a overlay publish "$T/short.overlay"
eventually 5 metric_is 7001 starling_overlay_in_force 0
for n in a b; do crash $n; done
agent a 7000 --caller ops=7085 --caller "ops=uid:$(id -un)" --upstream db=127.0.0.1:7086 --caller web=7087
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9002/tcp --service feed=9003
agent c 7200 --seed 127.0.0.1:7100
eventually 10 all_alive 3 a b c
eventually 10 phase_is incident-4711:3:expired a b c
code_is 7085 403 || fail "what had ended came back with a restart"
[ "$(ask a overlay history | sed 1d | awk '{print $1}' | tr '\n' ' ')" = '3 2 1 ' ] || { ask a overlay history; fail "history after a restart"; }

# A deny closes what the policy allows, and cuts what is open.
overlay 4 3600 '{name: stop, from: [web], to: cart, deny: [{}]}' >"$T/stop.yaml"
allowed() { [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7087/cart/1)" = "$1" ]; }
eventually 5 allowed 200
quiet "$starling" overlay sign "$T/stop.yaml" --ca "$T/s1" -o "$T/stop.overlay"
quiet "$starling" overlay sign "$T/stop.overlay" --ca "$T/s2"
quiet ask c overlay publish "$T/stop.overlay"
eventually 10 allowed 403

# A rotation that takes a signer away ends what he signed, at once and everywhere.
key=$("$starling" mesh key show "$T/s2/policy.key" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["key"])')
quiet "$starling" mesh rotate --ca "$T/ca" --remove policy="$key" -o "$T/root-2"
quiet ask a mesh publish "$T/root-2"
eventually 10 phase_is incident-4711:4:fell a b c
eventually 5 allowed 200
