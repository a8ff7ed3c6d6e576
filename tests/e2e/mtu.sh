# Small paths: over lines of 1280 bytes gossip and traffic need no fragment, on IPv4 and IPv6 (ADVERSARY G42). A host whose own line takes
# 576 is a member by the fragments of its kernel.
. tests/e2e/lib.sh
needs_namespaces

make_bridge "br$$"
for i in 1 2 3 4; do bridged_host "n$i" "$i" "br$$"; done
for i in 1 2 3; do in_host "n$i" ip link set eth0 mtu 1280; done
mesh
mkdir -p "$T/files"; chmod 755 "$T"
in_host n2 python3 -m http.server --bind 127.0.0.1 --directory "$T/files" 9001 >"$T/app.log" 2>&1 &
pids="$pids $!"
head -c 200000 /dev/urandom >"$T/files/large"

echo "- three hosts, one on IPv4, one on IPv6, one on both: a document and long answers"
host_agent n1 --listen '[::]:7400' --advertise '10.77.0.1:7400,[fd77::1]:7400' --caller web=7485
host_agent n2 --seed 10.77.0.1 --listen 10.77.0.2:7400 --service cart=9001
host_agent n3 --seed '[fd77::1]:7400' --listen '[fd77::3]:7400'
eventually 20 all_alive 3 n1 n2 n3
cart_policy
for i in $(seq 300); do echo "# a line that makes the document long, number $i" >>"$T/p.yaml"; done
publish n3 "$T/p.yaml"
eventually 15 in_force 1 n1 n2 n3
fetch() { in_host "$1" curl -s -H 'Host: cart' http://127.0.0.1:7485/large | cmp - "$T/files/large"; }
eventually 10 fetch n1
fragments() { in_host "$1" cat /proc/net/snmp /proc/net/snmp6 | awk '/^Ip:/ {if (!n) {n = split($0, name)} else for (i = 2; i <= n; i++) v[name[i]] = $i} {v[$1] = v[$1] ? v[$1] : $2} END {print v["FragCreates"] + v["ReasmReqds"] + v["Ip6FragCreates"] + v["Ip6ReasmReqds"]}'; }
for i in 1 2 3; do
    [ "$(fragments "n$i")" = 0 ] || fail "n$i has sent or got $(fragments "n$i") fragments"
done

echo "- 576: a member all the same"
in_host n4 ip link set eth0 mtu 576
host_agent n4 --seed 10.77.0.1 --listen 10.77.0.4:7400
eventually 30 all_alive 4 n1 n2 n4
eventually 15 in_force 1 n4
[ "$(fragments n4)" -gt 0 ] || fail "n4 has sent no fragment: what is said of it is not so"
