"""The life of a triplet over restarts, daemons and clocks that jump."""

import os

import pytest

from harness import wait_for
from harness.daemon import Policyd

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
ROW = "SELECT blocked_count, passed FROM iredapd.greylisting_tracking"
SENDER = "bulk@example.com"
EXCEEDED = "REJECT Throttling quota exceeded"


@pytest.fixture
def second(directory, ports, mariadb, clock, configured):
    daemon = Policyd(os.path.join(directory, "policyd-2"), mariadb, ports[4:],
                     clock)
    daemon.configure(**{"policyd.node": "second"})
    open(daemon.log_path, "w").close()
    yield daemon
    daemon.stop()


def row_is(mariadb, blocked_count, passed):
    wait_for(lambda: mariadb.rows(ROW) == [
        {"blocked_count": blocked_count, "passed": passed}],
        "blocked_count %d, passed %d" % (blocked_count, passed))


def test_two_daemons_are_one(configured, second, mariadb, clock):
    configured.start()
    second.start()
    with configured.client() as one, second.client() as two:
        assert one.ask() == LATER
        row_is(mariadb, 1, 0)
        assert two.ask() == LATER  # at once
        row_is(mariadb, 2, 0)
        clock.advance(870)
        assert one.ask() == LATER
        row_is(mariadb, 3, 0)
        clock.advance(31)
        assert two.ask() == "DUNNO"
        row_is(mariadb, 3, 1)
        # The client is free at the first, too, once its memory is old.
        clock.advance(1)
        assert one.ask(sender="another@sender.example") == "DUNNO"


def test_memory_is_not_needed(configured, mariadb, clock):
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
    configured.stop()
    row_is(mariadb, 1, 0)
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        clock.advance(901)
    configured.stop()
    configured.start()
    with configured.client() as client:
        assert client.ask() == "DUNNO"
    configured.stop()
    row_is(mariadb, 2, 1)
    configured.start()
    with configured.client() as client:
        assert client.ask(sender="another@sender.example") == "DUNNO"


def test_a_clock_that_is_put_back(configured, mariadb, clock):
    """By an hour: what was seen later than now stays valid, and passes when
    the clock is there again."""
    mariadb.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, 'outbound', 100, 600, 2)", (SENDER,))

    def count(client, at):
        return client.ask_at_end(sender=SENDER, sasl_username=SENDER,
                                 recipient="x@elsewhere.example",
                                 instance="1.%d" % at)
    clock.advance(86400)
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        assert [count(client, at) for at in range(3)] == [
            "DUNNO", "DUNNO", EXCEEDED]
        clock.advance(-3600)
        assert client.ask() == LATER
        assert count(client, 4) == EXCEEDED
        clock.advance(3600 + 901)
        assert client.ask() == "DUNNO"
        assert [count(client, at) for at in range(5, 8)] == [
            "DUNNO", "DUNNO", EXCEEDED]


def test_a_clock_that_jumps_ahead(configured, mariadb, clock):
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        row_is(mariadb, 1, 0)
        clock.advance(10 * 365 * 86400)
        assert client.ask() == LATER  # the record had expired
        row_is(mariadb, 1, 0)
        clock.advance(901)
        assert client.ask() == "DUNNO"


def test_changes_behind_our_back(configured, mariadb):
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        mariadb.execute("UPDATE iredapd.greylisting SET active = 0")
        wait_for(lambda: client.ask() == "DUNNO", "the change to show")
        mariadb.execute("UPDATE iredapd.greylisting SET active = 1")
        wait_for(lambda: client.ask() == LATER, "the change to show")


@pytest.mark.settings({"database.table_ttl": "60s"})
def test_changes_through_policyctl_show_at_once(configured):
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        configured.ctl("greylist", "disable", "--to", "example.com")
        assert client.ask() == "DUNNO"
        configured.ctl("greylist", "enable", "--to", "example.com")
        assert client.ask() == LATER
        configured.ctl("greylist", "pass", "192.0.2.1")
        assert client.ask() == "DUNNO"
        configured.ctl("greylist", "forget", "192.0.2.1")
        assert client.ask() == LATER
