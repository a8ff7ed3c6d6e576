# IPv6 alone, and a dual-stack mesh in which one agent has only IPv4, one only IPv6 and one both.
. tests/e2e/lib.sh

mesh
http_app 9001 six
cart_policy
agent a 7000 --listen '[::1]:7000' --caller 'web=[::1]:7085' --entry '[::1]:7080' --admin '[::1]:7001'
agent b 7100 --listen '[::1]:7100' --seed '[::1]:7000' --service 'cart=[::1]:9001'
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
eventually 5 all_healthy 1 a
curl -sf -H 'Host: cart' 'http://[::1]:7085/x' | grep -q '^six GET /x' || fail "HTTP over IPv6"
curl -sf 'http://[::1]:7001/readyz' | grep -q ready || fail "read-only port over IPv6"

# c listens on both families and tells both addresses; d speaks IPv4 only, and reaches b's service only through what c cannot give it: so
# it must know b as a member all the same, and c reaches both.
agent c 7200 --listen '[::]:7200' --advertise '127.0.0.1:7200,[::1]:7200' --seed '[::1]:7000' --caller web=7285
agent d 7300 --seed 127.0.0.1:7200 --service cart=9001
eventually 15 is c members 'sum(m["state"]=="alive" for m in o)' 4
eventually 5 in_force 1 c d
eventually 5 all_healthy 2 c
for i in 1 2 3 4 5 6 7 8; do
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7285/)" = 200 ] || fail "dual stack"
done
