# What docs/operations.md says to do about a lost host, a stolen token and a stolen enrol key, step by step, with agents that restart in
# between: what was revoked stays out when nobody remembers whom it was, however often it enrols anew, and the honest hosts stay in.
. tests/e2e/lib.sh

quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
token() { out=$1; shift; quiet "$starling" token create --ca "$T/ca" --service '*' --node '*' --force -o "$T/$out" "$@"; }
key_of_token() { "$starling" token create --ca "$T/ca" --service '*' --node '*' --force -o "$T/$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["key"])'; }
names() { eventually 10 is "$1" members 'sorted(m["name"] for m in o if m["state"] in ("alive", "degraded", "suspect"))' "$2"; }
knows_not() { is "$1" members "[m['name'] for m in o if m['id'] == '$2']" '[]'; }
refused_by_a() { curl -s http://127.0.0.1:7001/metrics | awk '/^starling_(bulk_(handshakes_failed|malformed)|udp_drop_credential)_total/ {n += $2} END {print n}'; }
tried_more_than() { [ "$(refused_by_a)" -gt "$1" ]; }
lines=
policy() { # VERSION: all lines so far
    printf 'policy: v1\nmesh: shop.example\nversion: %s\nservices: {cart: {protocol: http}}\nintentions: [{name: front, from: [web], to: cart}]\n' "$1" >"$T/v$1.yaml"
    [ -z "$lines" ] || printf 'revoke:\n%b' "$lines" >>"$T/v$1.yaml"
    publish a "$T/v$1.yaml"
}
revoke() { lines="$lines  - {key: \"$1\", reason: $2, at: 2026-08-20T10:00:00Z}\n"; }

quiet "$starling" mesh init --name shop.example --dir "$T/ca"
stolen_token=$(key_of_token stolen)
token good
cp "$T/good" "$T/token"
agent a 7000
agent laptop 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 2 a laptop
cp "$T/stolen" "$T/token"
agent b 7100 --seed 127.0.0.1:7000
agent c 7300 --seed 127.0.0.1:7000
eventually 10 all_alive 4 a b c laptop
rm "$T/token" # or they would renew with it by themselves
policy 1
eventually 5 in_force 1 a b c laptop

echo "- a lost host: revoked, forgotten, and followed by another under its name"
laptop_key=$(json laptop status 'o["id"]')
is a members "[m['id'] for m in o if m['name'] == 'laptop']" "['$laptop_key']" || fail "members does not show the key to revoke"
crash laptop # its disk is with the thief, who runs it later
mv "$T/laptop" "$T/thief"
revoke "$laptop_key" 'lost in a train'
policy 2
eventually 5 in_force 2 a b c
is a status 'o["revoked_keys"]' 1 || fail "status does not count the revoked key"
eventually 10 knows_not a "$laptop_key"
cp "$T/good" "$T/token"
agent laptop 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 4 a b c laptop
# Everybody restarts, and knows from the store alone that the key is out; there is no record of whom it was.
for n in a b c laptop; do crash $n; done
agent a 7000
eventually 10 grep -q 'version 2 .* is in force, as stored' "$T/a/log"
knows_not a "$laptop_key" || fail "the lost host came out of the store"
before=$(refused_by_a)
"$starling" agent --data "$T/thief/data" --node laptop --port-base 7400 --listen 127.0.0.1:7400 --seed 127.0.0.1:7000 >>"$T/thief/log" 2>&1 & thief=$!
pids="$pids $thief"; echo "$thief" >"$T/thief/pid"
eventually 15 tried_more_than "$before"
eventually 10 grep -q "refuses this host: its own key $laptop_key is revoked by policy version 2: lost in a train" "$T/thief/log"
knows_not a "$laptop_key" || fail "the lost host was taken back"
# A new token for the old key is of no use either: the thief's agent takes it, nobody takes the thief.
quiet ask thief renew --token "$T/good"
before=$(refused_by_a)
eventually 15 tried_more_than "$before"
knows_not a "$laptop_key" || fail "the lost host was taken back with another token"
crash thief
for n in b:7100 c:7300 laptop:7200; do agent ${n%:*} ${n#*:} --seed 127.0.0.1:7000; done
eventually 20 all_alive 4 a b c laptop

echo "- a stolen token: the honest hosts first get another, then it is revoked"
is a members "sorted(m['name'] for m in o if m.get('token') == '$stolen_token')" "['b', 'c']" || fail "members does not show who stands on the token"
token fresh
quiet ask b renew --token "$T/fresh"
eventually 10 is a members "sorted(m['name'] for m in o if m.get('token') == '$stolen_token')" "['c']"
cp "$T/stolen" "$T/token"
agent guest 7500 --seed 127.0.0.1:7000 # the thief's
eventually 10 all_alive 5 a b c laptop guest
revoke "$stolen_token" 'copied by a guest'
policy 3
eventually 5 in_force 3 a b
names a "['a', 'b', 'laptop']"
eventually 5 grep -q 'NO MEMBER ANY MORE: the key of its token' "$T/c/log" # forgotten, and honest: back without a restart
quiet ask c renew --token "$T/fresh"
names a "['a', 'b', 'c', 'laptop']"
names c "['a', 'b', 'c', 'laptop']"
# Whoever enrols with it from now on is no member, also after a restart of those who judge it.
for n in a b; do crash $n; done
agent a 7000
eventually 10 grep -q 'version 3 .* is in force, as stored' "$T/a/log"
before=$(refused_by_a)
agent other 7600 --seed 127.0.0.1:7000
eventually 15 tried_more_than "$before"
is a members "[m['name'] for m in o if m['name'] in ('guest', 'other')]" '[]' || fail "a revoked token enrols"
eventually 10 grep -q "refuses this host: the key of its token, or of who made it, $stolen_token is revoked" "$T/other/log"
crash other; crash guest
agent b 7100 --seed 127.0.0.1:7000
names a "['a', 'b', 'c', 'laptop']"

echo "- a stolen enrol key: another beside it, all renewed under that, then revoked and rotated out"
old=$("$starling" mesh key show "$T/ca/enrol.key")
mkdir "$T/new"
quiet "$starling" mesh key new --role enrol -o "$T/new/enrol.key"; cp "$T/out" "$T/new/pub"
quiet "$starling" mesh rotate --ca "$T/ca" --add enrol="$T/new/pub" -o "$T/root-2"
quiet ask a mesh publish "$T/root-2"
for d in ca new; do cp "$T/root-2" "$T/$d/root.trust"; done
epoch_is() { for n in a b c laptop; do is $n status 'o["root"]["epoch"]' "$1" || return 1; done; }
eventually 10 epoch_is 2
quiet "$starling" token create --ca "$T/new" --service '*' --node '*' -o "$T/mine"
for n in a b c laptop; do quiet ask $n renew --token "$T/mine"; done
eventually 10 all_alive 4 a b c laptop
revoke "$old" 'in other hands'
policy 4
eventually 10 in_force 4 a b c laptop
eventually 10 all_alive 4 a b c laptop || fail "a renewed host fell with the old enrol key"
before=$(refused_by_a)
cp "$T/good" "$T/token"
agent late 7700 --seed 127.0.0.1:7000
eventually 15 tried_more_than "$before"
is a members "[m['name'] for m in o if m['name'] == 'late']" '[]' || fail "a token of the revoked enrol key enrols"
crash late
quiet "$starling" mesh rotate --ca "$T/ca" --remove enrol="$old" -o "$T/root-3"
quiet ask b mesh publish "$T/root-3"
eventually 10 epoch_is 3
eventually 10 all_alive 4 a b c laptop || fail "the rotation cost a member"
