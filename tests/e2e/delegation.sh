# Delegation: the root lets a team sign what holds for its own services. Its part comes into force beside the policy, at every agent; what is
# beyond its reach is not signed; the policy wins over it; and it falls with the root that delegated it.
. tests/e2e/lib.sh

quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
refused() { words=$1; shift; if "$@" >"$T/out" 2>&1; then cat "$T/out"; fail "not refused: $*"; fi; grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "wrong words: $*"; }; }
part_is() { want=$1; shift; for n in "$@"; do is "$n" status '" ".join("%s:%d:%s" % (p["name"], p["version"], p["in_force"]) for p in o["parts"])' "$want" || return 1; done; }
root_is() { e=$1; shift; for n in "$@"; do is "$n" status 'o["root"]["epoch"]' "$e" || return 1; done; }
code_is() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $2" http://127.0.0.1:7085/)" = "$1" ]; }

mesh
http_app 9001 app
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b
printf 'policy: v1\nmesh: shop.example\nversion: 1\nservices: {db: {protocol: tcp}}\n' >"$T/main1.yaml"
publish a "$T/main1.yaml"
eventually 5 in_force 1 a b
eventually 2 code_is 404 cart

mkdir "$T/team"
quiet "$starling" mesh key new --role policy -o "$T/team/policy.key"; cp "$T/out" "$T/team/pub"
quiet "$starling" mesh rotate --ca "$T/ca" --delegate cart-team='cart,cart-*' --add cart-team="$T/team/pub" -o "$T/root-2"
quiet ask b mesh publish "$T/root-2"
eventually 10 root_is 2 a b
cp "$T/root-2" "$T/ca/root.trust"; cp "$T/root-2" "$T/team/root.trust"

part() { printf 'policy: v1\nmesh: shop.example\npart: cart-team\nversion: %s\nservices: {cart: {protocol: http}}\n%s\n' "$1" "$2" >"$T/team/part.yaml"; }
sign() { "$starling" policy sign "$T/team/part.yaml" --ca "$T/team" --part cart-team --force -o "$T/team/part.bundle"; }
part 1 'intentions: [{name: front, from: [web], to: db}]'
refused 'db' sign
part 1 'defaults: {unmatched: audit}'
refused 'defaults' sign
part 1 'intentions: [{name: front, from: [web], to: cart}]'
refused 'another part than the bundle\|no part\|part' "$starling" policy sign "$T/team/part.yaml" --ca "$T/ca" -o "$T/x.bundle"
quiet sign
quiet "$starling" policy verify "$T/team/part.bundle" --root "$T/team/root.trust"
quiet ask a policy publish "$T/team/part.bundle"
grep -q '+ web -> cart .* allowed (rule cart-team/front)' "$T/out" || { cat "$T/out"; fail "does not show what the part changes"; }
eventually 10 part_is cart-team:1:True a b
eventually 5 code_is 200 cart
part 2 'intentions: [{name: front, from: [ops], to: cart}]'
quiet sign
ask b policy publish "$T/team/part.bundle" --json >"$T/out" || { cat "$T/out"; fail "part 2"; }
python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))["differences"]
names = lambda want: sorted(n for x in d if x["kind"] == "access" and x["service"] == "cart" and x["after"]["decision"] == want for n in x["callers"]["names"])
assert names("allow") == ["ops"] and names("deny") == ["web"], d' "$T/out" || fail "what part 2 changes"
eventually 10 part_is cart-team:2:True a b
eventually 5 code_is 403 cart
curl -s -o /dev/null -D - -H 'Host: cart' http://127.0.0.1:7085/ | grep -q 'x-starling-rule: unmatched' || fail "not denied by the part"

# One who joins later, and a restart alone.
agent c 7200 --seed 127.0.0.1:7100
eventually 10 part_is cart-team:2:True c
for n in a b c; do crash $n; done
agent a 7000 --caller web=7085
eventually 10 part_is cart-team:2:True a
code_is 403 cart || fail "the part was not in force at boot"
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b

# The policy takes the service for itself: the part is not in force, and alarms by name.
printf 'policy: v1\nmesh: shop.example\nversion: 2\nservices: {cart: {protocol: http}}\nintentions: [{name: main, from: [web], to: cart}]\n' >"$T/main2.yaml"
publish a "$T/main2.yaml"
eventually 5 in_force 2 a b
eventually 5 part_is cart-team:2:False a b
ask a status | grep -q 'the part cart-team of the policy is not in force' || fail "no alarm by name"
eventually 5 code_is 200 cart
printf 'policy: v1\nmesh: shop.example\nversion: 3\n' >"$T/main3.yaml"
publish a "$T/main3.yaml"
eventually 5 part_is cart-team:2:True a b
eventually 5 code_is 403 cart

# The delegation is taken back: the part falls everywhere at once.
quiet "$starling" mesh rotate --ca "$T/ca" --undelegate cart-team -o "$T/root-3"
quiet ask a mesh publish "$T/root-3"
eventually 10 root_is 3 a b
eventually 5 part_is '' a b
eventually 5 code_is 404 cart
refused 'delegates no part' ask a policy publish "$T/team/part.bundle"
