# Agents on hosts of their own (network namespaces joined by a bridge), with random packets dropped by nft: they find each other by a
# DNS name, carry traffic, and no live agent is taken for dead.
. tests/e2e/lib.sh
needs_namespaces

hosts="n1 n2 n3 n4"
make_bridge "br$$"
for h in $hosts; do bridged_host "$h" "${h#n}" "br$$"; done
lose() { # PERCENT of what each host receives from the others
    for h in $hosts; do
        in_host "$h" nft -f - <<N
flush ruleset
table inet lossy {
    chain in {
        type filter hook input priority 0;
        iifname eth0 numgen random mod 100 < $1 drop
    }
}
N
    done
}
mesh
printf '10.77.0.1 seed.star.test\nfd77::1 seed.star.test\n127.0.0.1 localhost\n' >"$T/hosts"
mount --bind "$T/hosts" /etc/hosts
mkdir -p "$T/files"; chmod 755 "$T"
in_host n2 python3 -m http.server --bind 127.0.0.1 --directory "$T/files" 9001 >"$T/app.log" 2>&1 &
pids="$pids $!"
echo hello >"$T/files/hello"

lose 20
host_agent n1 --caller web=7485
host_agent n2 --seed seed.star.test --service cart=9001
host_agent n3 --seed seed.star.test:7400
# One on IPv6 alone.
host_agent n4 --seed '[fd77::1]:7400' --listen '[fd77::4]:7400'
eventually 30 all_alive 4 n1 n2 n3 n4
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http, timeouts: {connect: 10s, request: 60s, perTry: 0s}}}
intentions: [{name: front, from: [web], to: cart}]
P
publish n3 "$T/p.yaml"
eventually 15 in_force 1 n1 n2 n3 n4
eventually 15 all_healthy 1 n1

# Under 20 % loss: TCP repairs, every request is answered.
in_host n1 curl -s --no-progress-meter -Z --parallel-max 8 -H 'Host: cart' -w '%{http_code}\n' -o /dev/null 'http://127.0.0.1:7485/hello?[1-200]' >"$T/codes" 2>"$T/curl.log"
[ "$(sort "$T/codes" | uniq -c | awk '{print $1, $2}')" = "200 200" ] || { sort "$T/codes" | uniq -c; fail "requests were lost"; }
# No live agent was ever taken for dead.
for h in $hosts; do
    in_host "$h" curl -s http://127.0.0.1:7401/metrics | grep '^starling_gossip_deaths_total' | grep -q ' 0$' || fail "$h took a live agent for dead"
done

# One host is cut off: the others see it die, the network heals, and all are one mesh again without an operator.
in_host n3 nft -f - <<'N'
flush ruleset
table inet cut {
    chain in {
        type filter hook input priority 0;
        iifname eth0 drop
    }
    chain out {
        type filter hook output priority 0;
        oifname eth0 drop
    }
}
N
dead_at() { is "$1" members "[m['state'] for m in o if m['name']=='$2']" "['dead']"; }
eventually 60 dead_at n1 n3
lose 0
eventually 60 all_alive 4 n1 n2 n3 n4
