"""Free TCP ports on loopback."""

import random
import socket

# Below are the ports of well-known services.
FIRST, END = 20000, 65536


def _candidates():
    """In any order, those that the system gives to nobody by itself: a client
    that is given the port of a server that is down would keep it down."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        given = int(file.read().split()[0])
    ports = range(FIRST, given if given > FIRST else END)
    return random.sample(ports, len(ports))


def _is_free(port):
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(n):
    """n different ports that nothing listens on now."""
    found = []
    for port in _candidates():
        if len(found) == n:
            break
        if _is_free(port):
            found.append(port)
    assert len(found) == n, "no %d ports are free" % n
    return found
