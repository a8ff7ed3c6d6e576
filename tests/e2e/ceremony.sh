# The ceremonies of docs/operations.md, as they are written there: three signers with a key each, policies by two of three, a rotation while
# agents run and traffic flows, one that was away for two rotations, a stolen policy key that ran ahead (B6), an expired root (B8), and all
# root keys lost (B15). No machine ever has two of the keys; what is carried between them is public.
. tests/e2e/lib.sh

alice=$T/alice bob=$T/bob carol=$T/carol usb=$T/usb
mkdir "$alice" "$bob" "$carol" "$usb"
quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
refused() { words=$1; shift; if "$@" >"$T/out" 2>&1; then cat "$T/out"; fail "not refused: $*"; fi; grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "wrong words: $*"; }; }
root_is() { e=$1; shift; for n in "$@"; do is "$n" status 'o["root"]["epoch"]' "$e" || return 1; done; }
policy_is() { p=$1; shift; for n in "$@"; do is "$n" status '"%d/%d" % (o["policy"]["epoch"], o["policy"]["version"])' "$p" || return 1; done; }
code_is() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7085/)" = "$1" ]; }
warns() { ask "$1" status | grep -q "^warning .*$2"; }

# -- a mesh with three root keys and three policy keys; each signer takes one of each, with a copy of root.trust
quiet "$starling" mesh init --name shop.example --dir "$T/ca" --root-keys 3 --threshold 2 --policy-keys 3 --policy-threshold 2
for who in alice:1 bob:2 carol:3; do
    d=$T/${who%:*}
    mv "$T/ca/root-${who#*:}.key" "$d/root.key"; mv "$T/ca/policy-${who#*:}.key" "$d/policy.key"; cp "$T/ca/root.trust" "$d/root.trust"
done
# Alice seals hers, and changes the passphrase later.
(umask 077; echo the first of them >"$T/pass1"; echo the second of them >"$T/pass2")
quiet "$starling" mesh key passphrase "$alice/policy.key" --new-passphrase-file "$T/pass1"
refused 'passphrase is wrong' "$starling" mesh key show "$alice/policy.key" --passphrase-file "$T/pass2"
quiet "$starling" mesh key passphrase "$alice/policy.key" --passphrase-file "$T/pass1" --new-passphrase-file "$T/pass2"
quiet "$starling" token create --ca "$T/ca" --service '*' --node '*' -o "$T/token"

http_app 9001 app
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
agent c 7200 --seed 127.0.0.1:7000
eventually 20 all_alive 3 a b c

# -- a policy by two of three, carried on a stick
policy() {
    printf 'policy: v1\nmesh: shop.example\nversion: %s\nservices: {cart: {protocol: http}}\nintentions:\n  - {name: front, from: [web], to: cart}\n' "$1" >"$alice/shop.yaml"
}
policy 1
quiet "$starling" policy sign "$alice/shop.yaml" --ca "$alice" --passphrase-file "$T/pass2" -o "$usb/shop.bundle"
refused 'not signed by enough' ask a policy publish "$usb/shop.bundle"
refused 'signatures are missing' "$starling" policy verify "$usb/shop.bundle" --root "$bob/root.trust"
quiet "$starling" policy sign "$usb/shop.bundle" --ca "$bob"
refused 'has all the signatures' "$starling" policy sign "$usb/shop.bundle" --ca "$carol"
quiet "$starling" policy verify "$usb/shop.bundle" --root "$carol/root.trust"
quiet ask b policy publish "$usb/shop.bundle"
eventually 10 policy_is 1/1 a b c
eventually 5 code_is 200
# A signer does not sign backwards, nor a second text of one version (B24).
printf '# another text\n' >>"$alice/shop.yaml"
refused 'another text was signed' "$starling" policy sign "$alice/shop.yaml" --ca "$alice" --passphrase-file "$T/pass2" -o "$usb/again.bundle"

# -- a rotation while agents run: carol's root key gives way to dave's
mkdir "$T/dave"; cp "$T/ca/root.trust" "$T/dave/"
quiet "$starling" mesh key new --role root -o "$T/dave/root.key"; cp "$T/out" "$usb/dave.pub"
carol_root=$("$starling" mesh key show "$carol/root.key")
cp "$alice/root.trust" "$usb/root-1"
quiet "$starling" mesh rotate --ca "$alice" --remove "root=$carol_root" --add "root=$usb/dave.pub" -o "$usb/root-2"
refused 'before it than' ask a mesh publish "$usb/root-2"
quiet "$starling" mesh sign "$usb/root-2" --ca "$T/dave"
refused 'signed it already' "$starling" mesh sign "$usb/root-2" --ca "$T/dave"
refused 'before it than' ask a mesh publish "$usb/root-2"
crash c # is away from here on
quiet "$starling" mesh sign "$usb/root-2" --ca "$bob"
"$starling" mesh show "$usb/root-2" --before "$usb/root-1" --json | python3 -c 'import json,sys; o=json.load(sys.stdin); assert o["complete"] and o["signatures"]["before"]["have"] == 2 and o["signatures"]["own"]["have"] == 3, o'
quiet ask a mesh publish "$usb/root-2"
eventually 10 root_is 2 a b
code_is 200 || fail "the rotation stopped the traffic"
for d in "$alice" "$bob" "$T/dave" "$T/ca"; do cp "$usb/root-2" "$d/root.trust"; done
# What the members say of themselves.
eventually 10 is a members '[m["root"] for m in o if m["name"] == "b"]' '[2]'

# -- a stolen policy key, twice: the thief signs the highest version there is; the next root takes the keys from him (B6)
policy 9223372036854775807
quiet "$starling" policy sign "$alice/shop.yaml" --ca "$alice" --passphrase-file "$T/pass2" -o "$T/thief.bundle"
quiet "$starling" policy sign "$T/thief.bundle" --ca "$bob"
quiet ask b policy publish "$T/thief.bundle"
eventually 10 policy_is 2/9223372036854775807 a b
refused 'is not above version 9223372036854775807 of epoch 2, which is in force here; sign it again under the root of that epoch' ask a policy publish "$usb/shop.bundle"
set --
for who in alice bob; do
    set -- "$@" --remove "policy=$("$starling" mesh key show "$T/$who/policy.key" --passphrase-file "$T/pass2")"
    rm "$T/$who/policy.key"
    quiet "$starling" mesh key new --role policy -o "$T/$who/policy.key"
    set -- "$@" --add "policy=$(cat "$T/out")"
done
quiet "$starling" mesh rotate --ca "$alice" "$@" -o "$usb/root-3"
quiet "$starling" mesh sign "$usb/root-3" --ca "$T/dave"
quiet ask b mesh publish "$usb/root-3"
eventually 10 root_is 3 a b
for d in "$alice" "$bob" "$T/dave" "$T/ca"; do cp "$usb/root-3" "$d/root.trust"; done
code_is 200 || fail "a policy that the new root does not vouch for must stay enforced"
eventually 5 warns a 'does not vouch'
ask a policy status --summary | grep -q '^ALARM: the root in force does not vouch for it' || { ask a policy status; fail "policy status is content with a policy that the root does not vouch for"; }
policy 1
rm -f "$alice/policy.signed" "$bob/policy.signed" # of the keys that are gone
quiet "$starling" policy sign "$alice/shop.yaml" --ca "$alice" -o "$usb/fresh.bundle"
quiet "$starling" policy sign "$usb/fresh.bundle" --ca "$bob"
quiet ask a policy publish "$usb/fresh.bundle"
eventually 10 policy_is 3/1 a b
if warns a 'does not vouch'; then fail "the warning stayed"; fi
refused 'by enough policy keys' ask a policy publish "$T/thief.bundle"

# -- who was away for both rotations walks them, one by one, and then takes the policy
agent c 7200
eventually 20 all_alive 3 a b c
eventually 10 root_is 3 c
eventually 10 policy_is 3/1 c
refused 'only the next one can follow' ask c mesh publish "$usb/root-2" # an old root, once more (B14)
# A host with a token of the first root does the same.
agent d 7300 --seed 127.0.0.1:7100
eventually 20 root_is 3 d
eventually 10 policy_is 3/1 d
is d status 'o["root"]["chain"]' 3 || fail "d does not hold the whole chain"
# After a restart alone c has it all from its own folder, root.trust included.
for n in a b c d; do crash $n; done
agent c 7200
eventually 10 root_is 3 c
eventually 5 policy_is 3/1 c
cmp -s "$T/c/data/root.trust" "$usb/root-3" || fail "root.trust was not brought up to date"
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 20 all_alive 3 a b c

# -- an expired root: nothing new is taken, nothing falls (B8), and the next root mends it
quiet "$starling" mesh rotate --ca "$alice" --expires 1s -o "$usb/root-4"
quiet "$starling" mesh sign "$usb/root-4" --ca "$bob"
quiet ask a mesh publish "$usb/root-4"
eventually 10 root_is 4 a b c
for d in "$alice" "$bob" "$T/dave" "$T/ca"; do cp "$usb/root-4" "$d/root.trust"; done
eventually 10 warns a 'has expired'
eventually 5 code_is 200
policy 2
quiet "$starling" policy sign "$alice/shop.yaml" --ca "$alice" --epoch 3 -o "$usb/two.bundle"
quiet "$starling" policy sign "$usb/two.bundle" --ca "$bob"
refused 'root of trust has expired' ask a policy publish "$usb/two.bundle"
refused 'until when' "$starling" mesh rotate --ca "$alice" -o "$usb/root-5"
quiet "$starling" mesh rotate --ca "$alice" --expires never -o "$usb/root-5"
quiet "$starling" mesh sign "$usb/root-5" --ca "$bob"
quiet ask c mesh publish "$usb/root-5"
eventually 10 root_is 5 a b c
for d in "$alice" "$bob" "$T/dave" "$T/ca"; do cp "$usb/root-5" "$d/root.trust"; done
quiet ask a policy publish "$usb/two.bundle"
eventually 10 policy_is 3/2 a b c

# -- all root keys are lost (B15): a root that nothing leads to is put on each host by hand; credentials and policy stay
set --
for who in alice bob dave; do set -- "$@" --remove "root=$("$starling" mesh key show "$T/$who/root.key")"; done
rm "$alice/root.key" "$bob/root.key" "$T/dave/root.key"
quiet "$starling" mesh key new --role root -o "$alice/root.key"
quiet "$starling" mesh rotate --ca "$alice" "$@" --add "root=$(cat "$T/out")" --threshold root=1 -o "$usb/root-6"
refused 'before it than' ask a mesh publish "$usb/root-6"
for n in a b c; do crash $n; cp "$usb/root-6" "$T/$n/data/root.trust"; done
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
agent c 7200 --seed 127.0.0.1:7000
eventually 20 all_alive 3 a b c
root_is 6 a b c || fail "the root put there by hand is not believed"
grep -q 'put there by hand' "$T/a/log" || fail "nothing is said of the root put there by hand"
policy_is 3/2 a b c || fail "the policy was lost with the root keys"
eventually 5 code_is 200
