"""What has expired goes: in the right tables, in batches, by one node at a
time, and without holding up anybody."""

import os
import signal
import subprocess
import time

import pytest

from harness import wait_for
from harness.daemon import Policyd, is_sanitized
from harness.policy import end_of_message

DAY = 86400
DONE, REFUSED = 0, 5
TABLES = ("iredapd.throttle_tracking", "iredapd.greylisting_tracking",
          "iredapd.senderscore_cache", "iredapd.greylisting_whitelists",
          "iredapd.smtp_sessions")
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
MANY = 20000


@pytest.fixture
def second(directory, ports, mariadb, clock, configured):
    daemon = Policyd(os.path.join(directory, "policyd-2"), mariadb, ports[4:],
                     clock)
    daemon.configure(**{"policyd.node": "second"})
    open(daemon.log_path, "w").close()
    yield daemon
    daemon.stop()


def prune(policyd, *options):
    return {row["table"]: row["rows"]
            for row in policyd.json("db", "prune", *options)
            if row["table"] in TABLES}


def keys(database, table):
    column = {"throttle_tracking": "account", "greylisting_tracking": "sender",
              "senderscore_cache": "client_address",
              "greylisting_whitelists": "sender",
              "smtp_sessions": "reason"}[table]
    return sorted(row[column] for row in database.rows(
        "SELECT %s FROM iredapd.%s" % (column, table)))


def add_some(database, now):
    """Rows that go are named gone..., the others stay..."""
    for rule, period in ((1, 600), (2, 3600), (3, 0)):
        database.execute(
            "INSERT INTO iredapd.throttle (id, account, kind, period,"
            " max_msgs) VALUES (%s, %s, 'outbound', %s, 5)",
            (rule, "user%d@example.com" % rule, period))
    for rule, account, period, age in (
            (1, "gone-1", 600, 610), (1, "stay-now", 600, 0),
            (1, "stay-not-over", 600, 540), (2, "gone-2", 3600, 3700),
            (2, "stay-3", 3600, 610), (3, "stay-none", 0, 10 * DAY),
            (2, "stay-longer-now", 600, 610)):
        database.execute(
            "INSERT INTO iredapd.throttle_tracking (tid, account, period,"
            " init_time) VALUES (%s, %s, %s, %s)",
            (rule, account, period, now - age))
    for sender, left, passed in (
            ("gone-1", -10, 0), ("gone-2", -10 * DAY, 1), ("stay-1", 60, 0),
            ("stay-2", 30 * DAY, 1)):
        database.execute(
            "INSERT INTO iredapd.greylisting_tracking (sender, recipient,"
            " client_address, record_expired, passed)"
            " VALUES (%s, 'a@example.com', '192.0.2.0/24', %s, %s)",
            (sender, now + left, passed))
    for client, at in (
            ("gone'1", now - 2 * DAY - 10), ("stay-1", now - 2 * DAY + 60),
            ("stay-by-hand", 4102444799)):
        database.execute(
            "INSERT INTO iredapd.senderscore_cache (client_address, score,"
            " time) VALUES (%s, 90, %s)", (client, at))
    for sender, comment, created_at in (
            ("gone-1", "AUTO-WHITELISTED", now - 90 * DAY - 10),
            ("stay-1", "AUTO-WHITELISTED", now - 90 * DAY + 60),
            ("stay-iredapd", "AUTO-WHITELISTED", 0),
            ("stay-mine", "mine", now - 900 * DAY)):
        database.execute(
            "INSERT INTO iredapd.greylisting_whitelists (account, sender,"
            " comment, created_at) VALUES ('@.', %s, %s, %s)",
            (sender + "@remote.example", comment, created_at))
    for reason, at in (("gone-1", now - 7 * DAY - 10), ("gone-2", 5),
                       ("stay-1", now - 7 * DAY + 60), ("stay-2", now)):
        database.execute(
            "INSERT INTO iredapd.smtp_sessions (reason, time_num)"
            " VALUES (%s, %s)", (reason, at))


def add_triplets(database, n, expired):
    database.execute(
        "INSERT INTO iredapd.greylisting_tracking (sender, recipient,"
        " client_address, record_expired)"
        " SELECT CONCAT('s', seq), 'a@example.com', '192.0.2.0/24', %s"
        " FROM iredapd.seq_1_to_" + str(n), (expired,))


def n_triplets(database):
    return database.value("SELECT COUNT(*) FROM iredapd.greylisting_tracking")


def test_what_goes_and_what_stays(policyd, mariadb, clock):
    add_some(mariadb, clock.now())
    before = {table: keys(mariadb, table.split(".")[1]) for table in TABLES}
    expired = prune(policyd, "--dry-run")
    assert {table: keys(mariadb, table.split(".")[1])
            for table in TABLES} == before
    went = prune(policyd)
    assert went == expired
    for table in TABLES:
        assert keys(mariadb, table.split(".")[1]) == [
            key for key in before[table] if key.startswith("stay")], table
        assert went[table] == sum(
            key.startswith("gone") for key in before[table]), table
    assert prune(policyd) == dict.fromkeys(TABLES, 0)


@pytest.mark.settings({"sessions.keep_days": "1", "cleanup.score_days": "10"})
def test_days_can_be_set(policyd, mariadb, clock):
    add_some(mariadb, clock.now())
    prune(policyd)
    assert keys(mariadb, "smtp_sessions") == ["stay-2"]
    assert keys(mariadb, "senderscore_cache") == ["gone'1", "stay-1",
                                                  "stay-by-hand"]


@pytest.mark.settings({"cleanup.batch": "10", "cleanup.pause": "0s"})
@pytest.mark.parametrize("n", [9, 10, 11, 95, 100])
def test_batches_are_bounded(policyd, mariadb, clock, n):
    add_triplets(mariadb, n, clock.now() - 1)
    # The counter is the server's own, and not of this connection.
    count = ("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
             " WHERE VARIABLE_NAME = 'COM_DELETE_MULTI'")
    before = int(mariadb.value(count))
    assert prune(policyd)["iredapd.greylisting_tracking"] == n
    assert int(mariadb.value(count)) - before == (n + 9) // 10
    assert n_triplets(mariadb) == 0


@pytest.mark.settings({"cleanup.batch": "10", "cleanup.pause": "0s"})
def test_live_counters_between_expired_ones(policyd, mariadb, clock):
    """throttle_tracking has no index on times: it is walked by its key."""
    now = clock.now()
    mariadb.execute("INSERT INTO iredapd.throttle (id, account, kind, period)"
                    " VALUES (1, '@.', 'outbound', 60)")
    mariadb.execute(
        "INSERT INTO iredapd.throttle_tracking (tid, account, period,"
        " init_time) SELECT 1, CONCAT('u', seq), 60,"
        " IF(seq %% 25 = 0, %s, %s) FROM iredapd.seq_1_to_1000",
        (now - 61 - 10, now))
    assert prune(policyd)["iredapd.throttle_tracking"] == 40
    assert mariadb.value(
        "SELECT COUNT(*) FROM iredapd.throttle_tracking") == 960


def test_rows_cannot_be_removed(policyd, mariadb, clock):
    """It says so, and goes on with the other tables."""
    add_some(mariadb, clock.now())
    mariadb.execute("CREATE TRIGGER iredapd.stubborn BEFORE DELETE"
                    " ON iredapd.senderscore_cache FOR EACH ROW"
                    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'never'")
    try:
        rows = policyd.json("db", "prune")
        errors = {row["table"]: row["error"] for row in rows}
        assert "never" in errors.pop("iredapd.senderscore_cache")
        assert set(errors.values()) == {""}
        assert "never" in policyd.json("status")["cleanup"]["error"]
        assert keys(mariadb, "smtp_sessions") == ["stay-1", "stay-2"]
    finally:
        mariadb.execute("DROP TRIGGER iredapd.stubborn")


@pytest.mark.settings({"cleanup.enabled": "yes", "cleanup.interval": "1s"})
def test_it_is_done_by_itself(policyd, mariadb, clock):
    add_some(mariadb, clock.now())
    wait_for(lambda: keys(mariadb, "smtp_sessions") == ["stay-1", "stay-2"],
             "the sessions")
    add_triplets(mariadb, 10, clock.now() - 1)
    wait_for(lambda: n_triplets(mariadb) == 2, "the triplets")
    status = policyd.json("status")
    assert status["cleanup"]["node"] == "test"
    assert abs(status["cleanup"]["finished_at"] - clock.now()) < 60
    assert status["cleanup"]["error"] == ""
    metrics = policyd.json("stats")["metrics"]
    assert metrics["cleanup_runs_total"] >= 1
    assert metrics["cleanup_rows_total"] >= 17
    assert "cleanup rows=" in policyd.log()


def test_switched_off(policyd, mariadb, clock):
    assert policyd.json("status")["cleanup"]["state"] == "off"
    add_some(mariadb, clock.now())
    assert prune(policyd)["iredapd.smtp_sessions"] == 2


def test_what_has_gone_does_not_come_back(policyd, mariadb, clock):
    """Memory and the writes that wait hold triplets, too."""
    tracking = ("SELECT passed, blocked_count, init_time"
                " FROM iredapd.greylisting_tracking")
    with policyd.client() as client:
        assert client.ask() == LATER
        wait_for(lambda: mariadb.rows(tracking), "the row")
        clock.advance(901)
        assert client.ask() == "DUNNO"
        wait_for(lambda: mariadb.rows(tracking)[0]["passed"] == 1, "the pass")
        # Known in memory as passed; then it expires, and its row goes.
        clock.advance(30 * DAY + 10)
        assert prune(policyd)["iredapd.greylisting_tracking"] == 1
        assert mariadb.rows(tracking) == []
        # It is a stranger again, and begins anew.
        assert client.ask() == LATER
        wait_for(lambda: mariadb.rows(tracking), "a new row")
        row, = mariadb.rows(tracking)
        assert (row["passed"], row["blocked_count"]) == (0, 1)
        assert abs(row["init_time"] - clock.now()) < 60
        clock.advance(DAY + 1)
        assert prune(policyd)["iredapd.greylisting_tracking"] == 1
        assert client.ask() == LATER
        wait_for(lambda: mariadb.rows(tracking), "a new row")
        assert [row["blocked_count"] for row in mariadb.rows(tracking)] == [1]


def test_a_row_that_lives_on_is_not_removed(policyd, mariadb, clock):
    """A counter renewed between the reading and the removing stays."""
    policyd.ctl("throttle", "set", "@.", "external", "--period", "1h",
                "--max-msgs", "9")
    with policyd.client() as client:
        for instance, seconds in (("a.1", 0), ("a.2", 3601)):
            clock.advance(seconds)
            client.send(end_of_message(instance=instance))
            assert client.reply() == "DUNNO"
            assert prune(policyd)["iredapd.throttle_tracking"] == 0
        assert mariadb.value(
            "SELECT cur_msgs FROM iredapd.throttle_tracking") == 1
        clock.advance(3601)
        assert prune(policyd)["iredapd.throttle_tracking"] == 1


# --- several nodes ----------------------------------------------------------

SLOW = {"cleanup.batch": "10", "cleanup.pause": "1s"}


def start_slowly(policyd):
    """A prune that takes long, left by who asked for it."""
    asking = subprocess.Popen(
        [policyd.ctl_path, "--config", policyd.path, "db", "prune"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: policyd.json("status")["cleanup"]["state"] == "at work",
             "the run")
    asking.kill()
    asking.wait()


@pytest.mark.settings(SLOW)
def test_one_node_at_a_time(configured, second, mariadb, clock):
    configured.start()
    second.start()
    add_triplets(mariadb, 1000, clock.now() - 1)
    start_slowly(configured)
    wait_for(lambda: n_triplets(mariadb) < 1000, "the first batch")
    done = second.ctl_run("db", "prune")
    assert done.returncode == REFUSED
    assert "another node is at work" in done.stderr
    done = configured.ctl_run("db", "prune")
    assert done.returncode == REFUSED
    assert "under way already" in done.stderr
    # To count is free; who asked has gone, the run goes on.
    assert prune(second, "--dry-run")["iredapd.greylisting_tracking"] > 0
    configured.configure(**dict(SLOW, **{"cleanup.pause": "0s"}))
    configured.ctl("reload")
    wait_for(lambda: n_triplets(mariadb) == 0, "the rest")
    wait_for(lambda: configured.json("status")["cleanup"]["state"] != "at work",
             "the end")
    assert second.ctl_run("db", "prune").returncode == DONE
    lease, = mariadb.rows(
        "SELECT * FROM policyd.lease WHERE name = 'cleanup'")
    assert (lease["node"], lease["holder"]) == ("second", "")


@pytest.mark.settings({"cleanup.enabled": "yes", "cleanup.interval": "2s"})
def test_once_in_an_interval_for_all_nodes(configured, second, mariadb):
    second.configure(**{"policyd.node": "second", "cleanup.enabled": "yes",
                        "cleanup.interval": "2s"})
    configured.start()
    second.start()
    began = time.monotonic()

    def runs():
        return [daemon.log().count("cleanup rows=")
                for daemon in (configured, second)]

    wait_for(lambda: sum(runs()) >= 4, "four runs")
    took = time.monotonic() - began
    # Each by itself would have made twice as many.
    assert sum(runs()) <= took / 1.8 + 3


@pytest.mark.settings(SLOW)
def test_the_lease_of_a_dead_node_runs_out(configured, second, mariadb,
                                           clock):
    configured.start()
    second.start()
    add_triplets(mariadb, 1000, clock.now() - 1)
    start_slowly(configured)
    children = configured.children()
    # Those whose supervisor is gone give the lease back, if they get to it.
    os.kill(configured.process.pid, signal.SIGSTOP)
    for pid in children + [configured.process.pid]:
        os.kill(pid, signal.SIGKILL)
    configured.process.wait()
    configured.process = None
    # Long enough to be sure, short enough to be of use.
    assert second.ctl_run("db", "prune", "--dry-run").returncode == DONE
    assert second.ctl_run("db", "prune").returncode == REFUSED
    second.configure(**{"policyd.node": "second"})
    second.ctl("reload")
    wait_for(lambda: second.ctl_run("db", "prune").returncode == DONE,
             "the lease", 60, every=1)
    assert n_triplets(mariadb) == 0


# --- in trouble --------------------------------------------------------------

@pytest.mark.settings({"cleanup.enabled": "yes", "cleanup.interval": "1s",
                       "database.connect_timeout": "500ms"})
def test_the_database_is_away(policyd, mariadb, clock):
    wait_for(lambda: "cleanup rows=" in policyd.log(), "a run")
    mariadb.kill()
    try:
        policyd.wait_for_log("clean-up: policyd.lease")
        assert policyd.ctl_run("db", "prune").returncode == REFUSED
    finally:
        mariadb.start()
    add_triplets(mariadb, 10, clock.now() - 1)
    wait_for(lambda: n_triplets(mariadb) == 0, "the triplets")
    # Some database may not be back yet: any exit status will do.
    wait_for(lambda: policyd.json("status", status=None)["cleanup"]["error"]
             == "",
             "a run without an error")


@pytest.mark.settings(SLOW)
def test_it_stops_with_the_daemon(configured, mariadb, clock):
    configured.start()
    add_triplets(mariadb, 1000, clock.now() - 1)
    start_slowly(configured)
    began = time.monotonic()
    configured.stop()
    # The rest would have taken longer.
    assert time.monotonic() - began < 30
    assert mariadb.value("SELECT holder FROM policyd.lease") == ""
    assert mariadb.value("SELECT finished_at FROM policyd.lease") == 0
    assert n_triplets(mariadb) > 0


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as file:
        return int([line.split()[1] for line in file
                    if line.startswith("VmRSS")][0])


@pytest.mark.settings({"cleanup.pause": "50ms", "log.level": "warning"})
def test_many_rows_hold_up_nobody(policyd, mariadb, clock):
    add_triplets(mariadb, MANY, clock.now() - 1)
    mariadb.execute(
        "INSERT INTO iredapd.smtp_sessions (time_num, reason)"
        " SELECT 5, CONCAT('r', seq) FROM iredapd.seq_1_to_%d" % MANY)
    pid, = policyd.children()
    with policyd.client() as client:
        client.ask()
        before = resident_kib(pid)
        start_slowly(policyd)
        longest, n = 0, 0
        while policyd.json("status")["cleanup"]["state"] == "at work":
            for _ in range(100):
                began = time.monotonic()
                assert client.ask(sender="s%d@sender.example" % n) == LATER
                longest = max(longest, time.monotonic() - began)
                n += 1
    assert mariadb.value("SELECT COUNT(*) FROM iredapd.smtp_sessions"
                         " WHERE time_num = 5") == 0
    assert n >= 100
    assert longest < 4
    # What it asked to remember takes some, too; a sanitizer keeps what was
    # freed, and so says nothing about memory.
    if not is_sanitized(pid):
        assert resident_kib(pid) - before < 32 * 1024
