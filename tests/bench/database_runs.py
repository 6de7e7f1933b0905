"""What policyd has to ask or tell the database: new triplets, counters, and a
million triplets that were not in memory."""

import json
import time

import data
from rows import CONNECTIONS_MANY, Row, Stopping, number, per_second, rates
from servers import Failure, accepted, expect, load, resident_mb

BAR_NEW = 20000
BAR_HOT = 10000
BAR_STATEMENTS = 1.0
BAR_MEMORY_MB = 200

LIMIT = 1000
LIMITED = 10 * LIMIT
NO_LIMIT = 1000000000
THROTTLED = "REJECT Throttling quota exceeded"
DECISIONS_MAX = 50000  # limits.decisions

WITHOUT_SESSIONS = {"sessions.enabled": "no"}
WITHOUT_LOGS = {"sessions.enabled": "no", "decisions.enabled": "no"}
# Until what start() left behind is written.
SETTLE_SECONDS = 1.0


class Run:
    """One load run against a daemon with empty tables, until it has stopped
    and so has written everything."""

    def __init__(self, bench, mode, n, settings, **options):
        self.n = n
        daemon = bench.few
        before = None
        with Stopping(daemon.configure(**settings)):
            daemon.start()
            time.sleep(SETTLE_SECONDS)
            before = bench.status.statements()
            self.result = load(daemon.port, mode, n, CONNECTIONS_MANY,
                               **options)
            self._wait(bench, daemon)
        self.statements = (bench.status.statements() - before) / n
        self.sessions, self.decisions = (
            bench.status.count(daemon.names.table(name)) for name in
            ("iredapd.smtp_sessions", "policyd.decision"))

    def _wait(self, bench, daemon):
        """Answers may run ahead of the triplets that are written."""
        ended = time.monotonic()
        table = daemon.names.table("iredapd.greylisting_tracking")
        # One is of the stranger in start().
        wanted = 1 + self.result["actions"].get("451", 0)
        stored, when = bench.status.wait_for_rows(table, wanted)
        self.lost = wanted - stored
        self.stored_per_second = self.n / (
            self.result["seconds"] + when - ended)

    def log_row(self, n_sessions, n_decisions):
        """They go out at a pace; in a flood what waits too long is lost."""
        return Row("   log rows written: sessions, decisions",
                   "%s of %s, %s of %s" % (
                       number(min(self.sessions, n_sessions)),
                       number(n_sessions),
                       number(min(self.decisions, n_decisions)),
                       number(n_decisions)))

    def statements_row(self):
        return Row("   SQL statements for a request",
                   "%.3f" % self.statements, "<= %.0f" % BAR_STATEMENTS,
                   self.statements <= BAR_STATEMENTS)


# --- new triplets ------------------------------------------------------------


def new_run(bench, settings):
    bench.forget_mail()
    run = Run(bench, "new", bench.counts.new, settings, seed=1)
    expect(run.result, "451", run.n)
    return run


def stored_figure(run):
    figure = per_second(run.stored_per_second)
    if run.lost > 0:
        figure += ", %s LOST" % number(run.lost)
    return figure


def new_triplets(bench):
    run = new_run(bench, {})
    yield Row("3  new triplets, %d connections: answered and stored"
              % CONNECTIONS_MANY, stored_figure(run),
              ">= " + per_second(BAR_NEW),
              run.lost == 0 and run.stored_per_second >= BAR_NEW,
              result=run.result, lost=run.lost)
    yield Row("   the answers alone", rates(run.result))
    yield run.statements_row()
    yield run.log_row(run.n, run.n)
    for settings, what in (
            (WITHOUT_SESSIONS, "   with sessions.enabled = no"),
            (WITHOUT_LOGS, "   and with decisions.enabled = no")):
        run = new_run(bench, settings)
        yield Row(what, "%s, answers %s" % (
            stored_figure(run), rates(run.result)), result=run.result)


# --- one counter -------------------------------------------------------------


def hot_run(bench, n, max_msgs, settings):
    """n messages of one login; also what its counter says in the end."""
    bench.forget_mail()
    data.limit_hot_login(bench.database, bench.few.names, max_msgs)
    run = Run(bench, "hot", n, settings, user=data.HOT, limit_text=THROTTLED)
    return run, data.hot_counter(bench.database, bench.few.names)


def hot_key(bench):
    n = bench.counts.hot
    run, counter = hot_run(bench, n, NO_LIMIT, {})
    expect(run.result, "dunno", n)
    yield Row("4  throttle, one hot key, %d connections: decisions"
              % CONNECTIONS_MANY, rates(run.result),
              ">= " + per_second(BAR_HOT),
              run.result["per_second"] >= BAR_HOT, result=run.result)
    yield run.statements_row()
    yield run.log_row(n, 0)
    yield Row("   counted in the table, of %s accepted" % number(n),
              number(counter), "all", counter == n)
    yield limited(bench)
    run, _ = hot_run(bench, n, NO_LIMIT, WITHOUT_SESSIONS)
    yield Row("   with sessions.enabled = no", rates(run.result),
              result=run.result)


def limited(bench):
    run, counter = hot_run(bench, LIMITED, LIMIT, {})
    n = accepted(run.result)
    if n + run.result["limited"] != LIMITED:
        raise Failure("unexpected answers: %s" % run.result["actions"])
    return Row("   accepted of %s with a limit of %s" % (
        number(LIMITED), number(LIMIT)),
        "%s, counted %s" % (number(n), number(counter)), "exactly",
        n == LIMIT and counter == LIMIT, result=run.result)


# --- a million triplets ------------------------------------------------------


def memory(bench):
    n, daemon = bench.counts.known, bench.few
    bench.forget_mail()
    data.make_known(bench.database, daemon.names, n)
    data.limit_hot_login(bench.database, daemon.names, 1)
    with Stopping(daemon.configure()):
        daemon.start()
        at_start = resident_mb(daemon.pids())
        before = bench.status.statements()
        result = load(daemon.port, "known", n, CONNECTIONS_MANY, keys=n)
        expect(result, "dunno", n)
        statements = (bench.status.statements() - before) / n
        resident = resident_mb(daemon.pids())
        yield Row("5  memory with %s triplets known" % number(n),
                  "%.0f MB, at start %.0f MB" % (resident, at_start),
                  "<= %d MB" % BAR_MEMORY_MB, resident <= BAR_MEMORY_MB)
        yield Row("   of these in memory, and clients", "%s, %s" % tuple(
            number(remembered(daemon)[name])
            for name in ("triplets_in_memory", "clients_in_memory")))
        yield Row("   asking for all of them", "%s, %.3f SQL for one" % (
            rates(result), statements), result=result)
        refuse(bench)
        yield Row("   and %s refusals that can be explained" % number(
            min(bench.counts.explained, DECISIONS_MAX)),
            "%.0f MB" % resident_mb(daemon.pids()))


def refuse(bench):
    """All but the first message of the hot login."""
    n = bench.counts.explained
    result = load(bench.few.port, "hot", n, CONNECTIONS_MANY, user=data.HOT,
                  limit_text=THROTTLED)
    if result["limited"] != n - 1:
        raise Failure("expected refusals, got %s" % result["actions"])


def remembered(daemon):
    """What the daemon itself says it has in memory."""
    told = daemon.ctl_run("--json", "status")
    try:
        return json.loads(told.stdout)
    except ValueError:
        raise Failure("policyctl status: %s" % told.stderr.strip())
