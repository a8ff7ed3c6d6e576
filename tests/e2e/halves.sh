# A mesh is cut in two and lives on in both halves: in one a host says good-bye and another is killed, in the other one joins and a policy is
# published. Healed, all agree on the newcomer and the policy, and nobody who left or died is back (ADVERSARY G29).
. tests/e2e/lib.sh
needs_namespaces

make_bridge "bl$$"
make_bridge "br$$"
ip link add "l$$" type veth peer name "r$$"
ip link set "l$$" master "bl$$" up
ip link set "r$$" master "br$$" up
for i in 1 2 3 4; do bridged_host "n$i" "$i" "bl$$"; done
for i in 5 6 7; do bridged_host "n$i" "$i" "br$$"; done

policy() { # VERSION
    cat >"$T/p$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
services: {cart: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}]
P
}
mesh
host_agent n1
for i in 2 3 4 5 6; do host_agent "n$i" --seed 10.77.0.1 --seed 10.77.0.5; done
eventually 20 all_alive 6 n1 n2 n3 n4 n5 n6
policy 1
publish n1 "$T/p1.yaml"
eventually 10 in_force 1 n1 n2 n3 n4 n5 n6

states() { json "$1" members '" ".join(sorted(m["name"] + ":" + m["state"] for m in o))'; }
states_are() { for n in "${@:2}"; do [ "$(states "$n")" = "$1" ] || return 1; done; }
# The same, but for a moment's doubt of a busy machine.
held_to_be() { for n in "${@:2}"; do [ "$(states "$n" | sed 's/:\(suspect\|degraded\)/:alive/g')" = "$1" ] || return 1; done; }
gone() { ! kill -0 "$(pid_of "$1")" 2>/dev/null; }

echo "- cut"
ip link set "l$$" down
# Ten seconds, and up to nine times that where all are late at once, since one busy machine carries them all (Lifeguard's local health).
eventually 90 states_are 'n1:alive n2:alive n3:alive n4:alive n5:dead n6:dead' n1 n2 n3 n4
eventually 90 states_are 'n1:dead n2:dead n3:dead n4:dead n5:alive n6:alive' n5 n6
ask n3 leave >/dev/null
eventually 10 gone n3
crash n4
host_agent n7 --seed 10.77.0.5
policy 2
publish n5 "$T/p2.yaml"
eventually 20 in_force 2 n5 n6 n7
eventually 60 states_are 'n1:alive n2:alive n3:left n4:dead n5:dead n6:dead' n1 n2
in_force 1 n1 n2 || fail "the policy crossed the cut"

echo "- healed"
ip link set "l$$" up
together='n1:alive n2:alive n3:left n4:dead n5:alive n6:alive n7:alive'
eventually 60 states_are "$together" n1 n2 n5 n6 n7
eventually 20 in_force 2 n1 n2 n5 n6 n7
# A host that was cut off and has n3 and n4 for alive on its disk, though not in the mesh, brings neither back.
crash n6
host_agent n6 --seed 10.77.0.1 --seed 10.77.0.5
eventually 30 states_are "$together" n1 n2 n5 n6 n7
end=$(($(date +%s) + 5 * slower))
while [ "$(date +%s)" -lt "$end" ]; do
    held_to_be "$together" n1 n2 n5 n6 n7 || fail "it does not last: $(states n1) | $(states n5) | $(states n6)"
done
is n1 services '[s["node"] for s in o if s["node"] in ("n3", "n4")]' '[]' || fail "services of the gone"
# The one that was killed comes back when it is started again, and so does the one that left: both under higher numbers.
host_agent n4 --seed 10.77.0.5
host_agent n3 --seed 10.77.0.5
eventually 60 all_alive 7 n1 n2 n3 n4 n5 n6 n7
eventually 20 in_force 2 n3 n4
