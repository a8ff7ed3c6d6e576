# A split by weights, held by a cookie or header: a user stays on one side whichever agent carries the request, moved weights move
# only those in between. Rewrites and edits reach the application, at its own agent and at the caller's; intentions are of the path as asked.
. tests/e2e/lib.sh

mesh
http_app 9001 v1
http_app 9002 v2
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001,version=1 --caller web=7185
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002,version=2
eventually 10 all_alive 3 a b c

policy() { # VERSION WEIGHT-OF-V1 WEIGHT-OF-V2
    cat >"$T/policy-$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
services:
  cart:
    protocol: http
    subsets: {v1: {version: "1"}, v2: {version: "2"}}
    routes:
      - name: cookies
        match: [{path: {prefix: /cookie}}]
        to: [{subset: v1, weight: $2}, {subset: v2, weight: $3}]
        sticky: {cookie: side}
      - name: rest
        to: [{subset: v1, weight: $2}, {subset: v2, weight: $3}]
        sticky: {header: X-User}
intentions:
  - {name: front, from: [web], to: cart}
P
    publish a "$T/policy-$1.yaml"
    eventually 5 in_force "$1" a b c
    eventually 5 all_healthy 2 a b
}

# sides PORT FILE: to which side each of 300 users goes, one request each over the agent's entry at PORT
sides() {
    for u in $(seq 300); do
        [ "$u" = 1 ] || printf 'next\nfail\n'
        printf 'url = "http://127.0.0.1:%s/u%s"\nheader = "Host: cart"\nheader = "X-User: user-%s"\n' "$1" "$u" "$u"
    done >"$T/curl.conf"
    curl -sf -K "$T/curl.conf" >"$2.raw" || fail "requests of $2"
    awk '{print $3, $1}' "$2.raw" | sort >"$2"
    [ "$(wc -l <"$2")" = 300 ] || fail "$(wc -l <"$2") answers"
}

policy 1 3 1
sides 7085 "$T/first"
sides 7085 "$T/again"
cmp -s "$T/first" "$T/again" || fail "a user changed sides"
sides 7185 "$T/elsewhere" # b has an instance of its own: that changes nothing
cmp -s "$T/first" "$T/elsewhere" || fail "another agent sends a user elsewhere"
v2=$(grep -c ' v2$' "$T/first") # 75 expected; six standard deviations are 45
[ "$v2" -ge 30 ] && [ "$v2" -le 120 ] || fail "$v2 of 300 on v2"

# `why` says to which side a user goes, and that is where the user went.
for u in 1 2 3 4 5 6 7 8; do
    said=$(ask a why web cart GET "/u$u" -H "X-User: user-$u" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["sticky"]["subset"])')
    grep -q "^/u$u $said$" "$T/first" || fail "why says $said of user $u: $(grep "^/u$u " "$T/first")"
done
ask a why web cart GET / -H "X-User: user-1" | grep -q '^sticky .*always v' || fail "why, in words"

# By cookie; and without one by the dice.
side=$(curl -sf -H 'Host: cart' -b 'x=1; side=left' http://127.0.0.1:7085/cookie | cut -d' ' -f1)
for i in 1 2 3 4 5 6; do
    [ "$(curl -sf -H 'Host: cart' -b 'side=left; y=2' http://127.0.0.1:7185/cookie | cut -d' ' -f1)" = "$side" ] || fail "a cookie's user changed sides"
done
curl -sf -H 'Host: cart' 'http://127.0.0.1:7085/cookie?[1-60]' | cut -d' ' -f1 | sort -u >"$T/thrown"
[ "$(wc -l <"$T/thrown")" = 2 ] || fail "without a cookie there is one side only: $(cat "$T/thrown")"

# 3:1 to 1:1: some go from v1 to v2, nobody the other way.
policy 2 1 1
sides 7085 "$T/moved"
paste -d' ' "$T/first" "$T/moved" >"$T/both"
[ "$(grep -c ' v1 .* v2$' "$T/both")" -ge 30 ] || fail "nobody moved"
! grep ' v2 .* v1$' "$T/both" || fail "somebody moved against the weights"

# Edits. The application answers with what it got. It is on d's host: local to the caller at 7385, another host's to the one at 7085.
http_app 9003 'env=$http_x_env debug=$http_x_debug own=$http_x_starling_rule'
agent d 7300 --seed 127.0.0.1:7000 --service shop=9003 --caller web=7385
eventually 10 all_alive 4 a b c d
cat >"$T/edits.yaml" <<'P'
policy: v1
mesh: shop.example
version: 3
services:
  shop:
    protocol: http
    routes:
      - name: new
        match: [{path: {prefix: /old}}]
        rewrite: {prefix: /new/shop}
        requestHeaders: {set: {x-env: prod}, remove: [X-Debug]}
        responseHeaders: {set: {x-served-by: shop}, remove: [server]}
      - name: rest
intentions:
  - {name: front, from: [web], to: shop, allow: [{paths: ["/old/*", /plain]}]}
  - {name: no-new, from: ["*"], to: shop, deny: [{paths: ["/new/*"]}]}
tests:
  - {from: web, to: shop, request: GET /old/7, expect: allow, route: new}
  - {from: web, to: shop, request: GET /new/shop/7, expect: deny, rule: no-new}
P
publish a "$T/edits.yaml"
eventually 5 in_force 3 a b c d
eventually 5 all_healthy 3 a d
for port in 7085 7385; do
    curl -si -H 'Host: shop' -H 'x-env: mine' -H 'x-env: twice' -H 'x-debug: 1' --path-as-is "http://127.0.0.1:$port/old//7/../8?q=/old" >"$T/edited"
    grep -q '^env=prod debug= own= GET /new/shop/8?q=/old caller=spiffe://shop.example/web' "$T/edited" || { cat "$T/edited"; fail "the request at $port"; }
    grep -qi '^x-served-by: shop' "$T/edited" && ! grep -qi '^server:' "$T/edited" || { cat "$T/edited"; fail "the answer at $port"; }
    curl -si -H 'Host: shop' -H 'x-env: mine' -H 'x-debug: 1' "http://127.0.0.1:$port/plain" >"$T/plain"
    grep -q '^env=mine debug=1 own= GET /plain ' "$T/plain" && grep -qi '^server:' "$T/plain" || { cat "$T/plain"; fail "a route that edits nothing"; }
    # What the mesh itself answers has no edits; and what a rewrite makes of a path opens nothing.
    curl -si -H 'Host: shop' "http://127.0.0.1:$port/new/shop/8" >"$T/denied"
    grep -q '^HTTP/1.1 403' "$T/denied" && ! grep -qi x-served-by "$T/denied" || { cat "$T/denied"; fail "an edited path as asked"; }
done
ask a why web shop GET '/old/9?x' -H 'x-debug: 1' >"$T/why"
grep -q '^rewrite    /new/shop, forwarded as /new/shop/9' "$T/why" && grep -q '^request    .*x-env' "$T/why" && grep -q '^response   .*x-served-by' "$T/why" || { cat "$T/why"; fail "why of edits"; }

# Not to be edited.
sed 's/x-env: prod/X-Starling-Caller: root/; s/version: 3/version: 4/' "$T/edits.yaml" >"$T/ours.yaml"
! "$starling" policy check "$T/ours.yaml" >"$T/out" 2>&1 && grep -q "headers that begin with x-starling are the mesh's own" "$T/out" || { cat "$T/out"; fail "x-starling-* may be set"; }
