# What the offline commands refuse says what is wrong, where, and what to do: as somebody in a hurry would meet it.
. tests/e2e/lib.sh
cd "$T"

s=$starling
# refused STATUS WORDS COMMAND...
refused() {
    status=$1 words=$2; shift 2
    "$@" >said 2>&1 </dev/null && got=0 || got=$?
    [ "$got" = "$status" ] || { cat said; fail "status $got and not $status: $*"; }
    grep -q -- "$words" said || { cat said; fail "'$words' is not said by: $*"; }
}
"$s" mesh init --name shop.example --dir ca --root-keys 2 --threshold 2 --policy-keys 2 --policy-threshold 2 >/dev/null
for n in 1 2; do mkdir signer$n; cp ca/root.trust signer$n; cp ca/root-$n.key signer$n/root.key; cp ca/policy-$n.key signer$n/policy.key; done
printf 'policy: v1\nmesh: shop.example\nversion: 1\nservices: {cart: {protocol: http}}\nintentions: [{name: in, from: [web], to: cart}]\n' >p.yaml
printf 'overlay: v1\nmesh: shop.example\nname: night\nversion: 1\nreason: stuck\nends: %s\nintentions: [{name: in, from: [ops], to: cart}]\n' \
    "$(date -u -d '+3600 seconds' +%Y-%m-%dT%H:%M:%SZ)" >night.yaml

echo "- the folder of the whole mesh, where one signer's belongs"
refused 1 'ca/root.key.*--ca is one signer.s folder, with a root.key in it: name another file by --key' "$s" mesh rotate --ca ca -o root-2
refused 1 'ca/policy.key.*name another file by --key' "$s" policy sign p.yaml --ca ca -o p.bundle
refused 1 'ca/policy.key.*name another file by --key' "$s" overlay sign night.yaml --ca ca -o night.overlay
refused 1 'signer1/enrol.key.*name another file by --key' "$s" token create --ca signer1 --service web --node web-1 -o t
refused 1 'nowhere/root.trust: No such file' "$s" mesh rotate --ca nowhere -o root-2

echo "- mesh"
refused 2 '--name: "Shop" is not a name' "$s" mesh init --name Shop --dir other
refused 2 'not a number from 1 to 3' "$s" mesh init --name other.example --dir other --root-keys 3 --threshold 4
refused 1 'a mesh has been made here' "$s" mesh init --name other.example --dir ca
refused 1 'not a root (root.trust, or what `mesh rotate` wrote)' "$s" mesh show ca/root-1.key
refused 1 'ed25519: and 64 hex digits' "$s" mesh rotate --ca signer1 --remove root=ed25519:00 -o root-2
refused 1 'would have 1 key and need 2 signatures; --add keys, or lower that by --threshold enrol=NUMBER' "$s" mesh rotate --ca signer1 --threshold enrol=2 -o root-2
refused 1 'a role is root, policy, enrol or the name of a part' "$s" mesh rotate --ca signer1 --add boss=ca/root.trust -o root-2
refused 1 'only the next one can follow' "$s" mesh sign ca/root.trust --ca signer2

echo "- tokens and requests"
refused 2 'no token enrols hosts for more than 400 days' "$s" token create --ca ca --service web --node 'web-*' --ttl 401d -o t
refused 2 'no credential lives for more than 400 days' "$s" token create --ca ca --service web --node 'web-*' --credential-life 401d -o t
refused 2 'nor the beginning of one and' "$s" token create --ca ca --service web --node 'w*b' -o t
[ ! -e t ] || fail "a refused command has made a token"
"$s" token create --ca ca --service web,cart --node 'web-*' -o t | grep -q -- '--seed HOST:PORT --service web=PORT --service cart=PORT$' || fail "the command to start with is not whole"
refused 1 'already and is not replaced; --force replaces it' "$s" token create --ca ca --service web --node web-1 -o t
refused 1 'is no request of `starling enrol request`' "$s" enrol sign t --ca ca -o c

echo "- policies and overlays: one for the other, no such part, another version"
for verb in "check p.yaml" "sign p.yaml --ca signer1 -o x"; do
    refused 1 'p.yaml:1:1: this is a policy, where an overlay belongs: `starling policy`' "$s" overlay $verb
    [ "$(grep -c ':1:1:' said)" = 1 ] || { cat said; fail "more is said than that"; }
done
for verb in "check night.yaml" "sign night.yaml --ca signer1 -o x"; do
    refused 1 'night.yaml:1:1: this is a break-glass overlay, where a policy belongs: `starling overlay`' "$s" policy $verb
    [ "$(grep -c '^night.yaml:' said)" = 1 ] || { cat said; fail "more is said than that"; }
done
printf 'tests:\n  - {from: web, to: cart, request: GET /, expect: allow}\n' >tests.yaml
refused 1 'tests.yaml:1:1: these are tests alone, where a policy belongs: `starling policy test POLICY --tests` takes them' "$s" policy test p.yaml tests.yaml
"$s" policy test p.yaml --tests tests.yaml >/dev/null || fail "tests of their own file"
refused 1 'the root of epoch 1 delegates no such part as `cart`, nor any other: `starling mesh rotate --delegate` does' "$s" policy sign p.yaml --ca signer1 --part cart -o x
refused 1 'say by -o FILE' "$s" policy sign p.yaml --ca signer1
"$s" policy sign p.yaml --ca signer1 -o p.bundle >/dev/null
refused 1 'signatures are missing' "$s" policy verify p.bundle --root ca/root.trust
refused 1 'has signed it already; a key counts once' "$s" policy sign p.bundle --ca signer1
refused 1 'what is given as the one before is not a bundle of this mesh: p.bundle: not signed by enough' "$s" policy rollback --from p.bundle --current p.bundle --ca signer2 -o x
refused 1 'no agent runs with the data folder.*name its folder with --data' "$s" policy publish p.bundle --data "$T/none"
[ ! -e x ] || fail "a refused command has signed"
