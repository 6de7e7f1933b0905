"""A client of the milter protocol on a bare socket, for what no Postfix would
say, or not in that order."""

import socket
import struct

ACTIONS = 0x1ff
# All but SMFIP_HDR_LEADSPC, which Postfix offers: values are without the blank.
STEPS = 0x0fffff
# Of the steps: no answer to anything before the end of the message.
SILENT = 0x00002000 | 0x00004000 | 0x00008000 | 0x00010000 | 0x00000080 \
    | 0x00040000


class Closed(Exception):
    """The milter closed the connection."""


class Milter:
    def __init__(self, port, steps=STEPS):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.steps = steps

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, command, *words):
        """Each word is ended by a NUL, unless it is bytes."""
        data = b"".join(word if isinstance(word, bytes)
                        else word.encode() + b"\0" for word in words)
        self.socket.sendall(struct.pack(">I", len(data) + 1)
                            + command.encode() + data)

    def _take(self, n):
        data = b""
        while len(data) < n:
            try:
                part = self.socket.recv(n - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed()
            data += part
        return data

    def reply(self):
        """(the letter of the reply, its data)"""
        (size,) = struct.unpack(">I", self._take(4))
        data = self._take(size)
        return chr(data[0]), data[1:]

    def negotiate(self):
        self.send("O", struct.pack(">III", 6, ACTIONS, self.steps))
        letter, data = self.reply()
        assert letter == "O"
        _, _, self.steps = struct.unpack(">III", data[:12])
        return self

    def connect(self, address="192.0.2.10", name="unknown"):
        self.send("D", b"C", "{client_name}", name, "{client_ptr}", name)
        self.send("C", name, b"4" + struct.pack(">H", 25), address)
        return self.reply()[0]

    def say(self, command, *words):
        """A command that the milter answers only if it is asked to."""
        self.send(command, *words)
        if not self.steps & SILENT:
            assert self.reply()[0] == "c"

    def message(self, sender="a@pass.example", fields=()):
        self.say("M", "<%s>" % sender)
        self.say("R", "<b@example.com>")
        for name, value in fields:
            self.say("L", name, value)
        self.say("N")

    def end(self):
        """The replies to the end of a message, to the last of them."""
        self.send("E")
        replies = [self.reply()]
        while replies[-1][0] in "ihm":
            replies.append(self.reply())
        return replies
