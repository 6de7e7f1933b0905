"""A DNS server on loopback, UDP and TCP on one port, that answers as a resolver
would, with what a test wrote down; and what it was asked."""

import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15,
         "TXT": 16, "AAAA": 28, "SPF": 99}
NAMES = {number: name for name, number in TYPES.items()}
NO_ERROR, FORMAT_ERROR, SERVFAIL, NXDOMAIN, NOT_IMPLEMENTED, REFUSED = range(6)
# A client that asks over TCP and then says nothing is left alone.
TCP_PATIENCE = 5
# Over UDP, where the client names no other size (RFC 1035, 2.3.4).
UDP_BYTES_MAX = 512
STRING_BYTES_MAX = 255


def _bytes(text):
    """A test writes a byte that is no ASCII as bytes, or as "\x80"."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _plain(name):
    """As names are compared."""
    return name.rstrip(".").lower()


def _name(text):
    out = b""
    for label in text.rstrip(".").split("."):
        part = _bytes(label)
        out += bytes([len(part)]) + part if part else b""
    return out + b"\0"


def _strings(value):
    """The strings of one record; a long one becomes several."""
    out = b""
    for text in [value] if isinstance(value, (str, bytes)) else value:
        data = _bytes(text)
        for at in range(0, max(len(data), 1), STRING_BYTES_MAX):
            part = data[at:at + STRING_BYTES_MAX]
            out += bytes([len(part)]) + part
    return out


def _data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind in ("PTR", "CNAME", "NS"):
        return _name(value)
    if kind == "MX":
        preference, host = value
        return struct.pack(">H", preference) + _name(host)
    if kind in ("TXT", "SPF"):
        return _strings(value)
    raise AssertionError("no such type: " + kind)


class Answer:
    """What is said of one name; the default is an empty answer.

    records: for each type one value or a list of them. A TXT record of
    several strings is a list itself, so it needs another around it.
    rcode; ttl, and negative_ttl for what is not there; silent: no answer, or
    none to questions for the types in it; until: an Event that the answer
    over UDP waits for; is_cut: over UDP only the bit that sends the client to
    TCP, which else it gets when the answer does not fit."""

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

    def is_silent_about(self, kind):
        return self.silent if isinstance(self.silent, bool) \
            else kind in self.silent


class _Question:
    """RFC 1035, 4.1.2."""

    def __init__(self, packet):
        self.number, _, n_questions, _, _, n_additional = struct.unpack(
            ">6H", packet[:12])
        assert n_questions == 1
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        self.name = ".".join(labels).lower()
        self.kind = NAMES.get(
            struct.unpack(">H", packet[at + 1:at + 3])[0], "?")
        self.wire_name = packet[12:at + 1]
        self.wire = packet[12:at + 5]
        # How much the client takes over UDP: RFC 6891, 6.1.2.
        self.room = struct.unpack(">H", packet[at + 8:at + 10])[0] \
            if n_additional else UDP_BYTES_MAX


def _record(question, owner, kind, ttl, value):
    owner, data = _name(owner), _data(kind, value)
    if owner == question.wire_name:
        owner = b"\xc0\x0c"
    return owner + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


def _soa(ttl):
    data = b"\0\0" + struct.pack(">5I", 1, 1, 1, 1, ttl)
    return b"\0" + struct.pack(">HHIH", TYPES["SOA"], 1, ttl,
                               len(data)) + data


def _packet(question, rcode, records=(), authority=(), is_cut=False,
            is_server=False):
    flags = (0x8500 if is_server else 0x8180) | (0x0200 if is_cut else 0) | rcode
    return struct.pack(">6H", question.number, flags, 1, len(records),
                       len(authority), 0) + question.wire + b"".join(
                           [*records, *authority])


class DnsServer:
    """zone: name -> Answer, or a list of A records for short. A name that
    is not there does not exist, unless there is one below it. Aliases are
    followed within the zone. Use as a context manager."""

    def __init__(self, zone=None, port=0, host="127.0.0.1", is_server=False):
        """is_server: it answers as a server of its zones does."""
        self.host, self.is_server = host, is_server
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

    def _open(self, port):
        """A port that is free for UDP may be taken for TCP."""
        for attempts_left in reversed(range(50)):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket()
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.bind((self.host, port))
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

    def _find(self, name):
        """(name as the zone spells it, Answer)"""
        zone = dict(self.zone)
        for spelt, answer in zone.items():
            if _plain(spelt) == name:
                return spelt, (answer if isinstance(answer, Answer)
                               else Answer(A=answer))
        is_above = not name or any(
            _plain(spelt).endswith("." + name) for spelt in zone)
        return name, Answer(NO_ERROR if is_above else NXDOMAIN)

    def _look_up(self, question):
        """(the Answers on the way, from name to alias; the records)"""
        name, kind, answers, records, seen = (
            question.name, question.kind, [], [], set())
        while True:
            spelt, answer = self._find(name)
            answers.append(answer)
            found = kind if answer.records.get(kind) else "CNAME"
            values = answer.records.get(found, [])
            records += [_record(question, spelt, found, answer.ttl, value)
                        for value in values]
            seen.add(name)
            if found == kind or not values or _plain(values[0]) in seen:
                return answers, records
            name = _plain(values[0])

    def _reply(self, data, transport):
        """(bytes to send or None, Event to wait for or None)"""
        question = _Question(data)
        with self._lock:
            self._asked.append((question.name, question.kind, transport))
        answers, records = self._look_up(question)
        if any(one.is_silent_about(question.kind) for one in answers):
            return None, None
        last = answers[-1]
        is_there = last.records.get(question.kind)
        packet = _packet(question, last.rcode, records,
                         [] if is_there else [_soa(last.negative_ttl)],
                         is_server=self.is_server)
        if transport == "udp" and (answers[0].is_cut or
                                   len(packet) > question.room):
            packet = _packet(question, last.rcode, is_cut=True,
                             is_server=self.is_server)
        return packet, answers[0].until

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
            threading.Thread(target=self._serve_client, daemon=True,
                             args=(client,)).start()

    def _serve_client(self, client):
        """Until it goes; one that stays does not hold up others."""
        client.settimeout(TCP_PATIENCE)
        with client:
            try:
                while self._is_open:
                    self._answer_over(client)
            except (OSError, IndexError, struct.error):
                pass

    def _answer_over(self, client):
        (size,) = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))
        question = client.recv(size, socket.MSG_WAITALL)
        packet, _ = self._reply(question, "tcp")
        if packet:
            client.sendall(struct.pack(">H", len(packet)) + packet)


def listed(address, domain):
    """The name a list is asked for: 7.2.0.192.bl.example."""
    reverse = ipaddress.ip_address(address).reverse_pointer
    return reverse.rsplit(".", 2)[0] + "." + domain
