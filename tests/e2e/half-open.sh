# A firewall lets UDP pass between two hosts and not TCP: both are alive to each other, and no request gets through. Each place where an operator
# looks says so, and says when it is over.
. tests/e2e/lib.sh
needs_namespaces

mesh
http_app 9001 app
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, patient: {protocol: http, timeouts: {connect: 25s, request: 40s, perTry: 0s}}}
intentions: [{name: a, from: [web], to: cart}, {name: b, from: [web], to: patient}]
P
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service patient=9001
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
eventually 5 all_healthy 2 a
# A busy machine may call b degraded.
warnings_are() { is a status '[w for w in o["warnings"] if "degraded" not in w]' "$1"; }
warnings_are '[]' || fail "a warning without a cause"

code() { curl -s -o /dev/null -w '%{http_code}' -m 12 -H 'Host: cart' http://127.0.0.1:7085/; }
fails() { [ "$(code)" = 503 ]; }
works() { [ "$(code)" = 200 ]; }
lost() { fails && is a members '[(m["name"], m["state"]) for m in o if "unreachable" in m]' "[('b', 'alive')]"; }
# All that an operator looks at says it at one time. (A busy machine may doubt b for a moment: then it is not lost, and must be found so again.)
said() {
    lost && is a status 'len([w for w in o["warnings"] if "unreachable for traffic" in w and "b (127.0.0.1:7100)" in w])' 1 &&
        prints 1 metric starling_members_unreachable && ask a members | grep -q '^b .*unreachable for traffic'
}
metric() { curl -s http://127.0.0.1:7001/metrics | sed -n "s/^$1 //p"; }

# A dial that the network swallows is no reason to refuse a request that still has time: another is made to the only instance there is.
wall() {
    nft -f - <<N
table inet wall {
    chain in {
        type filter hook input priority 0;
        tcp dport 7100 $1
    }
}
N
}
wall drop
curl -s -o /dev/null -w '%{http_code}' -m 40 -H 'Host: patient' http://127.0.0.1:7085/ >"$T/code" &
asking=$!
some_failed() { [ "$(metric starling_link_failures_total)" -ge 1 ]; }
eventually 15 some_failed
nft delete table inet wall
wait "$asking"
[ "$(cat "$T/code")" = 200 ] || fail "a dial was lost, and with it the request: $(cat "$T/code")"
crash b # which takes the link along
id=$(json a members '[m["incarnation"] for m in o if m["name"] == "b"]')
agent b 7100 --service cart=9001
back() { is a members '[m["state"] for m in o if m["name"] == "b"]' "['alive']" && ! is a members '[m["incarnation"] for m in o if m["name"] == "b"]' "$id"; }
eventually 30 back

for verdict in drop 'reject with tcp reset'; do
    wall "$verdict"
    eventually 30 lost
    eventually 10 said || { ask a members; ask a status; metric starling_members_unreachable; fail "somewhere it is not said"; }
    nft delete table inet wall
    eventually 15 works
    eventually 5 warnings_are '[]'
    eventually 1 prints 0 metric starling_members_unreachable || fail "the metric stays"
done
# Once, however often it was tried; the second time within ten minutes not at all.
[ "$(grep -c 'warn .*member b answers over UDP, but traffic does not reach it, for [0-9]*s: .*127.0.0.1:7100 are not answered.*TCP 7100' "$T/a/log")" = 1 ] || fail "the log does not say it once"
[ "$(grep -c 'traffic reaches b again' "$T/a/log")" = 1 ] || fail "the log does not say that it is over"
