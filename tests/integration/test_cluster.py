"""Several daemons on one database count as one."""

import os
import threading

import pytest

from harness import wait_for
from harness.daemon import Policyd
from harness.policy import Client, end_of_message

LIMIT = 1000
MESSAGES = 10000
CONNECTIONS = 10  # to each daemon
SENDER = "bulk@example.com"

EXCEEDED = "REJECT Throttling quota exceeded"


@pytest.fixture
def second(directory, ports, mariadb, clock, configured):
    daemon = Policyd(os.path.join(directory, "policyd-2"), mariadb, ports[4:],
                     clock)
    daemon.configure(**{"policyd.node": "second", "greylisting.mode": "off"})
    open(daemon.log_path, "w").close()
    yield daemon
    daemon.stop()


def ask_in_bulk(port, n, answers, name):
    """n messages on one connection, ten of them under way at once."""
    with Client(port, timeout=120) as client:
        for at in range(0, n, 10):
            client.send(b"".join(
                end_of_message(sender=SENDER, sasl_username=SENDER,
                               recipient="x@elsewhere.example",
                               instance="%s.%d" % (name, at + more))
                for more in range(10)))
            answers.extend(client.reply() for _ in range(10))


def run_in_bulk(ports, n_each):
    answers, threads = [], []
    for port in ports:
        for at in range(CONNECTIONS):
            threads.append(threading.Thread(
                target=ask_in_bulk,
                args=(port, n_each, answers, "%d.%d" % (port, at))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def add_limit(database, account=SENDER):
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, 'outbound', 100, 86400, %s)",
        (account, LIMIT))


@pytest.mark.settings({"greylisting.mode": "off"})
def test_a_limit_is_exact_over_two_daemons(configured, second, mariadb):
    add_limit(mariadb)
    configured.start()
    second.start()
    answers = run_in_bulk((configured.ports[0], second.ports[0]),
                          MESSAGES // (2 * CONNECTIONS))
    assert len(answers) == MESSAGES
    assert answers.count("DUNNO") == LIMIT
    assert answers.count(EXCEEDED) == MESSAGES - LIMIT
    configured.stop()
    second.stop()
    assert mariadb.rows("SELECT account, cur_msgs FROM"
                        " iredapd.throttle_tracking") == [
        {"account": SENDER, "cur_msgs": LIMIT}]


@pytest.mark.settings({"greylisting.mode": "off",
                       "policyd.policy_processes": "2"})
def test_a_limit_is_exact_over_two_processes(configured, mariadb):
    add_limit(mariadb)
    configured.start()
    answers = run_in_bulk((configured.ports[0],), 300)
    assert answers.count("DUNNO") == LIMIT
    assert answers.count(EXCEEDED) == 300 * CONNECTIONS - LIMIT
    configured.stop()
    assert mariadb.value("SELECT cur_msgs FROM iredapd.throttle_tracking"
                         ) == LIMIT


@pytest.mark.settings({"policyd.policy_processes": "2"})
def test_status_counts_what_both_processes_hold(configured):
    configured.start()
    n = 40

    def held():
        status = configured.json("status")
        return [status[key] for key in (
            "decisions_in_memory", "triplets_in_memory", "writes_waiting")]

    # Which process takes a connection is up to the kernel.
    for i in range(n):
        with configured.client() as client:
            assert client.ask(sender="s%d@sender.example" % i).startswith(
                "451 4.7.1 ")
    wait_for(lambda: held() == [n, n, 0], "the sums of both processes")


def test_a_triplet_seen_by_one_passes_at_the_other(configured, second,
                                                   mariadb, clock):
    second.configure(**{"policyd.node": "second"})
    configured.start()
    second.start()
    with configured.client() as one, second.client() as two:
        assert one.ask().startswith("451 4.7.1 ")
        # The row is on its way to the table while the reply is read.
        wait = "SELECT COUNT(*) FROM iredapd.greylisting_tracking"
        wait_for(lambda: mariadb.value(wait) == 1, "the triplet's row")
        clock.advance(901)
        assert two.ask() == "DUNNO"
