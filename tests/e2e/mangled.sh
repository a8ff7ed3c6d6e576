# Ten hosts come together in a good network, and again, from empty disks, in one that loses 30 %, doubles 10 % and mangles 5 % of all
# datagrams, and loses 30 % of TCP's segments too (ADVERSARY G41; the three by nft). How long both took is said.
. tests/e2e/lib.sh
needs_namespaces

count=10
hosts=$(seq -f 'n%g' "$count")
make_bridge "br$$"
for h in $hosts; do bridged_host "$h" "${h#n}" "br$$"; done
mesh
metric() { in_host "$1" curl -s http://127.0.0.1:7401/metrics | sed -n "s/^$2 //p"; }
# Alive, or doubted for a moment: at such a loss somebody always is.
held() { in_host "$1" curl -s http://127.0.0.1:7401/metrics | awk '/^starling_members\{state="(alive|suspect)"\}/ {n += $2} END {print n + 0}'; }
together() { for h in $hosts; do [ "$(held "$h")" = "$count" ] || return 1; done; }
# All but one hold all but one. One of ten may lose a segment four times in a row, and sit out TCP's doubled timeouts: it is waited for,
# but not timed.
nearly_together() {
    n=0
    for h in $hosts; do [ "$(held "$h")" -lt $((count - 1)) ] || n=$((n + 1)); done
    [ "$n" -ge $((count - 1)) ]
}
start_all() { # SECONDS; sets $took, in milliseconds
    begin=$(date +%s%N)
    for h in $hosts; do host_agent "$h" --seed 10.77.0.1 --seed 10.77.0.2; done
    eventually "$1" nearly_together || return 1
    took=$((($(date +%s%N) - begin) / 1000000))
    eventually "$1" together
}
stop_all() {
    for h in $hosts; do crash "$h"; rm -rf "$T/$h/data"; done
}

start_all 20
good=$took
stop_all
for h in $hosts; do
    in_host "$h" nft -f - <<'N'
table inet bad {
    chain in {
        type filter hook input priority 0;
        iifname eth0 numgen random mod 100 < 30 drop
        iifname eth0 udp dport 7400 numgen random mod 100 < 5 counter name mangled @th,200,32 set 0xdeadbeef
    }
    counter mangled { }
}
table netdev twice {
    chain out {
        type filter hook egress device eth0 priority 0;
        udp sport 7400 numgen random mod 100 < 10 counter name doubled dup to eth0
    }
    counter doubled { }
}
N
done
start_all 60 || fail "they do not come together in a bad network"
echo "good network: $good ms, bad one: $took ms"
# Three times as long, counting the three seconds for which a host waits to be told what it was.
[ "$took" -le $((3 * (good + 3000) * slower)) ] || fail "it took more than three times as long"
sum() { total=0; for h in $hosts; do n=$(in_host "$h" nft list counter "$1" "$2" "$3" | sed -n 's/.*packets \([0-9]*\).*/\1/p'); total=$((total + n)); done; }
sum inet bad mangled
[ "$total" -gt 0 ] || fail "nothing was mangled"
sum netdev twice doubled
[ "$total" -gt 0 ] || fail "nothing was doubled"
dropped=0
for h in $hosts; do dropped=$((dropped + $(metric "$h" starling_udp_drop_auth_total) + $(metric "$h" starling_udp_drop_replay_total))); done
[ "$dropped" -gt 0 ] || fail "no agent has seen a mangled or doubled datagram"
