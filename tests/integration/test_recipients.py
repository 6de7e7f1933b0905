"""Messages to many recipients: their limits hold for each of them, and no
number of them ends a process."""

import pytest

from harness import wait_for
from harness.policy import end_of_message, request

EXCEEDED = "REJECT Throttling quota exceeded"
SENDER = "someone@sender.example"

pytestmark = pytest.mark.settings({"greylisting.mode": "off"})


def add_limit(database, account, max_msgs, kind="inbound"):
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs, max_quota) VALUES (%s, %s, 100, 86400, %s, 1000000000)",
        (account, kind, max_msgs))


def send(client, recipients, instance):
    """One message as Postfix asks about it; the answer at its end."""
    for at in range(0, len(recipients), 50):
        part = recipients[at:at + 50]
        client.send(b"".join(request(recipient=one, instance=instance)
                             for one in part))
        assert [client.reply() for _ in part] == ["DUNNO"] * len(part)
    client.send(end_of_message(
        recipient=recipients[0] if len(recipients) == 1 else "",
        recipient_count=str(len(recipients)), instance=instance))
    return client.reply()


def counts(database):
    return {row["account"]: row["cur_msgs"] for row in database.rows(
        "SELECT account, cur_msgs FROM iredapd.throttle_tracking")}


def test_each_has_its_own_limit(configured, mariadb):
    add_limit(mariadb, "a@example.com", 2)
    add_limit(mariadb, "b@example.com", 3)
    configured.start()
    with configured.client() as client:
        both = ["a@example.com", "b@example.com", "c@example.com"]
        assert send(client, both, "1.1") == "DUNNO"
        assert send(client, both, "1.2") == "DUNNO"
        assert send(client, both, "1.3") == EXCEEDED
        # What the other recipient had counted is given back.
        wait_for(lambda: counts(mariadb) == {
            "a@example.com": 2, "b@example.com": 2}, "the counters")
        assert send(client, ["b@example.com"], "1.4") == "DUNNO"
        assert send(client, ["b@example.com"], "1.5") == EXCEEDED
    assert counts(mariadb) == {"a@example.com": 2, "b@example.com": 3}


def test_a_thousand_long_ones(configured, mariadb):
    add_limit(mariadb, "@.", 2)
    add_limit(mariadb, "@.", 100000, "external")
    configured.configure(**{"greylisting.mode": "off",
                            "policyd.decision_deadline": "30s"})
    configured.start()
    children = configured.children()
    domain = ".".join(["d" * 60] * 2 + ["a.b.c.d.e.f.g.h"] * 3 + ["example"])
    long = ["%04d%s@%s" % (at, "x" * 50, domain) for at in range(1000)]
    with configured.client() as client:
        assert send(client, long, "2.1") == "DUNNO"
        assert send(client, long, "2.2") == "DUNNO"
        assert send(client, long, "2.3") == EXCEEDED
    configured.wait_for_log("instance=2.3")
    assert configured.children() == children
    wait_for(lambda: mariadb.rows(
        "SELECT cur_msgs, COUNT(*) AS n FROM iredapd.throttle_tracking"
        " GROUP BY cur_msgs ORDER BY cur_msgs") == [
            {"cur_msgs": 2, "n": 1000}, {"cur_msgs": 2000, "n": 1}],
        "the counters")
