"""reject_to_hostname: mail from outside to the machine's own name."""

import socket

import pytest

pytestmark = pytest.mark.settings({
    "rules.order": "reject_to_hostname",
    "reject_to_hostname.mode": "enforce",
    "reject_to_hostname.hostname": "mx.example.com"})

NOT_AUTHORIZED = "REJECT Not authorized"
ROOT = "root@mx.example.com"


@pytest.mark.parametrize("attributes, answer", [
    ({"recipient": ROOT}, NOT_AUTHORIZED),
    ({"recipient": "Root+x@MX.Example.com"}, NOT_AUTHORIZED),
    ({"recipient": ROOT, "sender": ""}, NOT_AUTHORIZED),
    ({"recipient": "o'brien@mx.example.com"}, NOT_AUTHORIZED),
    ({"recipient": "\"a b\"@mx.example.com"}, NOT_AUTHORIZED),
    ({"recipient": "alice@example.com"}, "DUNNO"),
    ({"recipient": "x@a.mx.example.com"}, "DUNNO"),
    ({"recipient": "root"}, "DUNNO"),
    ({"recipient": ROOT, "sasl_username": "alice@example.com"}, "DUNNO"),
    ({"recipient": ROOT, "client_address": "127.0.0.1"}, "DUNNO"),
    ({"recipient": ROOT, "client_address": "::1"}, "DUNNO"),
    ({"recipient": "SRS0=a+b=TT=d.example=u@mx.example.com"}, "DUNNO"),
    ({"recipient": "srs1=ab=d.example==x@mx.example.com"}, "DUNNO"),
    ({"recipient": "srs2=x@mx.example.com"}, NOT_AUTHORIZED)])
def test_who_is_refused(policyd, attributes, answer):
    with policyd.client() as client:
        assert client.ask(**attributes) == answer


@pytest.mark.settings({"mail.trusted_networks": "2001:db8::/32"})
def test_trusted_networks(policyd):
    with policyd.client() as client:
        assert client.ask(recipient=ROOT,
                          client_address="2001:db8::1") == "DUNNO"
        assert client.ask(recipient=ROOT,
                          client_address="2001:db9::1") == NOT_AUTHORIZED


@pytest.mark.settings({"reject_to_hostname.hostname": None})
def test_the_system_is_asked_without_the_setting(policyd):
    with policyd.client() as client:
        assert client.ask(recipient="root@" + socket.gethostname()) == \
            NOT_AUTHORIZED
        assert client.ask(recipient=ROOT) == "DUNNO"


@pytest.mark.settings({"reject_to_hostname.mode": None})
def test_it_is_off_unless_told(policyd):
    with policyd.client() as client:
        assert client.ask(recipient=ROOT) == "DUNNO"


def test_it_needs_no_database(policyd, mariadb):
    mariadb.kill()
    with policyd.client() as client:
        assert client.ask(recipient=ROOT) == NOT_AUTHORIZED
    mariadb.start()


def test_through_postfix(postfix, policyd):
    with postfix.session("192.0.2.10") as client:
        client.mail("x@sender.example")
        assert client.rcpt(ROOT) == (
            "554 5.7.1 <%s>: Recipient address rejected: Not authorized"
            % ROOT)
        assert client.rcpt("SRS0=ab=TT=d.example=u@mx.example.com") == \
            "250 2.1.5 Ok"
        assert client.rcpt("alice@example.com") == "250 2.1.5 Ok"
    with postfix.session() as client:
        client.mail("x@sender.example")
        assert client.rcpt(ROOT) == "250 2.1.5 Ok"


def test_the_refusal_is_explained(policyd):
    with policyd.client() as client:
        assert client.ask(recipient=ROOT, queue_id="4HOST") == NOT_AUTHORIZED
    text = policyd.ctl("explain", "4HOST")
    assert "reject_to_hostname" in text and "mx.example.com" in text, text
