# Three agents, two versions of a web application and a redis: 10,000 HTTP requests without an error, split by weight; TCP through a
# named port; a denied call with its rule named; what `why`, `services` and `members` say of it.
. tests/e2e/lib.sh

mesh
http_app 9001 v1
http_app 9002 v2
redis-server --port 9003 --bind 127.0.0.1 --save '' --daemonize no >"$T/redis.log" 2>&1 &
pids="$pids $!"
eventually 5 redis-cli -p 9003 ping
agent a 7000 --caller web=7085 --upstream db=7090 --upstream cart=7091
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001,version=1
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002,version=2 --service db=9003/tcp
eventually 10 all_alive 3 a b c

cat >"$T/policy.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services:
  cart:
    protocol: http
    subsets: {v1: {version: "1"}, v2: {version: "2"}}
    routes:
      - name: beta
        match: [{headers: {x-beta: {exact: "1"}}}]
        to: [{subset: v2}]
      - name: orders
        match: [{path: {regex: '/users/[0-9]+/orders(/.*)?'}, query: {beta: {regex: '(?i:yes|on)'}}}]
        to: [{subset: v2}]
      - name: rest
        to: [{subset: v1, weight: 80}, {subset: v2, weight: 20}]
  db: {protocol: tcp}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: no-admin, from: ["*"], to: cart, deny: [{paths: ["/admin/*"]}]}
  - {name: store, from: ["*"], to: db}
P
publish b "$T/policy.yaml"
eventually 5 in_force 1 a b c
eventually 5 all_healthy 3 a b c

# Weighted split, 10,000 requests, none failed.
curl -s --no-progress-meter -Z --parallel-max 32 -H 'Host: cart' -w '%{http_code}\n' -o "$T/body-#1" "http://127.0.0.1:7085/[1-10000]" >"$T/codes" 2>"$T/curl.log"
[ "$(sort "$T/codes" | uniq -c | awk '{print $1, $2}')" = "10000 200" ] || fail "status codes: $(sort "$T/codes" | uniq -c)"
v1=$(cat "$T"/body-* | grep -c '^v1 '); v2=$(cat "$T"/body-* | grep -c '^v2 ')
[ $((v1 + v2)) = 10000 ] || fail "$v1 + $v2 answers"
# 80:20 of 10,000: six standard deviations are 240.
[ "$v1" -gt 7760 ] && [ "$v1" -lt 8240 ] || fail "the split was $v1:$v2"
rm -f "$T"/body-*

# A route by header; the far application sees who asked.
curl -sf -H 'Host: cart' -H 'x-beta: 1' http://127.0.0.1:7085/x | grep -q '^v2 GET /x caller=.*web' || fail "beta route"
# A route by patterns, in the path as it is forwarded and the query as it is decoded; what does not fit as a whole goes on.
ask a why web cart GET '/users/7/orders/2?beta=%79es' --json | python3 -c '
import json,sys
o=json.load(sys.stdin)
assert o["route"]=="orders" and "orders(/.*)?" in o["match"] and o["said"]["route"]=="policy:12", o'
for i in 1 2 3 4 5 6 7 8; do
    curl -sf -H 'Host: cart' "http://127.0.0.1:7085/users//7/./orders/$i?x=1&beta=YES" | grep -q "^v2 GET /users/7/orders/$i" || fail "a route by pattern"
done
ask a why web cart GET '/users/7/orders/2?beta=yesterday' --json | grep -q '"route": "rest"' || fail "a pattern that fits a part only"
# The same as a plain HTTP proxy.
curl -sf -x http://127.0.0.1:7085 http://cart/y | grep -q 'GET /y' || fail "http_proxy"
# A named port for an HTTP service; its caller is unknown, so nothing allows it.
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7091/)" = 403 ] || fail "an unknown caller must be denied"

# A denied call names its rule and the policy's version.
curl -s -i -H 'Host: cart' http://127.0.0.1:7085/admin/x >"$T/denied"
grep -q '^HTTP/1.1 403' "$T/denied" && grep -qi '^x-starling-rule: no-admin' "$T/denied" && grep -qi '^x-starling-policy: 1' "$T/denied" || { cat "$T/denied"; fail "denied call"; }
ask a why web cart GET /admin/x --json | python3 -c 'import json,sys; o=json.load(sys.stdin); assert (o["decision"],o["rule"],o["policy"]["version"])==("deny","no-admin",1), o'
ask a why web cart GET /x --json | python3 -c 'import json,sys; o=json.load(sys.stdin); assert o["decision"]=="allow" and o["route"]=="rest" and len(o["endpoints"])==2, o'
# A host nobody knows.
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: nobody' http://127.0.0.1:7085/)" = 404 ] || fail "unknown service"

# TCP: redis through the mesh.
[ "$(redis-cli -p 7090 set k v)" = OK ] && [ "$(redis-cli -p 7090 get k)" = v ] || fail "redis"
redis-benchmark -p 7090 -n 2000 -c 8 -t set,get -q >"$T/bench.log" || fail "redis-benchmark"

# What the commands say, with the fields that scripts rely on; when nobody is doubted any more, as all were busy.
members_told() { is a members 'sorted(m["name"] for m in o)==["a","b","c"] and all(set("id name address state incarnation labels".split())<=set(m) and m["state"]=="alive" for m in o)' True; }
services_told() { is a services 'sorted((s["service"],s["node"]) for s in o)==[("cart","b"),("cart","c"),("db","c")] and all(set("service node address port state labels".split())<=set(s) and s["state"]=="healthy" for s in o)' True; }
eventually 60 members_told || { ask a members --json; fail "members"; }
eventually 60 services_told || { ask a services --json; fail "services"; }
is a status 'set("mesh node id version policy members".split())<=set(o) and (o["mesh"], o["node"])==("shop.example", "a")' True || fail "status"
is a status 'o["policy"]["version"]==1 and len(o["policy"]["hash"])==64' True || fail "status of the policy"
eventually 60 is a status 'o["members"]' "{'alive': 3, 'degraded': 0, 'suspect': 0, 'dead': 0, 'left': 0}" || { ask a status --json; fail "status of the members"; }
for c in status members services "policy show"; do ask a $c >/dev/null || fail "$c"; done

# The read-only port.
curl -sf http://127.0.0.1:7001/metrics >"$T/metrics"
grep -q '^starling_members{state="alive"} 3$' "$T/metrics" || fail "metrics: members"
grep -q '^starling_requests_total{.*service="cart".*} ' "$T/metrics" || fail "metrics: requests"
[ "$(curl -s http://127.0.0.1:7001/healthz)" = healthy ] && [ "$(curl -s http://127.0.0.1:7001/readyz)" = ready ] || fail "health"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' http://127.0.0.1:7001/metrics)" = 403 ] || fail "foreign Host"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Origin: http://x' http://127.0.0.1:7001/metrics)" = 403 ] || fail "foreign Origin"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:7001/metrics)" = 405 ] || fail "POST"
