"""Clients of tcp_table(5) and socketmap_table(5) on a bare socket."""

import re
import socket


def quote(key):
    """As Postfix writes a key: every byte that is no plain text as %XX."""
    return "".join(
        "%%%02X" % byte if byte <= 32 or byte >= 127 or byte == ord("%")
        else chr(byte) for byte in key.encode("utf-8", "surrogateescape"))


def unquote(text):
    return re.sub(rb"%([0-9A-Fa-f]{2})",
                  lambda found: bytes([int(found.group(1), 16)]),
                  text).decode("utf-8", "surrogateescape")


class _Client:
    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(30)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(("127.0.0.1", address), 30)
        self._file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def is_closed(self):
        """Whether the server closes without a word."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


class TcpTable(_Client):
    def line(self, data):
        """The answer to a line, as it came."""
        self.send(data + b"\n")
        return self.reply()

    def reply(self):
        answer = self._file.readline()
        assert answer.endswith(b"\n"), answer
        return answer[:-1]

    def get(self, key):
        """(code, value or text) of a look-up."""
        code, text = self.line(b"get " + quote(key).encode()).split(b" ", 1)
        return int(code), unquote(text)


class SocketMap(_Client):
    def netstring(self, data):
        self.send(b"%d:%s," % (len(data), data))
        return self.reply()

    def reply(self):
        length = b""
        while not length.endswith(b":"):
            digit = self._file.read(1)
            assert digit, "closed"
            length += digit
        data = self._file.read(int(length[:-1]) + 1)
        assert data.endswith(b","), data
        return data[:-1]

    def get(self, name, key):
        """(word, value or text) of a look-up."""
        word, text = self.netstring(
            b"%s %s" % (name.encode(), key.encode())).split(b" ", 1)
        return word.decode(), text.decode("utf-8", "surrogateescape")
