"""The policy protocol on bare sockets: exactly one reply per request."""

import os
import socket
import stat

import pytest

from harness import wait_for
from harness.policy import Client, end_of_message, request

pytestmark = pytest.mark.settings({
    "greylisting.mode": "off", "throttle.mode": "off",
    "limits.line_bytes": "2K", "limits.request_bytes": "8K",
    "limits.connections": "300"})

NULL_SENDER = "REJECT Policy rejection due to null sender"


def refused():
    """A request that is answered with NULL_SENDER."""
    return request(sender="", sasl_username="alice@example.com")


def metric(policyd, name):
    return policyd.json("stats")["metrics"][name]


def test_a_request_gets_one_reply(policyd):
    with policyd.client() as client:
        assert client.ask() == "DUNNO"
        client.assert_silent()
        client.send(refused())
        assert client.reply() == NULL_SENDER
        client.assert_silent()


def test_byte_by_byte(policyd):
    with policyd.client() as client:
        data = refused()
        for at in range(len(data) - 1):
            client.send(data[at:at + 1])
        client.assert_silent()
        client.send(data[-1:])
        assert client.reply() == NULL_SENDER


@pytest.mark.parametrize("cut", [1, 7, 26, 27, 28, 100, -2, -1])
def test_cut_in_two(policyd, cut):
    with policyd.client() as client:
        data = refused()
        client.send(data[:cut])
        client.assert_silent(0.02)
        client.send(data[cut:])
        assert client.reply() == NULL_SENDER


def test_the_tail_of_one_with_the_head_of_the_next(policyd):
    with policyd.client() as client:
        both = refused() + request()
        client.send(both[:50])
        client.send(both[50:len(refused()) + 30])
        assert client.reply() == NULL_SENDER
        client.assert_silent()
        client.send(both[len(refused()) + 30:])
        assert client.reply() == "DUNNO"


def test_pipelined_requests_are_answered_in_order(policyd):
    with policyd.client() as client:
        kinds = [at % 3 == 0 for at in range(500)]
        client.send(b"".join(refused() if kind else request()
                             for kind in kinds))
        assert [client.reply() for _ in kinds] == [
            NULL_SENDER if kind else "DUNNO" for kind in kinds]
        client.assert_silent()


@pytest.mark.settings({"greylisting.mode": "enforce"})
def test_order_holds_when_some_wait_for_the_database(policyd):
    """New triplets are asked of the database, the others answer at once."""
    greylisted = "451 4.7.1 Intentional policy rejection, please try again" \
        " later"
    with policyd.client() as client:
        data, expected = [], []
        for at in range(200):
            if at % 2:
                data.append(refused())
                expected.append(NULL_SENDER)
            else:
                data.append(request(sender="new%d@sender.example" % at))
                expected.append(greylisted)
        client.send(b"".join(data))
        assert [client.reply() for _ in expected] == expected


def test_unknown_attributes_are_ignored(policyd):
    with policyd.client() as client:
        assert client.ask(tls_sni="mx.example.com", no_such_name="x",
                          empty_one="") == "DUNNO"
        client.send(refused().replace(b"\n\n", b"\nx y z=1=2=3\n\n"))
        assert client.reply() == NULL_SENDER


def test_the_last_of_a_repeated_attribute_counts(policyd):
    with policyd.client() as client:
        client.send(b"sender=x@sender.example\nsasl_username=a@example.com\n"
                    + request(sender=""))
        assert client.reply() == "DUNNO"
        client.send(request(sasl_username="a@example.com")[:-1]
                    + b"sender=\n\n")
        assert client.reply() == NULL_SENDER


def test_nothing_stays_from_the_request_before(policyd):
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == NULL_SENDER
        client.send(request(sender="", sasl_username=None))
        assert client.reply() == "DUNNO"


@pytest.mark.parametrize("text", [
    "o'brien@sender.example", "\"a b\"@sender.example", "x@[192.0.2.1]",
    "no-at-sign", "a@b@c", "user@b\u00fccher.example", "a%b!c@sender.example",
    "x" * 300 + "@sender.example", "\udcff\udcfe@sender.example"])
def test_odd_addresses_get_one_answer(policyd, text):
    """The original answered twice here and skipped every check."""
    with policyd.client() as client:
        assert client.ask(sender=text) == "DUNNO"
        client.send(request(recipient=text))
        assert client.reply() == "DUNNO"
        client.send(refused())
        assert client.reply() == NULL_SENDER
        client.assert_silent()


MALFORMED = [
    ("a line without =", b"request=smtpd_access_policy\nrubbish\n\n"),
    ("an empty request", b"\n"),
    ("no request attribute", b"protocol_state=RCPT\nsender=\n\n"),
    ("another request", request(request="junk")),
    ("no protocol_state", request(protocol_state=None)),
    ("a NUL byte", request(helo_name="a\0b")),
    ("HTTP", b"GET / HTTP/1.1\nHost: x\n\n"),
    ("an over-long line", request(helo_name="x" * 5000)),
    ("an over-long line without end", b"x" * 100000),
    ("an over-long request",
     b"".join(b"a%d=%s\n" % (at, b"x" * 500) for at in range(40)) + b"\n"),
]


@pytest.mark.parametrize("data", [row[1] for row in MALFORMED],
                         ids=[row[0] for row in MALFORMED])
def test_malformed_requests_close_without_a_reply(policyd, data):
    before = metric(policyd, "requests_malformed_total")
    with policyd.client() as client:
        try:
            client.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.assert_closed()
    assert metric(policyd, "requests_malformed_total") == before + 1
    with policyd.client() as client:
        assert client.ask() == "DUNNO"


def test_replies_before_a_malformed_request_arrive(policyd):
    with policyd.client() as client:
        client.send(request() + refused() + b"rubbish\n\n" + request())
        assert client.reply() == "DUNNO"
        assert client.reply() == NULL_SENDER
        client.assert_closed()


def test_half_a_request_gets_no_reply(policyd):
    with policyd.client() as client:
        client.send(request()[:-1])
        client.socket.shutdown(socket.SHUT_WR)
        client.assert_closed()


def test_a_client_that_stops_sending_still_gets_its_reply(policyd):
    with policyd.client() as client:
        client.send(refused())
        client.socket.shutdown(socket.SHUT_WR)
        assert client.reply() == NULL_SENDER


def test_many_connections(policyd):
    clients = [policyd.client() for _ in range(250)]
    for client in clients:
        client.send(refused())
    for client in clients:
        assert client.reply() == NULL_SENDER
    for client in clients:
        client.close()
    wait_for(lambda: metric(policyd, "policy_connections") == 0,
             "all connections closed")


@pytest.mark.settings({"limits.connections": "5"})
def test_connections_beyond_the_limit_are_closed(policyd):
    clients = [policyd.client() for _ in range(5)]
    for client in clients:
        assert client.ask() == "DUNNO"
    with policyd.client() as one_more:
        one_more.assert_closed()
    assert metric(policyd, "policy_connections_refused_total") == 1
    clients.pop().close()
    wait_for(lambda: metric(policyd, "policy_connections") == 4, "a place")
    with policyd.client() as client:
        assert client.ask() == "DUNNO"
    for client in clients:
        client.close()


@pytest.mark.settings({"limits.idle_timeout": "2s"})
def test_idle_connections_are_closed(policyd):
    with policyd.client() as client:
        assert client.ask() == "DUNNO"
        client.assert_closed()
    assert metric(policyd, "connections_idle_closed_total") == 1


def test_a_client_that_never_reads(policyd):
    """Its replies pile up, bounded; others are not held up."""
    with policyd.client() as deaf, policyd.client() as client:
        deaf.socket.setblocking(False)
        try:
            for _ in range(20000):
                deaf.socket.send(request())
        except BlockingIOError:
            pass
        assert client.ask() == "DUNNO"


def test_listens_on_several_sockets(configured, ports):
    path = os.path.join(configured.directory, "policy")
    configured.configure(**{
        "policyd.policy_listen":
            "inet:127.0.0.1:%d, inet:[::1]:%d, unix:%s" % (
                ports[0], ports[0], path),
        "policyd.policy_socket_mode": "0660"})
    configured.start()
    for client in (Client(ports[0]), Client(ports[0], host="::1"),
                   Client(path=path)):
        client.send(refused())
        assert client.reply() == NULL_SENDER
        client.close()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_other_stages_are_dunno(policyd):
    with policyd.client() as client:
        for state in ("CONNECT", "EHLO", "HELO", "MAIL", "DATA", "VRFY",
                      "ETRN", "rcpt"):
            assert client.ask(protocol_state=state) == "DUNNO", state
        client.send(end_of_message())
        assert client.reply() == "DUNNO"


@pytest.mark.settings({"reject_null_sender.mode": "observe"})
def test_observe_drops_the_refusal(policyd):
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == "DUNNO"
    assert metric(policyd, "answers_observed_total") == 1


@pytest.mark.settings({"reject_null_sender.mode": "off"})
def test_off_asks_nothing(policyd):
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == "DUNNO"
    assert metric(policyd, "answers_observed_total") == 0


@pytest.mark.settings({"reject_null_sender.mode": "observe"})
def test_the_mode_of_a_domain_comes_first(policyd):
    policyd.ctl("policy", "set", "example.com", "reject_null_sender.mode",
                "enforce")
    with policyd.client() as client:
        client.send(refused())
        assert client.reply() == NULL_SENDER
        client.send(request(sender="", sasl_username="x@other.example"))
        assert client.reply() == "DUNNO"
