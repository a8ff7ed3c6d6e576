# Two signed bundles of one version while it is being rolled out (ADVERSARY B12): all agents settle on the lower hash, who has the other in
# force goes back for it, and it is judged by its own requests, not by those of its twin. A halt is the version's: the twin of what was
# halted is held as halted. All alarm, until a higher version is in force. And a first step that takes nobody in.
. tests/e2e/lib.sh

mesh
http_app 9001 app
echo 'labels: {ring: canary}' >"$T/canary.yaml"
agent a 7000 --config "$T/canary.yaml" --caller web=7085 --service cart=9001
agent b 7100 --config "$T/canary.yaml" --caller web=7185 --service cart=9001 --seed 127.0.0.1:7000
agent c 7200 --config "$T/canary.yaml" --caller web=7285 --service cart=9001 --seed 127.0.0.1:7000
agent d 7300 --caller web=7385 --service cart=9001 --seed 127.0.0.1:7000
eventually 15 all_alive 4 a b c d

# bundle VERSION NAME good|bad PAUSE COMMENT: $T/NAME, signed; its hash in $hash. No pause: no steps.
bundle() {
    cat >"$T/$2.yaml" <<P
# $5
policy: v1
mesh: shop.example
version: $1
${4:+rollout: {steps: [ring=canary, 100%], pause: $4, haltIf: {denied: +5%, minRequests: 30\}\}}
services: {cart: {protocol: http}}
intentions:
  - {name: front, from: [web], to: cart}
P
    [ "$3" = good ] || echo "  - {name: closed, from: [web], to: cart, deny: [{}]}" >>"$T/$2.yaml"
    hash=$("$starling" policy sign "$T/$2.yaml" --ca "$T/ca" --lower --force -o "$T/$2" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["hash"])')
}
# twins VERSION PAUSE: $T/high denies what $T/low lets through, and gives way to it
twins() {
    bundle "$1" high bad "$2" "the other"
    high=$hash
    draft=0
    until bundle "$1" low good "$2" "draft $draft" && [[ "$hash" < "$high" ]]; do draft=$((draft + 1)); done
    low=$hash
}
bundle 1 first good '' first
ask a policy publish "$T/first" >/dev/null
eventually 10 in_force 1 a b c d
ask_on 7085 7185 7285 7385

has() { for n in "${@:2}"; do is "$n" status 'o["policy"]["hash"]' "$1" || return 1; done; }
denied() { # at a port, 40 requests of its own clients at the least
    curl -s "http://127.0.0.1:$1/metrics" | python3 -c 'import sys; sys.exit(sum(float(l.split()[-1]) for l in sys.stdin if l.startswith("starling_requests_total") and "near" in l and "UAEX" in l) < 40)'
}
alarmed() {
    for n in "$@"; do
        is "$n" status "any('two signed policies carry version' in w for w in o['warnings'])" True || return 1
        is "$n" 'policy status' 'all((m["failed"] or {}).get("reason") == "fork" for m in o["members"])' True || return 1
    done
}

# The higher hash gets to the canaries, where all is refused. Before that can halt it (half of a pause) the lower one is published. A busy
# machine that comes too late for that tries again, with a longer pause.
halted() { for n in a b c d; do if is $n status '"halted" in (o["rollout"] or {})' True; then return 0; fi; done; return 1; }
holds_or_halted() { has "$@" || halted; }
in_time() { # VERSION SECONDS
    twins "$1" "$2s"
    ask a policy publish "$T/high" >/dev/null || return 1
    eventually 5 holds_or_halted "$high" a b c || return 1
    for port in 7001 7101 7201; do eventually 5 denied $port || return 1; done
    ask d policy publish "$T/low" >"$T/out" 2>&1 || return 1
    eventually 5 holds_or_halted "$low" a b c && ! halted
}
v=2 pause=16
until in_time $v $pause; do
    halted || fail "the lower hash of version $v did not get to the canaries: $(cat "$T/out")"
    v=$((v + 1)) pause=$((pause * 2))
    [ "$pause" -le 64 ] || fail "half a minute was not enough to publish a twin"
done
is d status 'o["policy"]["version"]' 1 || fail "d is in before its step"
eventually 10 alarmed a b c d
eventually $((2 * pause)) has "$low" d || { ask d status; fail "the twin was judged by what the other had refused"; }
for n in a b c d; do
    is $n status '"halted" in (o["rollout"] or {})' False || fail "$n has halted the twin for what the other did"
    is $n 'policy status' "next(m['failed']['words'] for m in o['members'] if m['name'] == 'a')" "$high" || fail "$n does not name the other"
done
if ask a policy publish "$T/high" >"$T/out" 2>&1; then fail "the one that gave way was published again"; fi
grep -q "version $v.*raise \`version:\`\|another signed bundle of this version.*raise \`version:\`" "$T/out" || { cat "$T/out"; fail "does not say what to do"; }

# Halted: its twin is not set going by the same number.
v=$((v + 1))
twins $v 6s
ask b policy publish "$T/high" >/dev/null
for n in a b c d; do eventually 20 is $n status '(o["rollout"] or {}).get("halted")' denied; done
eventually 5 has "$(json d status 'o["policy"]["hash"]')" a b c d
if ask d policy publish "$T/low" >"$T/out" 2>&1; then fail "the twin of what was halted was published as if nothing had been"; fi
grep -q "another bundle of version $v was halted.*raise \`version:\`" "$T/out" || { cat "$T/out"; fail "the refusal"; }
eventually 10 alarmed a b c d
crash c
agent c 7200 --config "$T/canary.yaml" --caller web=7285 --service cart=9001
agent e 7400 --config "$T/canary.yaml" --seed 127.0.0.1:7000
eventually 15 in_force $((v - 1)) c e
for n in a b c d e; do
    eventually 10 is $n status '"halted" in (o["rollout"] or {})' True || fail "$n does not know that version $v is halted"
    is $n status 'o["policy"]["version"]' $((v - 1)) || fail "$n has version $v in force"
done
cat "$T/d/log" "$T/e/log" | grep -q "version $v (epoch 1) is in force" && fail "a version that was halted came into force where it had not been"

# The next version ends both.
v=$((v + 1))
bundle $v next good '' next
ask c policy publish "$T/next" >/dev/null
eventually 10 in_force $v a b c d e
for n in a b c d e; do
    is $n status 'o["rollout"]' None
    is $n status "any('two signed policies' in w for w in o['warnings'])" False || fail "$n still alarms"
done
ask_no_more

# A step that takes nobody in is told of: by the answer, the status of all, and the log.
v=$((v + 1))
cat >"$T/nobody.yaml" <<P
policy: v1
mesh: shop.example
version: $v
rollout: {steps: [ring=canry, 100%], pause: 1h}
P
"$starling" policy sign "$T/nobody.yaml" --ca "$T/ca" -o "$T/nobody" >/dev/null
nobody='no living member belongs to step 1 (ring=canry): it tries nothing out'
ask b policy publish "$T/nobody" | grep -qxF "warning: $nobody" || fail "the publisher is not warned of a step without members"
for n in a d; do
    eventually 10 is $n status "'the rollout of policy version $v: $nobody' in o['warnings']" True
    is $n 'policy status' 'o["rollout"]["empty_steps"]' '[1]' || fail "policy status"
done
ask a policy status | grep -q "^rollout: version $v, step 1 of 2, .*; nobody in step 1\$" || { ask a policy status; fail "policy status does not say it"; }
grep -qF "the rollout of version $v: $nobody" "$T/d/log" || fail "nor does the log"
