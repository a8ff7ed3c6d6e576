# A credential that ends while its agent runs: the agent and the others say so, its links are cut at once, it is no longer routed to nor
# served, and is soon no member. With a new token it is back.
. tests/e2e/lib.sh

mesh
http_app 9001 app
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, shop: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}, {name: back, from: [web], to: shop}]
P
cp "$T/token" "$T/long"
agent a 7000 --caller web=7085 --service shop=9001
eventually 10 all_alive 1 a
"$starling" token create --ca "$T/ca" --service '*' --node b --credential-life 20s -o "$T/short" >/dev/null
cp "$T/short" "$T/token"
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --caller web=7185
eventually 8 all_alive 2 a b
rm "$T/token" # or it would renew by itself
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
code() { curl -s -o /dev/null -w '%{http_code}' -H "Host: $2" "http://127.0.0.1:$1/"; }
code_is() { [ "$(code "$1" "$2")" = "$3" ]; }
eventually 3 code_is 7085 cart 200
eventually 3 code_is 7185 shop 200
warns() { is b status "any('credential $1' in w for w in o['warnings'])" True; }
eventually 20 warns 'expires in'
ask b status --json >"$T/b.json"
ends=$(sed -n 's/.*"credential_expires": \([0-9]*\).*/\1/p' "$T/b.json")
past() { [ "$(date +%s)" -ge "$1" ]; }
eventually $((20 * slower)) past "$ends"
echo "- it has ended: all of this within two seconds"
within 2 warns 'has expired'
within 2 grep -q 'the credential of member b has expired' "$T/a/log"
within 2 code_is 7085 cart 503
refused() { ! code_is 7185 shop 200; }
within 2 refused
for _ in 1 2 3 4 5 6 7 8; do refused || fail "a call of an expired host was served"; done
state_of_b() { is a members "[m['state'] for m in o if m['name']=='b']" "['$1']"; }
eventually 20 state_of_b dead
echo "- nobody learns of it any more: not who joins, nor who restarts and has its record in the store"
b_key=$(sed -n 's/.*"id": "\(ed25519:[0-9a-f]*\)".*/\1/p' "$T/b.json")
[ -n "$b_key" ] || fail "b has no key"
agent c 7200 --seed 127.0.0.1:7000 --token "$T/long" # b, whose token is to be at $T/token, would renew itself with it
two() { is "$1" members "sorted(m['name'] for m in o if m['state'] == 'alive')" "['a', 'c']"; }
eventually 10 two a
eventually 10 two c
is c members "[m['name'] for m in o if m['id'] == '$b_key']" '[]' || fail "who joined was told of an expired host"
crash a
agent a 7000 --caller web=7085 --service shop=9001 --seed 127.0.0.1:7200
eventually 10 two a
is a members "[m['name'] for m in o if m['id'] == '$b_key']" '[]' || fail "an expired host came out of the store"
echo "- with a new token it is back"
crash b
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --caller web=7185 --token "$T/long"
eventually 15 state_of_b alive
eventually 5 code_is 7085 cart 200
eventually 5 code_is 7185 shop 200
