# A staged rollout on four agents, three of them canaries: a good version goes through all steps, over the restart of an agent and to
# those that join late; a version that refuses what the one before let through is halted by what the canaries report, never gets
# to the rest, and leaves the canaries too.
. tests/e2e/lib.sh

mesh
http_app 9001 app
echo 'labels: {ring: canary}' >"$T/canary.yaml"
agent a 7000 --config "$T/canary.yaml" --caller web=7085 --service cart=9001
agent b 7100 --config "$T/canary.yaml" --caller web=7185 --service cart=9001 --seed 127.0.0.1:7000
agent c 7200 --config "$T/canary.yaml" --caller web=7285 --service cart=9001 --seed 127.0.0.1:7000
agent d 7300 --caller web=7385 --service cart=9001 --seed 127.0.0.1:7000
eventually 15 all_alive 4 a b c d

# policy VERSION PAUSE RULES...
policy() {
    cat >"$T/v$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
rollout: {steps: [ring=canary, 100%], pause: $2, haltIf: {denied: +5%, minRequests: 30}}
services: {cart: {protocol: http}}
intentions:
  - {name: front, from: [web], to: cart}
P
    [ -z "${3:-}" ] || echo "  - {name: closed, from: [web], to: cart, deny: [{}]}" >>"$T/v$1.yaml"
}
cat >"$T/v1.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}}
intentions:
  - {name: front, from: [web], to: cart}
P
publish b "$T/v1.yaml"
eventually 10 in_force 1 a b c d

ask_on 7085 7185 7285 7385

policy 2 15s
publish d "$T/v2.yaml"
eventually 5 in_force 2 a b c
# Who joins in the middle: a canary enters with the others; one of the last step knows the step, and enforces meanwhile what the
# version replaces.
agent early 7500 --config "$T/canary.yaml" --seed 127.0.0.1:7000
agent late 7600 --seed 127.0.0.1:7000
crash b
agent b 7100 --config "$T/canary.yaml" --caller web=7185 --service cart=9001
eventually 10 grep -q 'version 2 (epoch 1) is in force, as stored' "$T/b/log" || fail "the restarted canary has forgotten that it was in"
eventually 10 grep -q 'version 2 (epoch 1) is in force' "$T/early/log" || fail "a canary that joins is not in"
eventually 10 grep -q 'version 1 (epoch 1) is in force' "$T/late/log" || fail "who joins before its step is without the version before"
grep -q 'version 2 (epoch 1) is to be rolled out in 2 steps; this host is of step 2' "$T/late/log" || fail "late knows of no steps"

eventually 40 in_force 2 a b c d early late
grep -q 'version 2 (epoch 1) is to be rolled out in 2 steps; this host is of step 2' "$T/d/log" || fail "d knew of no steps"
# By their own words, since a busy machine may look late.
in_force_at() { date -d "$(sed -n 's/^\([^ ]*\) .*version 2 (epoch 1) is in force.*/\1/p' "$T/$1/log" | head -n 1)" +%s%N; }
for n in a b c; do
    [ $(($(in_force_at d) - $(in_force_at $n))) -ge 14900000000 ] || fail "the last step began before the pause was over: $n $(in_force_at $n), d $(in_force_at d)"
done
eventually 20 is d status 'o["rollout"]' None

# Refused at the canaries: two thirds and more of them say so, and d is never in.
policy 3 8s closed
"$starling" policy sign "$T/v3.yaml" --ca "$T/ca" --lower -o "$T/v3.yaml.bundle" >/dev/null
ask d policy publish "$T/v3.yaml.bundle" >"$T/told"
grep -q '^- web -> cart .* allowed (rule front) -> denied (rule closed)$' "$T/told" || { cat "$T/told"; fail "publish is silent about what the steps bring"; }
# By their logs: after half the pause it may be halted before one has asked them all.
for n in a b c early; do eventually 5 grep -q 'version 3 (epoch 1) is in force' "$T/$n/log"; done
eventually 20 is a status 'o["rollout"]["halted"]' denied
for n in a b c d early late; do
    eventually 10 in_force 2 $n
    eventually 10 is $n status '"halted" in o["rollout"]' True
done
ask a policy status | grep -q '^rollout: version 3, step 1 of 2, .*; halted by denied$' || { ask a policy status; fail "policy status is silent about the rollout"; }
cat "$T/d/log" "$T/late/log" | grep -q 'version 3 (epoch 1) is in force' && fail "the bad version came into force beyond the canaries"
curl -s http://127.0.0.1:7301/metrics | grep -q '^starling_rollout_halted 1' || fail "no metric says that it is halted"
is d status 'any("halted" in w for w in o["warnings"])' True

# One-way: it stays so over a restart, and for one who comes now; the same version again is refused.
crash d
agent d 7300 --caller web=7385 --service cart=9001
agent e 7400 --seed 127.0.0.1:7000
eventually 15 in_force 2 d e
eventually 10 is d status '"halted" in o["rollout"]' True
eventually 10 is e status '"halted" in o["rollout"]' True
ask a policy publish "$T/v3.yaml.bundle" >/dev/null 2>&1 && fail "a halted version was published again"

# The operator's next version ends it.
cp "$T/v1.yaml" "$T/v4.yaml"
sed -i 's/version: 1/version: 4/' "$T/v4.yaml"
publish c "$T/v4.yaml"
eventually 10 in_force 4 a b c d e early late
is d status 'o["rollout"]' None
ask_no_more
