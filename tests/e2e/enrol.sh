# From nothing to members: a mesh is made offline, tokens are given out, hosts enrol within their limits, and everybody else is kept out.
. "$(dirname "$0")/lib.sh"
cd "$T"

# refuses STATUS WORDS COMMAND...: the command ends with this status and says these words
refuses() {
    wanted=$1 words=$2; shift 2
    status=0
    "$@" >"$T/said" 2>&1 </dev/null || status=$?
    [ "$status" = "$wanted" ] || { cat "$T/said" >&2; fail "$* ended with $status, not $wanted"; }
    grep -q -- "$words" "$T/said" || { cat "$T/said" >&2; fail "$* did not say: $words"; }
}
mode_is() { [ "$(stat -c %a "$2")" = "$1" ] || fail "$2 has mode $(stat -c %a "$2")"; }

# Usage.
refuses 2 'did you mean token' "$starling" tokne
refuses 2 'did you mean --name' "$starling" mesh init --nmae shop.example --dir ca
refuses 2 '--dir DIR is missing' "$starling" mesh init --name shop.example
refuses 2 'is not a name' "$starling" mesh init --name Shop.Example --dir ca
refuses 2 'is not a length of time' "$starling" token create --ca ca --service a --node a --ttl soon -o t
refuses 2 'name no others' "$starling" token create --ca ca --service 'a,*' --node a -o t
refuses 2 'is not a node name' "$starling" token create --ca ca --service a --node 'a*b' -o t
refuses 2 'given twice' "$starling" token create --ca ca --ca ca --service a --node a -o t
refuses 0 'usage: starling token create' "$starling" token create --help
[ ! -e ca ] || fail "a refused command made ca"

# A mesh: private keys are ours alone, the root of trust is public, nothing is replaced unless asked for.
"$starling" mesh init --name shop.example --dir ca >out
grep -q 'starling token create --ca ca' out || fail "mesh init says no next step"
mode_is 700 ca
for f in root.key policy.key enrol.key; do mode_is 600 "ca/$f"; done
mode_is 644 ca/root.trust
before=$(sha256sum ca/*)
refuses 1 'a mesh has been made here' "$starling" mesh init --name other.example --dir ca
[ "$before" = "$(sha256sum ca/*)" ] || fail "a refused mesh init changed something"
grep -q "$(sha256sum <ca/root.trust | cut -d' ' -f1)" out || fail "mesh init prints another fingerprint"

# Tokens.
"$starling" token create --ca ca --service web,cart --node 'web-*' --label zone=eu-1a -o web.token >/dev/null
mode_is 600 web.token
grep -qE '^starling-token-1:[A-Za-z0-9+/]+=*$' web.token || fail "not a token: $(cat web.token)"
refuses 1 '--force replaces it' "$starling" token create --ca ca --service web --node 'web-*' -o web.token
chmod 640 ca/enrol.key
refuses 1 'read or written by others' "$starling" token create --ca ca --service web --node 'web-*' -o no.token
chmod 600 ca/enrol.key
refuses 1 'another kind than "enrol"' "$starling" token create --ca ca --key ca/policy.key --service web --node 'web-*' -o no.token
"$starling" mesh init --name bank.example --dir bank >/dev/null
refuses 1 'not one of the mesh' "$starling" token create --ca ca --key bank/enrol.key --service web --node 'web-*' -o no.token
[ ! -e no.token ] || fail "a refused command made a token"

# Sealed keys.
printf 'correct horse\n' >pass; chmod 600 pass
"$starling" mesh init --name safe.example --dir safe --passphrase-file pass --json >out
python3 -c 'import json; o=json.load(open("out")); assert o["sealed"] and o["mesh"] == "safe.example"'
grep -q 'enrol-sealed ' safe/enrol.key || fail "the key is not sealed"
"$starling" token create --ca safe --passphrase-file pass --service web --node 'web-*' -o safe.token >/dev/null
STARLING_PASSPHRASE='correct horse' "$starling" token create --ca safe --service web --node 'web-*' -o safe2.token >/dev/null
refuses 1 'passphrase is wrong' env STARLING_PASSPHRASE=battery "$starling" token create --ca safe --service web --node 'web-*' -o no.token
# What comes to nothing leaves no folder behind, and what anybody would guess seals nothing.
printf 'x\n' >short; chmod 600 short
refuses 1 'no terminal' env -u STARLING_PASSPHRASE setsid -w "$starling" mesh init --name none.example --dir none --passphrase
refuses 1 'fewer than 12 bytes' "$starling" mesh init --name none.example --dir none --passphrase-file short
refuses 1 'fewer than 12 bytes' env STARLING_PASSPHRASE=battery "$starling" mesh init --name none.example --dir none --passphrase
[ ! -e none ] || fail "mesh init failed and left a folder behind"
refuses 1 'fewer than 12 bytes' "$starling" mesh key passphrase safe/enrol.key --passphrase-file pass --new-passphrase-file short
mkdir none; refuses 1 'fewer than 12 bytes' "$starling" mesh init --name none.example --dir none --passphrase-file short
[ -d none ] || fail "mesh init removed a folder that it did not make"
refuses 1 'no terminal' setsid -w "$starling" token create --ca safe --service web --node 'web-*' -o no.token
# Key files that are not as they were made: what is wrong, with which file, and nothing is made.
damaged() { # WORDS FILE: as enrol.key
    chmod 600 "$2"
    refuses 1 "$1" env STARLING_PASSPHRASE='correct horse' "$starling" token create --ca safe --key "$2" --service web --node 'web-*' -o no.token
    grep -q "$2" "$T/said" || { cat "$T/said"; fail "the file is not named"; }
    [ ! -e no.token ] || fail "a damaged key made a token"
}
"$starling" mesh init --name open.example --dir open >/dev/null
for sealed in safe open; do
    head -c 40 "$sealed/enrol.key" >bad.key; damaged 'not a key file' bad.key
    { cat "$sealed/enrol.key"; echo more; } >bad.key; damaged 'not a key file' bad.key
    sed 's/starling-key-1/starling-key-9/' "$sealed/enrol.key" >bad.key; damaged 'not a key file' bad.key
    tr -d '\n' <"$sealed/enrol.key" >bad.key; damaged 'not a key file' bad.key
done
: >bad.key; damaged 'not a key file' bad.key
head -c 200 /dev/zero >bad.key; damaged 'not a key file' bad.key
head -c 100000 /dev/zero >bad.key; damaged 'more than the 256 allowed' bad.key
# In a sealed file a damage cannot be told from a wrong passphrase, and is not called one.
sed -E 's/^(.{60})[^A]/\1A/; t
s/^(.{60})A/\1B/' safe/enrol.key >bad.key; damaged 'passphrase is wrong, or the file is damaged' bad.key
ln -sf safe/enrol.key link.key
refuses 1 'link.key is a symbolic link' "$starling" token create --ca safe --key link.key --service web --node 'web-*' -o no.token
for mode in 644 660 604; do
    cp safe/enrol.key bad.key; chmod "$mode" bad.key
    refuses 1 'bad.key.*chmod 600\|bad.key.*read or written by others' "$starling" token create --ca safe --key bad.key --service web --node 'web-*' -o no.token
done
# At a terminal it is asked for, and not shown.
python3 - "$starling" <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "token", "create", "--ca", "safe", "--service", "web", "--node", "web-*", "-o", "asked.token"])
seen = b""
while b"passphrase: " not in seen:
    seen += os.read(fd, 1000)
os.write(fd, b"correct horse\n")
try:
    while True:
        piece = os.read(fd, 1000)
        if not piece:
            break
        seen += piece
except OSError:
    pass
_, status = os.waitpid(pid, 0)
assert status == 0, (status, seen)
assert b"correct horse" not in seen, seen
PY
[ -s asked.token ] || fail "no token was made at the terminal"

# Hosts. The first start makes keys that are the host's alone, and a credential; no one is asked.
cp web.token token
agent web-1 7400
eventually 10 is web-1 status 'o["members"]["alive"]' 1
for f in identity.key noise.key; do mode_is 600 "$T/web-1/data/$f"; done
agent web-2 7500 --seed 127.0.0.1:7400
eventually 10 all_alive 2 web-1 web-2
is web-1 status 'o["mesh"]' shop.example || fail "another mesh"
is web-1 members '[m["labels"].get("zone") for m in o if m["name"] == "web-2"][0]' eu-1a || fail "the token's label is missing"

# The token's limits hold: another name, another service, another mesh, a token that has ended, a damaged one.
refused_agent() {
    words=$1; shift
    refuses 1 "$words" timeout 10 "$starling" agent --data "$T/refused" --listen 127.0.0.1:7600 --port-base 7600 --seed 127.0.0.1:7400 "$@"
    rm -rf "$T/refused"
}
refused_agent 'node' --node db-1 --token web.token
refused_agent 'is to offer service "payments", which the token in web.token does not allow' --node web-3 --token web.token --service payments=127.0.0.1:9999
[ "$(wc -l <said)" = 1 ] || { cat said; fail 'a first start that is refused says more than why'; }
"$starling" token create --ca ca --service web --node 'web-*' --ttl 1s -o short.token >/dev/null
past() { [ "$(date +%s)" -gt "$1" ]; }
eventually 5 past $(($(date +%s) + 1))
refused_agent 'expired' --node web-3 --token short.token
head -c 300 web.token >cut.token; chmod 600 cut.token
refused_agent 'token' --node web-3 --token cut.token
chmod 644 web.token
refused_agent 'chmod 600' --node web-3 --token web.token
chmod 600 web.token

# A host of another mesh with the same names talks to nobody here.
"$starling" token create --ca bank --service '*' --node '*' -o token --force >/dev/null
agent web-9 7700 --seed 127.0.0.1:7400
eventually 10 is web-9 status 'o["members"]["alive"]' 1
eventually 20 grep -q '127.0.0.1:7400 refused: not authentic' "$T/web-9/log"
is web-1 members 'len(o)' 2 || fail "a stranger became a member"
is web-9 members 'len(o)' 1 || fail "a stranger learnt of members"
