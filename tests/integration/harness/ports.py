"""Free TCP ports on loopback."""

import socket


def free_ports(n):
    """n different ports that nothing listens on now."""
    sockets = []
    for _ in range(n):
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sockets.append(sock)
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
