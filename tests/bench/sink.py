"""An origin that reads request bodies and throws them away: python3 sink.py PORT."""
import socket, sys, threading


def serve(c):
    buffer = bytearray(1 << 20)
    with c:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                d = c.recv(65536)
                if not d:
                    return
                head += d
            head, rest = head.split(b"\r\n\r\n", 1)
            fields = dict(l.lower().split(b":", 1) for l in head.split(b"\r\n")[1:])
            if b"chunked" in fields.get(b"transfer-encoding", b""):
                tail = rest[-5:]
                while not tail.endswith(b"0\r\n\r\n"):
                    n = c.recv_into(buffer)
                    if not n:
                        return
                    tail = (tail + bytes(buffer[max(0, n - 5):n]))[-5:]
            else:
                left = int(fields.get(b"content-length", b"0")) - len(rest)
                while left > 0:
                    n = c.recv_into(buffer)
                    if not n:
                        return
                    left -= n
            c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
