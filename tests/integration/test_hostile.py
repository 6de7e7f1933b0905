"""Clients, messages and rows that mean harm."""

import json
import os
import socket

import pytest

from harness import wait_for
from harness.policy import request

TAIL = json.dumps({"command": ["tail"], "arguments": {}}).encode() + b"\n"


def ask_many(client, requests):
    """The replies; the server must not have to hold them all."""
    replies = []
    for start in range(0, len(requests), 50):
        part = requests[start:start + 50]
        client.send(b"".join(part))
        replies += [client.reply() for _ in part]
    return replies


@pytest.mark.settings({"greylisting.mode": "off", "throttle.mode": "off"})
def test_a_tail_that_is_not_read_is_ended(policyd):
    path = os.path.join(policyd.directory, "control")
    with socket.socket(socket.AF_UNIX) as tail:
        tail.connect(path)
        tail.sendall(TAIL)
        with policyd.client() as client:
            def is_ended():
                ask_many(client, [request(client_name="x" * 250)] * 200)
                return "does not read what it asked for" in policyd.log()
            wait_for(is_ended, "the end of the connection", every=0)
        taken = 0
        while True:
            data = tail.recv(1 << 20)
            if not data:
                break
            taken += len(data)
        assert taken < 1 << 20
    assert policyd.ctl_run("status").returncode == 0


@pytest.mark.settings({"greylisting.mode": "off"})
def test_a_thousand_recipients_that_are_no_text(policyd, mariadb):
    """Each of them counted; the last over its limit, so all are given
    back."""
    mariadb.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " msg_size, max_msgs, max_quota, max_rcpts)"
        " VALUES ('@.', 'inbound', 0, 3600, -1, 1, 1 << 60, -1)")
    policyd.ctl("reload")
    recipients = ["%04d%s@q" % (i, "\udcff" * 250) for i in range(1000)]
    with policyd.client() as client:
        for instance, last in (("1", 1), ("2", 1000)):
            named = recipients[-last:]
            assert set(ask_many(client, [
                request(instance=instance, recipient=recipient)
                for recipient in named])) == {"DUNNO"}
            reply = client.ask_at_end(
                instance=instance, recipient="", recipient_count=str(last),
                size="18446744073709551615")
            assert reply == ("DUNNO" if last == 1 else
                             "REJECT Throttling quota exceeded")
    wait_for(lambda: mariadb.value(
        "SELECT SUM(cur_msgs) FROM iredapd.throttle_tracking") == 1,
        "the 999 others to be given back")
