"""Hosts on wires of their own length: wires.py NAMESPACE=ADDRESS=MILLISECONDS...

Makes an interface eth0 in each network namespace and carries IPv4 packets between them: one from A to B arrives after A's and B's
milliseconds. (What `tc netem` would do, where the kernel has it.) Prints "ready"; ends when it is killed, and the interfaces with it.
"""
import ctypes, fcntl, heapq, os, select, socket, struct, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
NETNS = 0x40000000


def interface(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f'/run/netns/{namespace}') as at:
        if libc.setns(at.fileno(), NETNS):
            raise OSError(ctypes.get_errno(), f'setns {namespace}')
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', b'eth0', IFF_TUN | IFF_NO_PI))
    return fd


hosts = {}
for word in sys.argv[1:]:
    namespace, address, ms = word.split('=')
    hosts[socket.inet_aton(address)] = (interface(namespace), float(ms) / 1000)
print('ready', flush=True)

poll = select.poll()
for fd, _ in hosts.values():
    poll.register(fd, select.POLLIN)
under_way = []  # (when, count, fd, packet)
count = 0
while True:
    wait = max(0, under_way[0][0] - time.monotonic()) * 1000 if under_way else None
    for fd, _ in poll.poll(wait):
        packet = os.read(fd, 65536)
        source, target = hosts.get(packet[12:16]), hosts.get(packet[16:20])
        if packet[0] >> 4 == 4 and source and target:
            count += 1
            heapq.heappush(under_way, (time.monotonic() + source[1] + target[1], count, target[0], packet))
    while under_way and under_way[0][0] <= time.monotonic():
        _, _, fd, packet = heapq.heappop(under_way)
        try:
            os.write(fd, packet)
        except OSError:
            pass  # as a full wire would
