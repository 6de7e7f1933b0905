"""What all measurements share: rows of the table, how much is measured, and
what it is measured with."""

import data
from servers import Echo, Status

CONNECTIONS = 100
CONNECTIONS_MANY = 200


class Row:
    """One line of the table. bar None: told, not judged."""

    def __init__(self, what, figure, bar=None, is_met=None, **values):
        self.what = what
        self.figure = figure
        self.bar = bar
        self.is_met = is_met
        self.values = values  # for --json

    @property
    def verdict(self):
        return {None: "", True: "met", False: "missed"}[self.is_met]


class Counts:
    """How much is measured."""

    def __init__(self, is_quick):
        self.seconds = 1.5 if is_quick else 6
        self.open_seconds = 3 if is_quick else 20
        self.rounds = 1 if is_quick else 3
        self.probe = 10000 if is_quick else 40000
        self.new = 20000 if is_quick else 400000
        self.hot = 10000 if is_quick else 200000
        self.known = 50000 if is_quick else 1000000
        self.explained = 5000 if is_quick else 60000
        self.domains = 10000 if is_quick else 100000
        self.evaluations = 5000 if is_quick else 100000
        self.messages = 5000 if is_quick else 50000
        self.signed = 2000 if is_quick else 20000
        self.steady_seconds = 10 if is_quick else 30


class Bench:
    """few, many and site are daemons on databases of their own: of 10
    domains, of very many, and as iRedMail fills them. Each measurement starts what
    it needs and stops it."""

    def __init__(self, counts, database, few, many, site, echo_port):
        self.counts = counts
        self.database = database
        self.few = few
        self.many = many
        self.site = site
        self.has_site = False  # its rows are in the database
        self.echo_port = echo_port
        self.status = Status(database)

    def forget_mail(self):
        for daemon in (self.few, self.many, self.site):
            data.forget_mail(self.database, daemon.names)


class Stopping:
    """with Stopping(server): stopped at the end whatever happens."""

    def __init__(self, server):
        self._stop = server.close if isinstance(server, Echo) else server.stop
        self._server = server

    def __enter__(self):
        return self._server

    def __exit__(self, *_):
        self._stop()


def number(value):
    return "{:,.0f}".format(value)


def per_second(value):
    return number(value) + "/s"


def rates(result):
    """What a load run with waiting in it says of the answers."""
    return "%s, p99 %.1f ms" % (
        per_second(result["per_second"]), result["p99_us"] / 1000)
