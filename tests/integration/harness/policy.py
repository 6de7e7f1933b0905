"""A client of the policy protocol on a bare socket."""

import socket


class Closed(Exception):
    """The server closed the connection instead of a reply."""


def request(**attributes):
    """The bytes of one request; protocol_state RCPT unless told."""
    all_attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "protocol_name": "ESMTP",
        "helo_name": "client.example",
        "queue_id": "",
        "sender": "someone@sender.example",
        "recipient": "alice@example.com",
        "recipient_count": "0",
        "client_address": "192.0.2.1",
        "client_name": "unknown",
        "reverse_client_name": "unknown",
        "instance": "1.2.3",
        "sasl_method": "",
        "sasl_username": "",
        "sasl_sender": "",
        "size": "0",
    }
    all_attributes.update(attributes)
    return "".join("%s=%s\n" % item for item in all_attributes.items()
                   if item[1] is not None).encode("utf-8",
                                                  "surrogateescape") + b"\n"


def end_of_message(**attributes):
    """A request at END-OF-MESSAGE for one recipient of 1000 bytes."""
    all_attributes = {"protocol_state": "END-OF-MESSAGE",
                      "recipient_count": "1", "size": "1000"}
    all_attributes.update(attributes)
    return request(**all_attributes)


class Client:
    """One connection, as smtpd keeps it."""

    def __init__(self, port=None, host="127.0.0.1", path=None, timeout=30):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next reply, without "action="."""
        while b"\n\n" not in self._left:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert not self._left, "half a reply: %r" % self._left
                raise Closed()
            self._left += data
        text, self._left = self._left.split(b"\n\n", 1)
        assert text.startswith(b"action=") and b"\n" not in text, text
        return text[len(b"action="):].decode()

    def ask(self, **attributes):
        self.send(request(**attributes))
        return self.reply()

    def ask_at_end(self, **attributes):
        self.send(end_of_message(**attributes))
        return self.reply()

    def assert_silent(self, seconds=0.05):
        """Nothing more is on its way (a negative needs some wait)."""
        assert not self._left, self._left
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1)
        except socket.timeout:
            data = None
        self.socket.settimeout(30)
        assert data is None, "not silent: %r" % data

    def assert_closed(self):
        """The server closes without a word."""
        try:
            text = self.reply()
        except Closed:
            return
        raise AssertionError("answered: " + text)

    def close(self):
        self.socket.close()
