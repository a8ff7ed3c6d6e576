# Enrol keys roll over with an overlap: the new one beside the old one, hosts renewed under it, the old one taken out; traffic goes on.
# Who did not renew falls and is back with a fresh token. Who was away for both rotations follows the roots one by one, from a token that
# brings them: while it runs, and at a start when its credential has long ended. No root is believed only because a token holds it.
. tests/e2e/lib.sh

quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
refused() { words=$1; shift; if "$@" >"$T/out" 2>&1; then cat "$T/out"; fail "not refused: $*"; fi; grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "wrong words: $*"; }; }
root_is() { e=$1; shift; for n in "$@"; do is "$n" status 'o["root"]["epoch"]' "$e" || return 1; done; }
code_is() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7085/)" = "$1" ]; }
token() { out=$1; shift; quiet "$starling" token create --ca "$T/ca" --service '*' --node '*' --force -o "$T/$out" "$@"; }
now_with() { cp "$T/$1" "$T/ca/root.trust"; }

mesh
http_app 9001 app
printf 'policy: v1\nmesh: shop.example\nversion: 1\nservices: {cart: {protocol: http}}\nintentions: [{name: front, from: [web], to: cart}]\n' >"$T/p.yaml"
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
agent c 7200 --seed 127.0.0.1:7000
agent d 7300 --seed 127.0.0.1:7000
eventually 10 all_alive 4 a b c d
cp "$T/token" "$T/token-1"
token token --credential-life 6s
agent e 7400 --seed 127.0.0.1:7000
eventually 10 all_alive 5 a b c d e
rm "$T/token" # or it would renew by itself
e_end=$(json e status 'o["credential_expires"]')
publish a "$T/p.yaml"
eventually 5 in_force 1 a b c d
eventually 5 code_is 200
crash c; crash e # away from here on
cp "$T/ca/root.trust" "$T/root-1"

# The new key beside the old one.
old=$("$starling" mesh key show "$T/ca/enrol.key")
mv "$T/ca/enrol.key" "$T/enrol-old.key"
quiet "$starling" mesh key new --role enrol -o "$T/ca/enrol.key"; cp "$T/out" "$T/enrol.pub"
quiet "$starling" mesh rotate --ca "$T/ca" --add enrol="$T/enrol.pub" -o "$T/root-2"
quiet ask b mesh publish "$T/root-2"
eventually 10 root_is 2 a b d
now_with root-2
token token-2
quiet ask a renew --token "$T/token-2"
quiet ask b renew --token "$T/token-2"
code_is 200 || fail "traffic stopped in the overlap"
eventually 5 all_alive 3 a b d
cp "$T/token-1" "$T/token"
agent f 7500 --seed 127.0.0.1:7300 # the only one whom a host under root 1 believes
eventually 10 root_is 2 f
eventually 10 all_alive 4 f
rm "$T/token"
crash f # and away for the next root
# The old one goes. Who stands on it still, falls; also where no link is up by which it could hear of it, as links that carry nothing end
# after half a minute: it is let in once more, to fetch the root that did it.
quiet "$starling" mesh rotate --ca "$T/ca" --remove enrol="$old" -o "$T/root-3"
[ -z "${ALONE:-}" ] || ss -KtnH 'sport = :7000 or sport = :7100 or sport = :7300' >/dev/null 2>&1 || true
quiet ask a mesh publish "$T/root-3"
eventually 10 root_is 3 a b d
now_with root-3
eventually 5 grep -q "NO MEMBER ANY MORE: no key of today's root of trust (epoch 3) vouches for it" "$T/d/log"
eventually 5 all_alive 2 a b
code_is 200 || fail "traffic stopped with the old key"
refused 'not by an enrol key of this mesh' "$starling" renew --data "$T/d/data" --token "$T/token-1"
# A token under root 3, for d, which has heard of that root: back without a restart.
token token-3
quiet ask d renew --token "$T/token-3"
eventually 20 all_alive 3 a b d

# f knows root 2, and so whom it asks: it is told, and by whom.
agent f 7500 --seed 127.0.0.1:7000
words="no key of today's root of trust (epoch 3) vouches for it; the last that did was of epoch 2: give it a token that brings the roots since (token create --roots)"
eventually 15 grep -qF "refuses this host: $words" "$T/f/log" || fail "who was away for a rotation is not told why nobody answers"
ask f status | grep -qF "$words" || fail "nor does its status say it"
crash f

# c trusts root 1, and its peers none of what it stands on. A token under root 3 alone does not lead there.
agent c 7200 --seed 127.0.0.1:7000
eventually 10 is c status 'o["root"]["epoch"]' 1
words="shows a credential that no key of this host's root of trust (epoch 1) vouches for"
eventually 15 grep -qF "$words: it is of another mesh, or the root was rotated while this host was away" "$T/c/log" || fail "who was away for a rotation does not say why nobody answers"
told() { ask c status | grep -F "$words" | grep -q 'give it a token that brings the roots since (token create --roots)'; }
eventually 15 told || { ask c status; fail "nor does its status say what to do"; }
is a "members --revoked" '[m["cut"] for m in o if m["name"] == "d"]' '[True]' || fail "whom a rotation cut is not named"
refused 'under the root of epoch 3, and this host trusts that of epoch 1: it needs the roots between' ask c renew --token "$T/token-3"
root_is 1 c || fail "a root that nothing leads to was believed"
# Nor does one that is made with a gap, or for another mesh.
refused 'do not lead to root.trust one by one' "$starling" token create --ca "$T/ca" --service '*' --node '*' --roots "$T/root-1" -o "$T/gap"
refused 'do not lead to root.trust one by one' "$starling" token create --ca "$T/ca" --service '*' --node '*' --roots "$T/root-2" --roots "$T/root-1" -o "$T/gap"
token token-walk --roots "$T/root-1" --roots "$T/root-2"
grep -q '^starling-token-2:' "$T/token-walk" || fail "the token brings no roots"
ask c renew --token "$T/token-walk" | grep -q 'is renewed' || fail "c did not renew"
root_is 3 c && is c status 'o["root"]["chain"]' 3 || fail "c has not kept the roots"
eventually 20 all_alive 4 a b c d

# e's credential has ended since; it starts again with the same token, and needs it no more afterwards.
past() { [ "$(date +%s)" -gt "$1" ]; }
eventually 10 past "$e_end"
refused 'its credential has expired\|credential has expired' timeout 10 "$starling" agent --data "$T/e/data" --node e --port-base 7400 --listen 127.0.0.1:7400 --seed 127.0.0.1:7000
agent e 7400 --seed 127.0.0.1:7000 --token "$T/token-walk"
eventually 20 all_alive 5 a b c d e
grep -q 'leads from the root of epoch 1 to that of epoch 3' "$T/e/log" || fail "e does not say that it has followed the roots"
for n in c e; do cmp -s "$T/$n/data/root.trust" "$T/root-3" || [ $n = c ] || fail "root.trust of $n is not the newest"; done
crash e; crash c
agent e 7400 --seed 127.0.0.1:7000
agent c 7200 --seed 127.0.0.1:7000
eventually 20 all_alive 5 a b c d e
root_is 3 c e && is e status 'o["root"]["chain"]' 3 || fail "the roots were lost with a restart"
cmp -s "$T/c/data/root.trust" "$T/root-3" || fail "root.trust of c is not the newest after a restart"
code_is 200 || fail "traffic stopped"
