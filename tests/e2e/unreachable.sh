# What the network says of itself marks nobody dead: datagrams that cannot be sent, a line that is down for a moment, refusals (ICMP) that
# answer each datagram of one pair, and refusals that an outsider forged (ADVERSARY G44).
. tests/e2e/lib.sh
needs_namespaces

hosts="n1 n2 n3 n4"
make_bridge "br$$"
for h in $hosts; do bridged_host "$h" "${h#n}" "br$$"; done
mesh
host_agent n1
for h in n2 n3 n4; do host_agent "$h" --seed 10.77.0.1; done
eventually 20 all_alive 4 $hosts
metric() { in_host "$1" curl -s http://127.0.0.1:7401/metrics | sed -n "s/^$2 //p"; }
nobody_died() { for h in $hosts; do [ "$(metric "$h" starling_gossip_deaths_total)" = 0 ] || return 1; done; }
running() { kill -0 "$(pid_of "$1")"; }
wait_ms() { end=$(($(date +%s%N) + $1 * 1000000)); while [ "$(date +%s%N)" -lt "$end" ]; do read -rt 0.05 <> <(:) || true; done; }

echo "- for two seconds nothing that n2 sends leaves it: the kernel says EPERM to each"
in_host n2 nft -f - <<'N'
table inet deaf {
    chain out {
        type filter hook output priority 0;
        oifname eth0 udp sport 7400 counter drop
    }
}
N
wait_ms 2000
[ "$(in_host n2 nft list table inet deaf | sed -n 's/.*packets \([0-9]*\).*/\1/p')" -gt 0 ] || fail "it did not try to send"
in_host n2 nft delete table inet deaf
eventually 20 all_alive 4 $hosts
running n2 || fail "n2 has ended"

echo "- for two seconds its line is down, and its routes are gone: ENETUNREACH"
in_host n2 ip link set eth0 down
wait_ms 2000
in_host n2 ip link set eth0 up
in_host n2 ip -6 addr add fd77::2/64 dev eth0 nodad 2>/dev/null || true
eventually 20 all_alive 4 $hosts
running n2 || fail "n2 has ended"

echo "- each datagram from n1 to n3 is answered with port unreachable: the others reach n3, so it lives, at n1 too"
in_host n3 nft -f - <<'N'
table inet refuse {
    chain in {
        type filter hook input priority 0;
        ip saddr 10.77.0.1 udp dport 7400 counter reject with icmp type port-unreachable
        ip6 saddr fd77::1 udp dport 7400 counter reject with icmpv6 type port-unreachable
    }
}
N
end=$(($(date +%s) + 15))
while [ "$(date +%s)" -lt "$end" ]; do
    for h in n1 n2 n4; do is "$h" members "[m['state'] for m in o if m['name']=='n3' and m['state'] in ('dead', 'left')]" "[]" || fail "$h holds n3 dead"; done
done
# By either address: the one that n1 uses is the one that answered it last, also while n2's line was down.
in_host n3 nft list table inet refuse | grep -q 'packets [1-9]' || fail "nothing was refused"
in_host n3 nft delete table inet refuse
eventually 60 all_alive 4 $hosts

echo "- an outsider forges refusals in n3's and n4's names, a thousand of each kind: nobody looks twice"
cat >"$T/forge.py" <<'PY'
import socket, struct
def checksum(b):
    if len(b) % 2: b += b"\0"
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
def ip(src, dst, proto, length):
    h = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for n in range(1000):
    for victim in ("10.77.0.3", "10.77.0.4"):
        for code in (0, 1, 2, 3, 10, 13):
            for proto, quoted in ((17, struct.pack("!HHHH", 7400, 7400, 200, 0)), (6, struct.pack("!HHI", 40000 + n % 20000, 7400, n))):
                body = ip("10.77.0.1", victim, proto, 180) + quoted
                icmp = struct.pack("!BBHI", 3, code, 0, 0) + body
                icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
                s.sendto(ip(victim, "10.77.0.1", 1, len(icmp)) + icmp, ("10.77.0.1", 0))
PY
got() { in_host n1 cat /proc/net/snmp | awk '/^Icmp:/ {if (!n) {n = split($0, name)} else for (i = 2; i <= n; i++) if (name[i] == "InDestUnreachs") print $i}'; }
believes_them() {
    before=$(got) suspicions=$(metric n1 starling_gossip_suspicions_total)
    in_host n2 python3 "$T/forge.py"
    [ $(($(got) - before)) -gt 10000 ] || fail "only $(($(got) - before)) forged refusals arrived"
    wait_ms 3000
    ! { all_alive 4 $hosts && [ "$(metric n1 starling_gossip_suspicions_total)" = "$suspicions" ]; }
}
# A busy machine may doubt one of them for its own reasons once or twice; if it was for these, it would be so each time.
times=1
while believes_them; do
    times=$((times + 1))
    [ "$times" -le 3 ] || fail "forged refusals have moved somebody or raised suspicions, three times"
    eventually 20 all_alive 4 $hosts
done
nobody_died || fail "somebody was held dead"
