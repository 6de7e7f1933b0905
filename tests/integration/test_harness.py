"""The private Postfix asks what it should, whatever answers."""

import pytest

from harness.dunno import Dunno

pytestmark = pytest.mark.needs_no_daemon


@pytest.fixture
def dunno(ports):
    server = Dunno(ports[0])
    yield server
    server.stop()


def test_postfix_asks_at_rcpt_and_at_the_end(postfix, dunno):
    with postfix.session("192.0.2.7") as client:
        reply = client.send("x@sender.example", ["alice@example.com",
                                                 "bob@alias.example"])
    assert reply.code == 250
    assert [(one["protocol_state"], one["recipient"],
             one["recipient_count"], one["client_address"])
            for one in dunno.requests] == [
        ("RCPT", "alice@example.com", "0", "192.0.2.7"),
        ("RCPT", "bob@alias.example", "0", "192.0.2.7"),
        ("END-OF-MESSAGE", "", "2", "192.0.2.7")]
    assert len({one["instance"] for one in dunno.requests}) == 1


def test_a_login_is_told(postfix, dunno):
    with postfix.submission("alice@example.com") as client:
        reply = client.send("alice@example.com", "x@elsewhere.example")
    assert reply.code == 250
    assert {(one["sasl_username"], one["client_address"])
            for one in dunno.requests} == {
        ("alice@example.com", "198.51.100.7")}


def test_unknown_recipients_never_reach_the_policy(postfix, dunno):
    with postfix.session("192.0.2.7") as client:
        reply = client.send("x@sender.example", "nobody@example.com")
    assert reply == ("550 5.1.1 <nobody@example.com>: Recipient address"
                     " rejected: User unknown in virtual mailbox table")
    assert dunno.requests == []


def test_the_schema_is_seeded_once(mariadb):
    assert [row["username"] for row in mariadb.rows(
        "SELECT username FROM vmail.mailbox ORDER BY username")] == [
        "alice@example.com", "bob@example.com"]
