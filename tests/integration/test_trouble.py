"""The server is there but refuses: locks, read only, a table, a column or a
right missing, no connection left. Replies keep coming, what is to be written
waits and arrives, and the log says it once."""

import time

import pytest

from harness import wait_for
from harness.policy import end_of_message, request

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
UNAVAILABLE = ("451 4.3.0 Service temporarily unavailable, "
               "please try again later")
SENDER = "bulk@example.com"
TRIPLETS = "SELECT COUNT(*) FROM iredapd.greylisting_tracking"
SESSIONS = "SELECT COUNT(*) FROM iredapd.smtp_sessions"


def new_triplets(client, n, first=0):
    client.send(b"".join(
        request(sender="s%d@sender.example" % at,
                client_address="192.%d.%d.9" % (at // 250 % 250, at % 250))
        for at in range(first, first + n)))
    return [client.reply() for _ in range(n)]


def count(client, instance):
    """One message that is under a limit."""
    client.send(end_of_message(sender=SENDER, sasl_username=SENDER,
                               recipient="x@elsewhere.example",
                               instance=instance))
    return client.reply()


def add_limit(database):
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, 'outbound', 100, 86400, 1000000)", (SENDER,))


def trouble(policyd, before):
    return [line for line in policyd.log()[before:].splitlines()
            if " error: " in line or " warning: " in line]


def arrives(mariadb, sql, n):
    wait_for(lambda: mariadb.value(sql) >= n, "%s: %d rows" % (sql, n))
    assert mariadb.value(sql) == n


@pytest.fixture
def limited(configured, mariadb):
    """policyd with a limit, connected, and with its statements prepared."""
    add_limit(mariadb)
    configured.start()
    with configured.client() as client:
        assert new_triplets(client, 1) == [LATER]
        assert count(client, "1.1") == "DUNNO"
    arrives(mariadb, TRIPLETS, 1)
    arrives(mariadb, SESSIONS, 2)
    return configured


def refuse(policyd, mariadb, begin, end, n_lines, first="DUNNO"):
    """What happens while the server refuses to write, and after."""
    before = len(policyd.log())
    begin()
    try:
        with policyd.client() as client:
            for at in range(20):
                assert new_triplets(client, 1, first=1000 + at) == [first]
                assert count(client, "2.%x" % at) == "DUNNO"
        # One for each statement that is refused.
        wait_for(lambda: trouble(policyd, before), "a line in the log")
        time.sleep(0.3)
        lines = trouble(policyd, before)
        assert 1 <= len(lines) <= n_lines, lines
    finally:
        end()
    # A recipient that is let through leaves no row.
    n = 42 if first == LATER else 22
    arrives(mariadb, SESSIONS, n)
    with policyd.client() as client:
        assert new_triplets(client, 1, first=5000) == [LATER]
        assert count(client, "3.1") == "DUNNO"
    arrives(mariadb, SESSIONS, n + 2)


def test_read_only(limited, mariadb):
    """As on a replica that is not the primary any more."""
    def begin():
        mariadb.execute("SET GLOBAL read_only = 1")

    def end():
        mariadb.execute("SET GLOBAL read_only = 0")
    # Triplets are read, and those made are remembered and wait.
    refuse(limited, mariadb, begin, end, 4, first=LATER)
    arrives(mariadb, TRIPLETS, 22)
    assert mariadb.value(
        "SELECT cur_msgs FROM iredapd.throttle_tracking") == 2


@pytest.mark.parametrize("table, first", [
    ("greylisting_tracking", "DUNNO"), ("throttle_tracking", LATER),
    ("smtp_sessions", LATER)])
def test_a_table_is_missing(limited, mariadb, table, first):
    def begin():
        mariadb.execute("RENAME TABLE iredapd.%s TO iredapd.away" % table)

    def end():
        mariadb.execute("RENAME TABLE iredapd.away TO iredapd.%s" % table)
    if table == "smtp_sessions":
        refuse(limited, mariadb, begin, end, 1, first)
    else:
        refuse(limited, mariadb, begin, end, 3, first)


@pytest.mark.parametrize("table, column, first", [
    ("greylisting_tracking", "blocked_count", "DUNNO"),
    ("throttle_tracking", "last_notify_time", LATER)])
def test_a_column_is_missing(limited, mariadb, table, column, first):
    def rename(old, new):
        mariadb.execute("ALTER TABLE iredapd.%s RENAME COLUMN %s TO %s"
                        % (table, old, new))
    refuse(limited, mariadb, lambda: rename(column, "away"),
           lambda: rename("away", column), 3, first)


@pytest.mark.parametrize("on_error, answer", [
    ("accept", "DUNNO"), ("defer", UNAVAILABLE)])
def test_no_right_on_the_counters(configured, mariadb, on_error, answer):
    add_limit(mariadb)
    mariadb.execute("CREATE USER IF NOT EXISTS narrow@localhost"
                    " IDENTIFIED BY '%s'"
                    % mariadb.PASSWORD.replace("'", "''"))
    mariadb.execute("GRANT SELECT ON iredapd.* TO narrow@localhost")
    mariadb.execute("GRANT INSERT ON iredapd.smtp_sessions"
                    " TO narrow@localhost")
    configured.configure(**{"iredapd_db.user": "narrow",
                            "throttle.on_error": on_error})
    configured.start()
    before = len(configured.log())
    with configured.client() as client:
        for at in range(10):
            assert count(client, "1.%x" % at) == answer
    lines = trouble(configured, before)
    assert len(lines) == 1 and "throttle_tracking" in lines[0], lines
    configured.stop()
    mariadb.execute("DROP USER narrow@localhost")


@pytest.mark.settings({"policyd.decision_deadline": "600ms"})
@pytest.mark.parametrize("table", [
    "throttle", "throttle_tracking", "greylisting", "greylisting_tracking",
    "greylisting_whitelists", "smtp_sessions"])
def test_a_table_is_locked(limited, mariadb, table):
    lock = mariadb.connect()
    lock.cursor().execute("LOCK TABLES iredapd.%s WRITE" % table)
    slowest, end, at = 0, time.monotonic() + 5, 0
    try:
        with limited.client() as client:
            while time.monotonic() < end:
                start = time.monotonic()
                assert new_triplets(client, 1, first=1000 + at)[0] in (
                    LATER, "DUNNO")
                assert count(client, "2.%x" % at) == "DUNNO"
                slowest = max(slowest, time.monotonic() - start)
                at += 1
                time.sleep(0.05)
    finally:
        lock.close()
    # Two answers, each within the deadline, whoever else is at work here.
    # Who waits for the lock would wait for ever.
    assert slowest < 2 * 0.6 + 4
    with limited.client() as client:
        wait_for(lambda: new_triplets(client, 1, first=20000) == [LATER],
                 "greylisting to work again")
        assert count(client, "3.1") == "DUNNO"


def test_no_connection_left(configured, mariadb):
    add_limit(mariadb)
    configured.configure(**{"greylisting.on_error": "defer"})
    before = mariadb.value("SELECT @@max_connections")
    mariadb.execute("SET GLOBAL max_connections = 10")
    others = []
    try:
        while True:
            others.append(mariadb.connect())
    except Exception as error:
        assert error.args[0] == 1040, error
    try:
        configured.spawn()
        wait_for(lambda: configured.ctl_run("status").returncode in (0, 6),
                 "the control socket")
        with configured.client() as client:
            assert new_triplets(client, 1)[0].startswith("451 4.3.0")
            for other in others:
                other.close()
            mariadb.execute("SET GLOBAL max_connections = %d" % before)
            wait_for(lambda: new_triplets(client, 1, first=7) == [LATER],
                     "policyd to be connected")
    finally:
        mariadb.execute("SET GLOBAL max_connections = %d" % before)
