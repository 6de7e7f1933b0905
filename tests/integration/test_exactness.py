"""A limit holds whatever ends in the middle of its counting: connections of
the database, processes of policyd, clients."""

import os
import signal
import threading
import time

import pytest

from harness import wait_for
from harness.policy import Client, Closed, end_of_message

LIMIT = 1000
N_THREADS, DEPTH = 10, 10
IN_FLIGHT = N_THREADS * DEPTH
SENDER = "bulk@example.com"
ELSEWHERE = "x@elsewhere.example"
EXCEEDED = "REJECT Throttling quota exceeded"

pytestmark = pytest.mark.settings({"greylisting.mode": "off"})


def add_limit(database, account=SENDER, max_msgs=LIMIT, kind="outbound"):
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs) VALUES (%s, %s, 100, 86400, %s)",
        (account, kind, max_msgs))


def counted(database, account=SENDER):
    return database.value("SELECT cur_msgs FROM iredapd.throttle_tracking"
                          " WHERE account = %s", (account,))


class Bulk:
    """Threads that send until each has had its answers; a connection that
    ends is made again, what was under way on it has no answer."""

    def __init__(self, port, n_threads, n_each, depth=DEPTH, **attributes):
        self.port = port
        self.answers = []
        self.n_lost = 0
        self._depth = depth
        self._attributes = attributes
        self._threads = [
            threading.Thread(target=self._run, args=(n_each, "%x" % at))
            for at in range(n_threads)]
        for thread in self._threads:
            thread.start()

    def _ask(self, client, name, at):
        client.send(b"".join(
            end_of_message(sender=SENDER, sasl_username=SENDER,
                           recipient=ELSEWHERE,
                           instance="%s.%d" % (name, at + more),
                           **self._attributes)
            for more in range(self._depth)))

    def _run(self, n, name):
        at, client = 0, None
        while at < n:
            n_answers = 0
            try:
                client = client or Client(self.port, timeout=60)
                self._ask(client, name, at)
                for n_answers in range(self._depth):
                    self.answers.append(client.reply())
                n_answers = self._depth
            except (Closed, OSError):
                client = None
                self.n_lost += self._depth - n_answers
                time.sleep(0.01)
            at += self._depth

    def is_running(self):
        return any(thread.is_alive() for thread in self._threads)

    def join(self):
        for thread in self._threads:
            thread.join()
        return self.answers


def test_several_recipients_count_each(configured, mariadb):
    add_limit(mariadb)
    configured.start()
    answers = Bulk(configured.ports[0], 10, 100, recipient_count="3").join()
    assert answers.count("DUNNO") == LIMIT // 3
    assert answers.count(EXCEEDED) == 1000 - LIMIT // 3
    assert counted(mariadb) == LIMIT // 3 * 3


def kill_connections(database):
    """Those of policyd, as an administrator or a proxy ends them."""
    for row in database.rows("SELECT ID FROM information_schema.PROCESSLIST"
                             " WHERE USER = 'policyd'"):
        try:
            database.execute("KILL CONNECTION %d" % row["ID"])
        except Exception:  # it had gone by itself
            pass


def test_connections_killed_during_the_count(configured, mariadb):
    add_limit(mariadb)
    configured.start()
    bulk = Bulk(configured.ports[0], N_THREADS, 1000)
    # Three times before the limit is reached, and once behind it.
    for goal in (LIMIT // 4, LIMIT // 2, LIMIT * 3 // 4, LIMIT * 3):
        wait_for(lambda: len(bulk.answers) >= goal, "%d answers" % goal,
                 every=0.001)
        kill_connections(mariadb)
    answers = bulk.join()
    assert bulk.n_lost == 0
    accepted = answers.count("DUNNO")
    # What was under way may have been counted without an answer.
    assert LIMIT - 3 * IN_FLIGHT <= accepted <= LIMIT
    assert accepted + answers.count(EXCEEDED) == 10000


def test_processes_killed_during_the_count(configured, mariadb):
    add_limit(mariadb)
    configured.start()
    bulk = Bulk(configured.ports[0], N_THREADS, 1000)
    for goal in (LIMIT // 4, LIMIT // 2, LIMIT * 3 // 4):
        wait_for(lambda: len(bulk.answers) >= goal, "%d answers" % goal,
                 every=0.001)
        process, = wait_for(configured.children, "a process")
        os.kill(process, signal.SIGKILL)
    answers = bulk.join()
    accepted = answers.count("DUNNO")
    assert LIMIT - bulk.n_lost <= accepted <= LIMIT
    assert accepted <= counted(mariadb) <= LIMIT


def test_one_counter_refuses_and_the_other_is_given_back(configured, mariadb):
    add_limit(mariadb, max_msgs=5)
    add_limit(mariadb, account=ELSEWHERE, max_msgs=1000,
              kind="inbound")
    configured.configure(**{"greylisting.mode": "off",
                            "throttle.bypass_local_recipient": "no"})
    configured.start()
    answers = Bulk(configured.ports[0], 4, 100).join()
    assert answers.count("DUNNO") == 5
    wait_for(lambda: counted(mariadb, ELSEWHERE) == 5,
             "what was refused to be given back")
    assert counted(mariadb) == 5


def test_clients_that_leave_count_once_at_most(configured, mariadb):
    """Whoever closes may only have closed the half it writes to, so what was
    asked is answered, and counted."""
    add_limit(mariadb)
    configured.start()
    with configured.client() as client:
        assert client.ask_at_end(sender=SENDER, sasl_username=SENDER,
                                 recipient=ELSEWHERE, instance="1.1"
                                 ) == "DUNNO"
        lock = mariadb.connect()
        lock.cursor().execute("LOCK TABLES iredapd.throttle_tracking WRITE")
        leavers = [configured.client() for _ in range(20)]
        for at, leaver in enumerate(leavers):
            leaver.send(end_of_message(sender=SENDER, sasl_username=SENDER,
                                       recipient=ELSEWHERE,
                                       instance="2.%d" % at))
        wait_for(lambda: mariadb.rows(
            "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE"
            " 'Waiting for table metadata lock'"), "the count to wait")
        for leaver in leavers:
            leaver.close()
        lock.close()
        assert client.ask_at_end(sender=SENDER, sasl_username=SENDER,
                                 recipient=ELSEWHERE, instance="1.2"
                                 ) == "DUNNO"
    configured.stop()
    assert 2 <= counted(mariadb) <= 22
