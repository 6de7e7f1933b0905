"""A DNS server on loopback, UDP and TCP on one port, that says what a test
wrote down; and what it was asked."""

import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15,
         "TXT": 16, "AAAA": 28}
NAMES = {number: name for name, number in TYPES.items()}
NO_ERROR, FORMAT_ERROR, SERVFAIL, NXDOMAIN, NOT_IMPLEMENTED, REFUSED = range(6)
# A client that asks over TCP and then says nothing is left alone.
TCP_PATIENCE = 5
UDP_BYTES_MAX = 1232


def _name(text):
    out = b""
    for label in text.rstrip(".").split("."):
        part = label.encode()
        out += bytes([len(part)]) + part if part else b""
    return out + b"\0"


def _data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind in ("PTR", "CNAME", "NS"):
        return _name(value)
    if kind == "MX":
        preference, host = value
        return struct.pack(">H", preference) + _name(host)
    if kind == "TXT":
        strings = [value] if isinstance(value, str) else value
        return b"".join(bytes([len(part)]) + part for part in
                        (string.encode() for string in strings))
    raise AssertionError("no such type: " + kind)


class Answer:
    """What is said of one name; the default is an empty answer.

    rcode; ttl, and negative_ttl for what is not there; silent: no answer;
    until: an Event that the answer over UDP waits for; is_cut: over UDP only
    the bit that sends the client to TCP."""

    def __init__(self, rcode=NO_ERROR, ttl=300, silent=False, until=None,
                 is_cut=False, negative_ttl=60, **records):
        self.rcode = rcode
        self.ttl = ttl
        self.silent = silent
        self.until = until
        self.is_cut = is_cut
        self.negative_ttl = negative_ttl
        self.records = {
            kind: values if isinstance(values, list) else [values]
            for kind, values in records.items()}


class DnsServer:
    """zone: name -> Answer, or a list of A records for short. A name that
    is not there does not exist. Use as a context manager."""

    def __init__(self, zone=None, port=0):
        self.zone = dict(zone or {})
        self._asked = []
        self._lock = threading.Lock()
        self._is_open = True
        self._udp, self._tcp = self._open(port)
        self.port = self._udp.getsockname()[1]
        self._threads = [threading.Thread(target=each, daemon=True)
                         for each in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _open(port):
        """A port that is free for UDP may be taken for TCP."""
        for attempts_left in reversed(range(50)):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(udp.getsockname())
                tcp.listen(16)
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()
                if port or not attempts_left:
                    raise
        raise AssertionError

    @property
    def address(self):
        """As the setting "resolver" wants it."""
        return "127.0.0.1@%d" % self.port

    def asked(self, name=None):
        """The questions so far, as (name, type, "udp" or "tcp")."""
        with self._lock:
            return [one for one in self._asked
                    if name is None or one[0] == name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self._is_open:
            return
        self._is_open = False
        for sock in (self._udp, self._tcp):
            try:
                # Wakes a thread that waits in it.
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _answer_to(self, name):
        answer = self.zone.get(name)
        if answer is None:
            return Answer(rcode=NXDOMAIN)
        return answer if isinstance(answer, Answer) else Answer(A=answer)

    def _reply(self, question, transport):
        """(bytes to send or None, Event to wait for or None)"""
        number, _, n_questions = struct.unpack(">HHH", question[:6])
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode(
                "latin-1").lower())
            at += 1 + question[at]
        kind = NAMES.get(struct.unpack(">H", question[at + 1:at + 3])[0], "?")
        name = ".".join(labels)
        assert n_questions == 1
        with self._lock:
            self._asked.append((name, kind, transport))
        answer = self._answer_to(name)
        if answer.silent:
            return None, None
        rows = [(kind, value) for value in answer.records.get(kind, [])]
        if not rows:
            rows = [("CNAME", value)
                    for value in answer.records.get("CNAME", [])]
        is_cut = answer.is_cut and transport == "udp"
        body = b"" if is_cut else b"".join(
            b"\xc0\x0c" + struct.pack(
                ">HHIH", TYPES[row], 1, answer.ttl, len(_data(row, value)))
            + _data(row, value) for row, value in rows)
        soa = b""
        if not rows:
            data = b"\0\0" + struct.pack(">5I", 1, 1, 1, 1,
                                         answer.negative_ttl)
            soa = b"\0" + struct.pack(">HHIH", TYPES["SOA"], 1,
                                      answer.negative_ttl, len(data)) + data
        flags = 0x8180 | (0x0200 if is_cut else 0) | answer.rcode
        head = struct.pack(">HHHHHH", number, flags, 1,
                           0 if is_cut else len(rows), 1 if soa else 0, 0)
        packet = head + question[12:at + 5] + body + soa
        assert transport == "tcp" or len(packet) <= UDP_BYTES_MAX, name
        return packet, answer.until

    def _send_later(self, until, packet, peer):
        until.wait(60)
        try:
            self._udp.sendto(packet, peer)
        except OSError:
            pass

    def _serve_udp(self):
        while self._is_open:
            try:
                question, peer = self._udp.recvfrom(4096)
                packet, until = self._reply(question, "udp")
                if packet and until:
                    threading.Thread(target=self._send_later, daemon=True,
                                     args=(until, packet, peer)).start()
                elif packet:
                    self._udp.sendto(packet, peer)
            except (OSError, IndexError, struct.error):
                continue  # closed, or no question

    def _serve_tcp(self):
        while self._is_open:
            try:
                client, _ = self._tcp.accept()
            except OSError:
                continue
            with client:
                client.settimeout(TCP_PATIENCE)
                try:
                    self._serve_client(client)
                except (OSError, struct.error):
                    pass

    def _serve_client(self, client):
        while True:
            (size,) = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))
            question = client.recv(size, socket.MSG_WAITALL)
            packet, _ = self._reply(question, "tcp")
            if packet:
                client.sendall(struct.pack(">H", len(packet)) + packet)


def listed(address, domain):
    """The name a list is asked for: 7.2.0.192.bl.example."""
    reverse = ipaddress.ip_address(address).reverse_pointer
    return reverse.rsplit(".", 2)[0] + "." + domain
