"""An SMTP client that says what it was told, and may act as anyone.

Postfix' XCLIENT lets a test on loopback have any client address and any
login, so that no second machine and no password store is needed."""

import ipaddress
import socket
import struct


class Reply:
    """One SMTP reply: its code, and its text without the code."""

    def __init__(self, lines):
        self.code = int(lines[0][:3])
        self.text = "\n".join(line[4:] for line in lines)

    def __str__(self):
        return "%d %s" % (self.code, self.text)

    def __repr__(self):
        return "<%s>" % self

    def __eq__(self, other):
        return str(self) == other


class Session:
    """One connection to Postfix, past EHLO."""

    def __init__(self, port, address=None, login=None, name=None,
                 helo="client.example", on_exchange=None, reverse_name=None):
        """reverse_name: what the address points to; name unless told."""
        self._on_exchange = on_exchange
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._file = self._socket.makefile("rb")
        assert self._read().code == 220
        if address or login:
            self._become(address, login, name, helo, reverse_name)
        assert self.command("EHLO " + helo).code == 250

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _become(self, address, login, name, helo, reverse_name):
        assert self.command("EHLO " + helo).code == 250
        parts = ["XCLIENT"]
        if address:
            is_v6 = ipaddress.ip_address(address).version == 6
            parts.append("ADDR=" + ("IPV6:" if is_v6 else "") + address)
            parts.append("NAME=" + (name or "[UNAVAILABLE]"))
        if reverse_name:
            parts.append("REVERSE_NAME=" + reverse_name)
        if login:
            parts.append("LOGIN=" + login)
        reply = self.command(" ".join(parts))
        assert reply.code == 220, reply

    def _read(self):
        lines = []
        while True:
            line = self._file.readline().decode().rstrip("\r\n")
            assert line, "Postfix closed the connection"
            lines.append(line)
            if line[3:4] != "-":
                return Reply(lines)

    def command(self, line):
        self._socket.sendall(line.encode() + b"\r\n")
        reply = self._read()
        if self._on_exchange:
            self._on_exchange(line, reply)
        return reply

    def mail(self, sender, size=None):
        line = "MAIL FROM:<%s>" % sender
        return self.command(line + (" SIZE=%d" % size if size else ""))

    def rcpt(self, recipient):
        return self.command("RCPT TO:<%s>" % recipient)

    def data(self, body="Subject: test\n\ntest\n"):
        """DATA and the message; the reply to its end."""
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        text = body.replace("\n", "\r\n")
        self._socket.sendall(text.encode() + b".\r\n")
        reply = self._read()
        if self._on_exchange:
            self._on_exchange(".", reply)
        return reply

    def send(self, sender, recipients, body="Subject: test\n\ntest\n"):
        """One message. The reply that decided: the first that is not 2xx,
        else the one to the end of the message."""
        if isinstance(recipients, str):
            recipients = [recipients]
        replies = [self.mail(sender)]
        if replies[0].code == 250:
            replies += [self.rcpt(one) for one in recipients]
        bad = [reply for reply in replies if reply.code >= 400]
        if bad:
            self.command("RSET")
            return bad[0]
        return self.data(body)

    def pipeline(self, data, n):
        """Sends it all at once, and reads n replies."""
        self._socket.sendall(data)
        return [self._read() for _ in range(n)]

    def abort(self):
        """Vanishes without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
        self._file.close()
        self._socket.close()

    def close(self):
        try:
            self._socket.sendall(b"QUIT\r\n")
            self._file.readline()
        except OSError:
            pass
        self._file.close()
        self._socket.close()


def message_of(size):
    """A message that Postfix counts as about size bytes, and not fewer."""
    lines = size // 72 + 1
    return "Subject: large\n\n" + ("x" * 70 + "\n") * lines
