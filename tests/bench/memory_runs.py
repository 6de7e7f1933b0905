"""What policyd answers from memory: beside the echo server, and with very
many domains."""

import statistics
import time

import data
from rows import CONNECTIONS, Row, Stopping, number, per_second
from servers import Echo, cpu_seconds, expect, load, resident_mb

KEYS = 1000
# How long policyd trusts what it has read (database.table_ttl), and a bit:
# in a time of this length it looks at every table.
IDLE_SECONDS = 11

BAR_SHARE = 0.60
BAR_P99_MS = 1.0
BAR_START_SECONDS = 1.0
BAR_DOMAINS_SHARE = 0.95


def closed_loop(server, n):
    """Requests a second from memory, and what one costs the server."""
    before = cpu_seconds(server.pids())
    result = load(server.port, "known", n, CONNECTIONS, keys=KEYS)
    expect(result, "dunno", n)
    used = cpu_seconds(server.pids()) - before
    return result["per_second"], used / n * 1e6


def warm_up(daemon):
    """All keys read just now, so that they are trusted for a while."""
    expect(load(daemon.port, "known", KEYS, CONNECTIONS, keys=KEYS),
           "dunno", KEYS)


def requests_for(server, counts):
    """So many that a run takes about counts.seconds."""
    rate = closed_loop(server, counts.probe)[0]
    return max(counts.probe, int(rate * counts.seconds))


class MemoryRuns:
    """Rounds of echo server and policyd in turn, so that what else happens
    on the machine meets both."""

    def __init__(self, bench, echo, daemon):
        self.bench = bench
        self.echo = echo
        self.daemon = daemon
        self.echo_rates, self.echo_us = [], []
        self.rates, self.us = [], []
        self.statements, self.idle = [], []
        warm_up(daemon)
        self.n_echo = requests_for(echo, bench.counts)
        self.n = requests_for(daemon, bench.counts)

    def round(self):
        rate, us = closed_loop(self.echo, self.n_echo)
        self.echo_rates.append(rate)
        self.echo_us.append(us)
        self._idle()
        warm_up(self.daemon)
        before = self.bench.status.statements()
        rate, us = closed_loop(self.daemon, self.n)
        self.statements.append(self.bench.status.statements() - before)
        self.rates.append(rate)
        self.us.append(us)

    def rows(self):
        ceiling = statistics.median(self.echo_rates)
        rate = statistics.median(self.rates)
        share = rate / ceiling
        yield Row("1  echo server, %d connections: requests" % CONNECTIONS,
                  per_second(ceiling), all=self.echo_rates)
        yield Row("2  from memory, %d connections: requests" % CONNECTIONS,
                  "%s, %.0f %% of 1" % (per_second(rate), share * 100),
                  ">= %.0f %%" % (BAR_SHARE * 100), share >= BAR_SHARE,
                  all=self.rates, share=share)
        yield Row("   processor time of the server for one",
                  "%.1f us, echo server %.1f us" % (
                      statistics.median(self.us),
                      statistics.median(self.echo_us)))
        # A run is shorter than the time between two looks at the tables, so
        # it meets one round of looks or none.
        yield Row("   SQL statements in %s requests" % number(self.n),
                  "%d, when idle %d" % (max(self.statements),
                                        min(self.idle)),
                  "as idle", max(self.statements) <= min(self.idle),
                  all=self.statements, idle=self.idle)

    def _idle(self):
        before = self.bench.status.statements()
        time.sleep(IDLE_SECONDS)
        self.idle.append(self.bench.status.statements() - before)


def from_memory(bench):
    daemon = bench.few
    bench.forget_mail()
    data.make_known(bench.database, daemon.names, KEYS)
    with Stopping(Echo(bench.echo_port)) as echo, \
            Stopping(daemon.configure()):
        daemon.start()
        runs = MemoryRuns(bench, echo, daemon)
        for _ in range(bench.counts.rounds):
            runs.round()
        yield from runs.rows()
        yield from half_rate(bench, echo, daemon,
                             int(statistics.median(runs.rates) / 2))


def open_loop(server, rate, n):
    result = load(server.port, "known", n, CONNECTIONS, keys=KEYS, rate=rate)
    expect(result, "dunno", n)
    return result


def half_rate(bench, echo, daemon, rate):
    n = int(rate * bench.counts.open_seconds)
    # What the machine and the load itself add to any answer.
    least = open_loop(echo, rate, n // 2)
    before = bench.status.statements()
    result = open_loop(daemon, rate, n)
    statements = bench.status.statements() - before
    p99_ms = result["p99_us"] / 1000
    yield Row("   p99 at %s, open loop" % per_second(rate),
              "%.2f ms, echo server %.2f ms" % (
                  p99_ms, least["p99_us"] / 1000),
              "< %.0f ms" % BAR_P99_MS, p99_ms < BAR_P99_MS, result=result,
              echo=least)
    yield Row("   SQL statements in these %.0f s (tables and clients that"
              " are due)" % result["seconds"],
              "%s for %s requests" % (number(statements), number(n)))


# --- many domains ------------------------------------------------------------


def large_site(bench):
    few, many = bench.few, bench.many
    bench.forget_mail()
    for daemon in (few, many):
        data.make_known(bench.database, daemon.names, KEYS)
    name = number(bench.counts.domains)
    seconds = {daemon: start_seconds(bench, daemon) for daemon in (few, many)}
    yield Row("6  from exec to an answer from the tables, %s domains" % name,
              "%.2f s, with %d %.2f s" % (
                  seconds[many], data.DOMAINS_FEW, seconds[few]),
              "< %.0f s" % BAR_START_SECONDS,
              seconds[many] < BAR_START_SECONDS)
    with Stopping(few.configure()), Stopping(many.configure()):
        few.start()
        many.start()
        rates, us = in_turn(bench, (few, many))
        resident = resident_mb(many.pids())
    rate = statistics.median(rates[many])
    share = rate / statistics.median(rates[few])
    yield Row("   requests from memory, %s domains" % name,
              "%s, %.0f %% of those with %d" % (
                  per_second(rate), share * 100, data.DOMAINS_FEW),
              ">= %.0f %%" % (BAR_DOMAINS_SHARE * 100),
              share >= BAR_DOMAINS_SHARE, few=rates[few], many=rates[many])
    yield Row("   processor time for one, %s domains" % name,
              "%.1f us, with %d %.1f us" % (
                  statistics.median(us[many]), data.DOMAINS_FEW,
                  statistics.median(us[few])))
    yield Row("   memory, %s domains" % name, "%.0f MB" % resident)


def start_seconds(bench, daemon):
    seconds = []
    for _ in range(bench.counts.rounds):
        with Stopping(daemon.configure()):
            seconds.append(daemon.start_seconds())
    return statistics.median(seconds)


def in_turn(bench, daemons):
    """Short runs, many: two medians that are to be compared closely."""
    rates = {daemon: [] for daemon in daemons}
    us = {daemon: [] for daemon in daemons}
    for daemon in daemons:
        warm_up(daemon)
    n = requests_for(daemons[0], bench.counts) // 2
    for _ in range(2 * bench.counts.rounds + 1):
        for daemon in daemons:
            warm_up(daemon)
            rate, cost = closed_loop(daemon, n)
            rates[daemon].append(rate)
            us[daemon].append(cost)
    return rates, us
