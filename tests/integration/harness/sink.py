"""An SMTP server on loopback that keeps what it is given, as it was given:
where Postfix delivers to when a test wants to see the message."""

import email
import email.policy
import socket
import threading

from . import wait_for

PATIENCE = 60


class Message:
    def __init__(self, sender, recipients, data):
        self.sender = sender
        self.recipients = recipients
        self.data = data  # bytes, with CRLF
        self.parsed = email.message_from_bytes(
            data, policy=email.policy.compat32)

    def fields(self, name):
        """The values of the fields of that name, from the top, unfolded."""
        return [" ".join(str(value).split())
                for value in self.parsed.get_all(name, [])]

    def names(self):
        """The names of all fields, from the top."""
        return [name.lower() for name in self.parsed.keys()]


class Sink:
    """Listens at once, on its port; close() it."""

    def __init__(self):
        self._messages = []
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._is_open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._is_open = False
        try:
            # Wakes the thread that waits in it.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def messages(self):
        with self._lock:
            return list(self._messages)

    def find(self, text):
        """Waits for the message that holds text, such as its subject."""
        def found():
            return [one for one in self.messages()
                    if text.encode() in one.data]
        return wait_for(found, "a message with %r" % text, 60)[0]

    def _serve(self):
        while self._is_open:
            try:
                client, _ = self._socket.accept()
            except OSError:
                continue
            threading.Thread(target=self._talk, daemon=True,
                             args=(client,)).start()

    def _talk(self, client):
        client.settimeout(PATIENCE)
        with client, client.makefile("rwb") as file:
            try:
                self._take_commands(file)
            except OSError:
                pass

    def _take_commands(self, file):
        envelope = {}

        def say(line):
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 sink.example ESMTP")
        for line in iter(file.readline, b""):
            verb = line.strip().upper()
            if verb.startswith(b"EHLO"):
                say(b"250-sink.example\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb.startswith(b"MAIL FROM:"):
                envelope = {"sender": _address(line), "recipients": []}
                say(b"250 Ok")
            elif verb.startswith(b"RCPT TO:"):
                envelope["recipients"].append(_address(line))
                say(b"250 Ok")
            elif verb == b"DATA":
                say(b"354 Go on")
                message = Message(data=_read_data(file), **envelope)
                with self._lock:
                    self._messages.append(message)
                say(b"250 Ok")
            elif verb == b"QUIT":
                say(b"221 Bye")
                return
            else:
                say(b"250 Ok")


def _address(line):
    return line.decode().split("<", 1)[1].split(">", 1)[0]


def _read_data(file):
    data = b""
    for line in iter(file.readline, b""):
        if line == b".\r\n":
            break
        data += line[1:] if line.startswith(b".") else line
    return data
