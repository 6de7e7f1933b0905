"""What iRedAPD answered, where no other file asks: missing attributes, the
end of the chain, limits that a null sender slipped through, notifications."""

import email
import email.header
import socketserver
import threading

import pytest

from harness import wait_for
from harness.policy import end_of_message, request

pytestmark = pytest.mark.settings({
    "rules.order": "reject_null_sender, greylisting, throttle"})

ALICE = "alice@example.com"
BOB = "bob@example.com"
CLIENT = "192.0.2.1"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
NULL_SENDER = "REJECT Policy rejection due to null sender"
EXCEEDED = "REJECT Throttling quota exceeded"


@pytest.mark.parametrize("missing", [
    ("sender",), ("recipient",), ("client_address",), ("instance",),
    ("size", "recipient_count"), ("reverse_client_name", "client_name"),
    ("sender", "recipient", "client_address", "sasl_username", "instance")])
@pytest.mark.parametrize("state", ["RCPT", "END-OF-MESSAGE"])
def test_what_is_missing_is_empty(policyd, missing, state):
    """One answer, and the connection stays; no value of the request before
    comes back."""
    with policyd.client() as client:
        client.ask(sender="", sasl_username=ALICE, recipient=BOB)
        answer = client.ask(protocol_state=state,
                            **{name: None for name in missing})
        assert answer in ("DUNNO", LATER)
        client.assert_silent()
        assert client.ask(sender="", sasl_username=ALICE) == NULL_SENDER


@pytest.mark.parametrize("state", ["rcpt", "Rcpt", "RCPT"])
def test_the_case_of_the_state_does_not_matter(policyd, state):
    with policyd.client() as client:
        assert client.ask(protocol_state=state, sender="",
                          sasl_username=ALICE) == NULL_SENDER


@pytest.mark.settings({"rules.order": ""})
def test_without_rules_it_is_dunno(policyd):
    with policyd.client() as client:
        assert client.ask(sender="", sasl_username=ALICE) == "DUNNO"
        assert client.ask_at_end() == "DUNNO"


@pytest.mark.settings({"rules.order": "greylisting, reject_null_sender"})
def test_the_order_is_what_the_file_says(policyd):
    with policyd.client() as client:
        assert client.ask() == LATER
        # A login is none of greylisting's business: the chain goes on.
        assert client.ask(sender="", sasl_username=ALICE) == NULL_SENDER


@pytest.mark.parametrize("attributes, answer", [
    ({"sasl_username": "user@test.com"}, NULL_SENDER),
    ({"sasl_username": "user"}, NULL_SENDER),
    ({"sasl_username": "o'brien@test.com", "client_address": "127.0.0.1"},
     NULL_SENDER),
    ({"sasl_username": ""}, LATER),
    ({"sasl_username": "", "client_address": "127.0.0.1"}, "DUNNO"),
    ({"sasl_username": "user@test.com", "sender": "user@test.com"}, "DUNNO")])
def test_a_null_sender(policyd, attributes, answer):
    with policyd.client() as client:
        assert client.ask(**{"sender": "", **attributes}) == answer


def test_a_null_sender_through_postfix(postfix, policyd):
    with postfix.submission(ALICE) as client:
        client.mail("")
        assert client.rcpt(BOB) == (
            "554 5.7.1 <%s>: Recipient address rejected: Policy rejection"
            " due to null sender" % BOB)


def add_limit(database, account, kind, **limits):
    columns = {"period": 3600, "priority": 0, **limits}
    database.execute(
        "INSERT INTO iredapd.throttle (account, kind, %s) VALUES (%%s, %%s%s)"
        % (", ".join(columns), ", %s" * len(columns)),
        (account, kind, *columns.values()))


@pytest.mark.settings({"greylisting.mode": "off"})
def test_a_null_sender_to_several_is_limited(configured, mariadb):
    """Sender and recipient both have no domain: the same one, iRedAPD said,
    and let everything through."""
    add_limit(mariadb, "@ip", "external", max_msgs=4)
    configured.start()
    with configured.client() as client:
        for at, answer in enumerate(["DUNNO", "DUNNO", EXCEEDED]):
            told = dict(sender="", instance="1.%x" % at)
            for recipient in (ALICE, BOB):
                client.send(request(recipient=recipient, **told))
                assert client.reply() == "DUNNO"
            client.send(end_of_message(recipient="", recipient_count="2",
                                       **told))
            assert client.reply() == answer


@pytest.mark.settings({"greylisting.mode": "off"})
@pytest.mark.parametrize("size, count", [
    ("", ""), ("abc", "x"), ("-1", "-1"), ("99999999999999999999", "1"),
    ("0", "99999999999999999999")])
def test_numbers_that_are_none(configured, mariadb, size, count):
    """iRedAPD let a message through that had no number of recipients."""
    add_limit(mariadb, "@.", "external", max_msgs=1, max_quota=10)
    configured.start()
    with configured.client() as client:
        asks = [client.ask_at_end(size=size, recipient_count=count,
                                  instance="1.%x" % at) for at in range(3)]
        assert set(asks) <= {"DUNNO", EXCEEDED}
        assert client.ask_at_end(size="11", instance="2.1") in (
            "DUNNO", EXCEEDED)
        assert client.ask_at_end(instance="2.2") == EXCEEDED


@pytest.mark.settings({"greylisting.mode": "off"})
@pytest.mark.parametrize("skip, rows", [
    ("no", ["REJECT", "DUNNO"]), ("yes", ["REJECT"])])
def test_sessions_may_be_without_what_was_accepted(configured, skip, rows):
    """D14: LOG_SMTP_SESSIONS_BYPASS_DUNNO was never looked at."""
    configured.configure(**{"sessions.skip_dunno": skip}).start()
    with configured.client() as client:
        assert client.ask(sender="", sasl_username=ALICE) == NULL_SENDER
        assert client.ask_at_end(client_address="127.0.0.1") == "DUNNO"
    configured.stop()
    assert [row["action"] for row in configured.database.rows(
        "SELECT action FROM iredapd.smtp_sessions ORDER BY id")] == rows


class _Sink(socketserver.StreamRequestHandler):
    """As much of an SMTP server as a notification needs."""

    def handle(self):
        def say(line):
            self.wfile.write(line + b"\r\n")
        say(b"220 sink")
        while True:
            line = self.rfile.readline()
            word = line[:4].upper()
            if not line or word == b"QUIT":
                break
            if word == b"DATA":
                say(b"354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                self.server.messages.append(text)
            elif word == b"RCPT":
                self.server.recipients.append(line.strip())
            say(b"250 ok")
        say(b"221 bye")


@pytest.fixture
def sink():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Sink)
    server.daemon_threads = True
    server.messages, server.recipients = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_one_notification_in_a_period(configured, mariadb, clock, sink):
    add_limit(mariadb, ALICE, "outbound", max_msgs=1)
    configured.configure(**{
        "rules.order": "throttle",
        "notify.smtp_url": "smtp://127.0.0.1:%d" % sink.server_address[1],
        "notify.sender": "policy@example.com",
        "notify.recipients": "root@example.com, boss@example.com"})
    configured.start()
    at_end = dict(sender=ALICE, sasl_username=ALICE,
                  recipient="x@else.example")
    with configured.client() as client:
        for at, answer in enumerate(["DUNNO"] + [EXCEEDED] * 4):
            assert client.ask_at_end(instance="1.%x" % at,
                                     **at_end) == answer
        wait_for(lambda: sink.messages, "the mail")
        clock.advance(3601)
        for at, answer in enumerate(["DUNNO"] + [EXCEEDED] * 4):
            assert client.ask_at_end(instance="2.%x" % at,
                                     **at_end) == answer
        wait_for(lambda: len(sink.messages) > 1, "the second mail")
    configured.stop()
    assert len(sink.messages) == 2
    assert len(sink.recipients) == 4
    message = email.message_from_bytes(sink.messages[0])
    assert ALICE in message["Subject"]
    assert "max_msgs=1" in message["Subject"], message["Subject"]
    body = message.get_payload(decode=True).decode()
    for word in (ALICE, CLIENT, "outbound", "max_msgs"):
        assert word in body, body
