"""A policy server that answers everything with one action: it shows that a
private Postfix asks, before policyd is blamed for anything."""

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
            attributes = {}
            self.wfile.write(b"action=%s\n\n" % self.server.action)


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
        threading.Thread(target=self._server.serve_forever,
                         daemon=True).start()

    def stop(self):
        """Also ends the connections, which Postfix would go on using."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
