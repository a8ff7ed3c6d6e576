#!/bin/bash
# A small mesh on loopback, explained as it goes: three agents, real applications, a signed policy. Ends non-zero if anything was not
# as it says, and cleans up after itself.
cd "$(dirname "$0")/.." || exit 1
: "${B:=build}"
# In namespaces of its own, where the system permits them: ports are free there. Else ports 17000 to 17999 of loopback are used.
if [ -z "${ALONE:-}" ]; then
    B=$B tests/alone.sh bash tests/demo.sh
    status=$?
    [ "$status" = 125 ] || exit "$status"
fi
. tests/e2e/lib.sh

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '   $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/     /'; }
must() { "$@" || fail "$*"; }

say "1. An operator makes a mesh, offline: root, policy and enrol keys, and a token for new hosts."
mesh demo.example
printf '     %s\n' "$(cd "$T/ca" && echo *)" "token: $(head -c 40 "$T/token")..."

say "2. Three hosts start an agent each, with the token and one seed. Each makes its own keys and signs its own credential; nobody is asked."
http_app 17901 "cart v1"
http_app 17902 "cart v2"
redis-server --port 17903 --bind 127.0.0.1 --save '' --daemonize no >"$T/redis.log" 2>&1 &
pids="$pids $!"
agent shop 17000 --caller web=17085 --upstream db=17090
agent left 17100 --seed 127.0.0.1:17000 --service cart=17901,version=1
agent right 17200 --seed 127.0.0.1:17000 --service cart=17902,version=2 --service db=17903/tcp
must eventually 15 all_alive 3 shop left right
show "$starling" members --data "$T/shop/data"

say "3. Without a policy nothing may talk to anything."
call() { curl -s -H 'Host: cart' "http://127.0.0.1:17085$1"; }
code() { curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' "http://127.0.0.1:17085$1"; }
[ "$(code /)" = 403 ] || fail "expected 403, got $(code /)"
echo "     web -> cart: 403"

say "4. The operator signs a policy, whose tests must pass first, and hands it to one agent. Gossip takes it to all."
cat >"$T/policy.yaml" <<'P'
policy: v1
mesh: demo.example
version: 1
services:
  cart:
    protocol: http
    subsets: {v1: {version: "1"}, v2: {version: "2"}}
    routes:
      - name: split
        to: [{subset: v1, weight: 75}, {subset: v2, weight: 25}]
  db: {protocol: tcp}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: no-admin, from: ["*"], to: cart, deny: [{paths: ["/admin/*"]}]}
  - {name: store, from: ["*"], to: db}
tests:
  - {from: web, to: cart, request: GET /items, expect: allow, subset: [v1, v2]}
  - {from: web, to: cart, request: GET /admin/users, expect: deny, rule: no-admin}
P
show "$starling" policy sign "$T/policy.yaml" --ca "$T/ca" -o "$T/policy.bundle"
show "$starling" policy publish "$T/policy.bundle" --data "$T/right/data"
must eventually 5 in_force 1 shop left right

say "5. HTTP through the mesh, to two versions under a weighted split."
must eventually 5 test "$(code /items)" = 200
for _ in $(seq 200); do call /items; done | cut -d' ' -f1,2 | sort | uniq -c >"$T/split"
sed 's/^/     /' "$T/split"
v1=$(awk '/v1/ {print $1}' "$T/split"); v2=$(awk '/v2/ {print $1}' "$T/split")
[ $((v1 + v2)) = 200 ] && [ "$v1" -gt 110 ] && [ "$v2" -gt 10 ] || fail "the split was $v1:$v2"
echo "     the application sees who asked: $(call /items)"

say "6. A denied call: the refusal names the rule and the policy's version, and 'why' explains it."
curl -s -i -H 'Host: cart' http://127.0.0.1:17085/admin/users | tr -d '\r' | grep -iE '^(HTTP|x-starling)' | sed 's/^/     /' | tee "$T/denied"
grep -q 403 "$T/denied" && grep -qi 'no-admin' "$T/denied" || fail "the refusal does not name its rule"
show "$starling" why web cart GET /admin/users --data "$T/shop/data"

say "7. A TCP service: redis, reached at a local port, carried encrypted to the host that runs it."
[ "$(redis-cli -p 17090 set greeting hello)" = OK ] || fail "redis set"
echo "     greeting = $(redis-cli -p 17090 get greeting)"
[ "$(redis-cli -p 17090 get greeting)" = hello ] || fail "redis get"

say "8. A policy change, published at another agent, obeyed by all: version 2 sends everybody to cart v2."
sed 's/^version: 1/version: 2/; s/weight: 75/weight: 0/; s/weight: 25/weight: 100/; s/subset: \[v1, v2\]/subset: [v2]/' "$T/policy.yaml" >"$T/policy2.yaml"
begin=$(date +%s%N)
publish left "$T/policy2.yaml"
must eventually 2 in_force 2 shop left right
echo "     in force at all three after $((($(date +%s%N) - begin) / 1000000)) ms, signing included"
for _ in $(seq 50); do call /items; done | grep -c '^cart v2' >"$T/count"
[ "$(cat "$T/count")" = 50 ] || fail "only $(cat "$T/count") of 50 went to v2"
echo "     50 of 50 requests went to v2"

say "9. The agent that serves v2 is killed. The others notice; its instances are gone."
crash right
begin=$(date +%s%N)
not_offered() { is shop services 'sum(s["node"]=="right" for s in o)' 0; }
must eventually 30 not_offered
echo "     noticed after $((($(date +%s%N) - begin) / 1000000)) ms"
show "$starling" members --data "$T/shop/data"
[ "$(code /items)" = 503 ] || fail "expected 503, got $(code /items)"
echo "     web -> cart: 503, $(call /items)"

say "10. It comes back with the same identity, without token or operator, and serves again."
agent right 17200 --service cart=17902,version=2 --service db=17903/tcp
serves() { [ "$(code /items)" = 200 ]; }
must eventually 20 serves
echo "     web -> cart: $(call /items)"

say "11. Everybody leaves in good order."
for n in right left shop; do "$starling" leave --data "$T/$n/data" | sed 's/^/     /'; done
say "The demo is over; everything it started has been stopped."
