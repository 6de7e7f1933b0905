"""A policy server that answers everything with one action, or with what a
function makes of the attributes (None: it closes the connection). It shows
that a private Postfix asks, and stands for the daemon that policyd replaces."""

import socket
import socketserver
import threading


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.connections.append(self.connection)
        attributes = {}
        for line in self.rfile:
            line = line.decode().rstrip("\n")
            if line:
                name, value = line.split("=", 1)
                attributes[name] = value
                continue
            self.server.requests.append(attributes)
            action = self.server.action
            if callable(action):
                action = action(attributes)
            attributes = {}
            if action is None:
                return
            self.wfile.write(b"action=%s\n\n" % action)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Dunno:
    def __init__(self, port, action=b"DUNNO"):
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.action = action
        self._server.requests = []
        self._server.connections = []
        self.requests = self._server.requests
        self.connections = self._server.connections
        threading.Thread(target=self._server.serve_forever,
                         daemon=True).start()

    def answer(self, action):
        self._server.action = action

    def stop(self):
        """Also ends the connections, which Postfix would go on using."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
