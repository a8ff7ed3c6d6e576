# A host without a token: it prints a request, somebody with the enrol key signs it elsewhere, and it joins with what comes back. Keys never
# leave the host; what the signer does not allow is not signed; a credential for another host's keys is of no use.
. tests/e2e/lib.sh
cd "$T"

refuses() {
    words=$1; shift
    ! "$@" >said 2>&1 </dev/null || fail "$* was not refused"
    grep -q -- "$words" said || { cat said >&2; fail "$* did not say: $words"; }
}
mesh
mkdir -p "$T/h" "$T/any"
agent a 7000
eventually 10 all_alive 1 a
"$starling" enrol request --data "$T/h/data" --node h --service web,cart --label rack=7 -o h.request >out
key=$(grep -o 'ed25519:[0-9a-f]*' out)
grep -q -- '--seed HOST:PORT --service web=PORT --service cart=PORT$' out || { cat out; fail "the command to start with is not whole"; }
[ "$(stat -c %a "$T/h/data/identity.key.asked")" = 600 ] || fail "the host's key can be read by others"
"$starling" enrol request --data "$T/h/data" --node h --service web,cart --label rack=7 -o again.request | grep -q "$key" || fail "asked again, it has other keys"
! grep -qF "$(cut -d' ' -f3 "$T/h/data/identity.key.asked")" h.request || fail "the request holds the private key"

# The signer sees what is asked for, and keeps to what he was told.
"$starling" enrol sign h.request --ca ca --show >out
grep -q "$key" out && grep -q 'services  cart web' out && grep -q 'labels    rack=7' out || { cat out; fail "what would be signed is not shown"; }
[ ! -e h.credential ] || fail "--show has signed"
refuses 'which --node does not allow' "$starling" enrol sign h.request --ca ca --node 'web-*' -o h.credential
refuses 'asks for the service cart' "$starling" enrol sign h.request --ca ca --service web -o h.credential
refuses 'not of the one expected' "$starling" enrol sign h.request --ca ca --expect "ed25519:$(printf '%064d' 0)" -o h.credential
refuses 'asks for another value' "$starling" enrol sign h.request --ca ca --label rack=8 -o h.credential
refuses '400 days' "$starling" enrol sign h.request --ca ca --life 401d -o h.credential
head -c 200 h.request >cut.request
refuses 'is no request' "$starling" enrol sign cut.request --ca ca -o h.credential
"$starling" enrol request --data "$T/any/data" --node any --service '*' -o any.request >/dev/null
refuses 'allow it by --service \*' "$starling" enrol sign any.request --ca ca -o h.credential
[ ! -e h.credential ] || fail "a refused command has signed"
"$starling" enrol sign h.request --ca ca --expect "$key" --label zone=eu-1a --life 2h -o h.credential >/dev/null
"$starling" enrol sign any.request --ca ca --service '*' -o any.credential >/dev/null

start_h() { timeout 10 "$starling" agent --data "$T/h/data" --port-base 7100 --listen 127.0.0.1:7100 --seed 127.0.0.1:7000 "$@"; }
refuses 'other keys' start_h --node any --credential any.credential
refuses 'start once with --token FILE' start_h --node h
refuses "name differs" start_h --node i --credential h.credential
cat >h.yaml <<Y
node: h
labels: {rack: "7"}
credential: $T/h.credential
Y
"$starling" agent --config h.yaml --data "$T/h/data" --port-base 7100 --listen 127.0.0.1:7100 --seed 127.0.0.1:7000 >>"$T/h/log" 2>&1 &
pid=$!; pids="$pids $pid"; echo "$pid" >"$T/h/pid"
eventually 10 all_alive 2 a h
is a members '[m["labels"] for m in o if m["name"] == "h"][0]' "{'rack': '7', 'zone': 'eu-1a'}" || fail "other labels"
is a members '[m["id"] for m in o if m["name"] == "h"][0]' "$key" || fail "another key"
[ ! -e "$T/h/data/identity.key.asked" ] || fail "the keys asked with lie about"

# A credential signed for the running host, by the same way: no restart.
"$starling" enrol request --data "$T/h/data" --node h --service web,cart,db --label rack=7 -o more.request | grep -q "$key" || fail "the host's own keys are not used"
"$starling" enrol sign more.request --ca ca --life 300h -o more.credential >/dev/null
refuses 'other keys' ask h renew --credential "$T/any.credential"
ask h renew --credential "$T/more.credential" | grep -q 'is renewed' || fail "the credential was not taken"
eventually 5 is a members '[m["credential_expires"] for m in o if m["name"] == "h"][0] - __import__("time").time() > 900000' True
