"""The database stops, dies, freezes and comes back during traffic."""

import time

import pytest

from harness import wait_for
from harness.policy import Client, request

LATER = "451 4.7.1 Intentional policy rejection, please try again later"


@pytest.fixture(autouse=True)
def thawed(mariadb):
    yield
    if mariadb.is_running:
        mariadb.thaw()


def ask_new(client, n, first=0):
    """n new triplets, pipelined: all answers."""
    client.send(b"".join(
        request(sender="s%d@sender.example" % at,
                client_address="192.%d.%d.9" % (at // 250 % 250, at % 250))
        for at in range(first, first + n)))
    return [client.reply() for _ in range(n)]


def n_triplets(mariadb):
    return mariadb.value("SELECT COUNT(*) FROM iredapd.greylisting_tracking")


def is_up(policyd):
    status = policyd.json("status", status=None)
    return all(one["is_up"] for one in status["databases"])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_gone_and_back(policyd, mariadb, end):
    with policyd.client() as client:
        assert ask_new(client, 20) == [LATER] * 20
        wait_for(lambda: n_triplets(mariadb) == 20, "twenty rows")
        getattr(mariadb, end)()
        # Accepting is what on_error says; known triplets stay known.
        assert ask_new(client, 20, first=1000) == ["DUNNO"] * 20
        mariadb.start()
        wait_for(lambda: is_up(policyd), "policyd to be connected again")
        assert ask_new(client, 20, first=2000) == [LATER] * 20
    policyd.stop()
    assert n_triplets(mariadb) >= 40


@pytest.mark.settings({"greylisting.on_error": "defer"})
def test_gone_may_defer(policyd, mariadb):
    with policyd.client() as client:
        assert ask_new(client, 1) == [LATER]
        mariadb.kill()
        for answer in ask_new(client, 5, first=1000):
            assert answer.startswith("451 4."), answer
        mariadb.start()
        wait_for(lambda: is_up(policyd), "policyd to be connected again")


def test_known_settings_and_whitelists_go_on(configured, mariadb):
    mariadb.execute("INSERT INTO iredapd.greylisting_whitelists"
                    " (account, sender) VALUES ('@.', '198.51.100.0/24')")
    configured.configure(**{"greylisting.on_error": "defer"})
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        mariadb.kill()
        assert client.ask(client_address="198.51.100.7") == "DUNNO"
        assert client.ask(client_address="203.0.113.7").startswith("451 ")
        mariadb.start()


def test_a_client_that_passed_goes_on(configured, mariadb, clock):
    configured.configure(**{"greylisting.on_error": "defer"})
    configured.start()
    with configured.client() as client:
        assert client.ask() == LATER
        clock.advance(901)
        assert client.ask() == "DUNNO"
        mariadb.kill()
        assert client.ask() == "DUNNO"
        assert client.ask(sender="other@else.example") == "DUNNO"
        mariadb.start()


def test_writes_wait_and_arrive(policyd, mariadb, clock):
    """The pass is judged from memory while the database is away."""
    with policyd.client() as client:
        assert client.ask() == LATER
        wait_for(lambda: n_triplets(mariadb) == 1, "the triplet's row")
        mariadb.kill()
        clock.advance(901)
        client.ask()
        mariadb.start()
        wait_for(lambda: is_up(policyd), "policyd to be connected again")
        clock.advance(1)
        assert client.ask() == "DUNNO"
    policyd.stop()
    assert mariadb.value("SELECT passed FROM iredapd.greylisting_tracking"
                         ) == 1
    assert mariadb.value("SELECT COUNT(*) FROM iredapd.smtp_sessions"
                         ) >= 1


def test_it_is_said_once(policyd, mariadb):
    with policyd.client() as client:
        assert ask_new(client, 1) == [LATER]
        before = len(policyd.log().splitlines())
        mariadb.kill()
        ask_new(client, 200, first=1000)
        status = policyd.json("status", status=None)
        assert not all(one["is_up"] for one in status["databases"])
        assert policyd.ctl_run("status").returncode == 6
        lines = policyd.log().splitlines()[before:]
        trouble = [line for line in lines
                   if " error: " in line or " warning: " in line]
        # Each of the four databases, and what it means for its tables.
        assert 1 <= len(trouble) <= 8, trouble
        mariadb.start()


@pytest.mark.settings({"policyd.decision_deadline": "700ms"})
def test_frozen_keeps_replies_coming(policyd, mariadb):
    with policyd.client() as client:
        assert ask_new(client, 5) == [LATER] * 5
        mariadb.freeze()
        for first in (1000, 2000):
            start = time.monotonic()
            assert ask_new(client, 20, first=first) == ["DUNNO"] * 20
            assert time.monotonic() - start < 5
        assert policyd.json("stats")["metrics"][
            "decision_deadline_total"] >= 1
        mariadb.thaw()
        wait_for(lambda: ask_new(client, 1, first=3000)[0] == LATER or
                 ask_new(client, 1, first=3001)[0] == LATER,
                 "greylisting to work again")


def test_absent_at_the_start(configured, mariadb):
    mariadb.kill()
    configured.spawn()
    wait_for(lambda: configured.ctl_run("status").returncode in (0, 6),
             "the control socket")
    with configured.client() as client:
        assert client.ask() == "DUNNO"
        mariadb.start()
        wait_for(lambda: is_up(configured), "policyd to be connected")
        wait_for(lambda: ask_new(client, 1, first=5000)[0] == LATER or
                 ask_new(client, 1, first=5001)[0] == LATER, "greylisting")


def test_over_tcp(configured, mariadb):
    changes = {}
    for name in ("iredapd_db", "vmail_db", "policyd_db"):
        changes[name + ".host"] = "127.0.0.1"
        changes[name + ".port"] = str(mariadb.port)
    configured.configure(**changes).start()
    with configured.client() as client:
        assert client.ask() == LATER


def test_restarted_during_traffic(policyd, mariadb):
    """Every request gets an answer, whatever becomes of the database."""
    with Client(policyd.ports[0], timeout=60) as client:
        at = 0
        for action in (mariadb.stop, mariadb.start, mariadb.kill,
                       mariadb.start):
            for _ in range(5):
                at += 20
                assert set(ask_new(client, 20, first=at)) <= {LATER, "DUNNO"}
            action()
        wait_for(lambda: is_up(policyd), "policyd to be connected again")
        assert ask_new(client, 20, first=9000) == [LATER] * 20


def test_a_wrong_password_is_told(configured):
    with open(configured.directory + "/password", "w") as file:
        file.write("wrong\n")
    configured.spawn()
    configured.wait_for_log("Access denied")
    assert "wrong" not in configured.log().replace("wrong password", "")
