"""The resolver inside policyd, against a DNS server that misbehaves. The rule
"reputation" is what asks here."""

import threading

import pytest

from harness import policy, wait_for
from harness.dns import REFUSED, SERVFAIL, Answer, DnsServer, listed

LIST = "bl.example"
CLIENT = "192.0.2.10"
SETTINGS = {"greylisting.mode": "off", "throttle.mode": "off",
            "reputation.mode": "enforce", "reputation.lists": LIST,
            "reputation.on_error": "defer"}
LATER = ("451 4.3.0 Service temporarily unavailable, please try again later")


@pytest.fixture
def dns():
    with DnsServer() as server:
        yield server


@pytest.fixture
def policyd(configured, dns, marked_settings):
    settings = dict(SETTINGS, **{"dns.resolver": dns.address})
    settings.update(marked_settings)
    return configured.configure(**settings).start()


def ask(policyd, client=CLIENT):
    with policyd.client() as connection:
        return connection.ask(client_address=client)


def is_refused(reply):
    return reply.startswith("REJECT ")


def many(n):
    return ["127.%d.%d.2" % (i // 200, i % 200) for i in range(n)]


@pytest.mark.parametrize("n, is_cut", [(1, True), (100, False)])
def test_an_answer_that_was_cut_comes_over_tcp(dns, policyd, n, is_cut):
    """By the server's choice, or because it does not fit."""
    name = listed(CLIENT, LIST)
    dns.zone[name] = Answer(A=many(n), is_cut=is_cut)
    assert is_refused(ask(policyd))
    # A question that takes long is sent again, but over UDP first.
    how = [one[2] for one in dns.asked(name)]
    assert (how[0], how[-1]) == ("udp", "tcp")


def test_more_records_than_fit_are_no_answer(dns, policyd):
    dns.zone[listed(CLIENT, LIST)] = Answer(A=many(300))
    assert ask(policyd) == LATER
    shown = policyd.json("reputation", "show", CLIENT)["lists"][0]
    assert shown["result"] == "failed"
    assert "too many records" in shown["reason"]


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED])
def test_a_server_that_does_not_answer_the_question(dns, policyd, rcode):
    """libunbound keeps both for some seconds, as SERVFAIL."""
    dns.zone[listed(CLIENT, LIST)] = Answer(rcode=rcode)
    assert ask(policyd) == LATER
    shown = policyd.json("reputation", "show", CLIENT)["lists"][0]
    assert "SERVFAIL" in shown["reason"]


@pytest.mark.settings({"dns.timeout": "100ms"})
def test_the_timeout_is_that_of_the_settings(dns, policyd):
    dns.zone[listed(CLIENT, LIST)] = Answer(silent=True)
    assert ask(policyd) == LATER
    shown = policyd.json("reputation", "show", CLIENT)["lists"][0]
    assert shown["reason"] == "there was no answer in time"


@pytest.mark.settings({"dns.timeout": "100ms", "dns.queries": "10"})
def test_questions_under_way_are_bounded(dns, policyd):
    """Those that nobody waits for any more count, too."""
    for number in range(10):
        client = "192.0.2.%d" % (100 + number)
        dns.zone[listed(client, LIST)] = Answer(silent=True)
        assert ask(policyd, client) == LATER
    shown = policyd.json("reputation", "show", CLIENT)["lists"][0]
    assert shown["reason"] == "too many questions are under way"
    assert dns.asked(listed(CLIENT, LIST)) == []


def test_a_server_that_is_slow_is_waited_for(dns, policyd):
    name, gate = listed(CLIENT, LIST), threading.Event()
    dns.zone[name] = Answer(A="127.0.0.2", until=gate)
    with policyd.client() as connection:
        connection.send(policy.request(client_address=CLIENT))
        wait_for(lambda: dns.asked(name), "the question")
        connection.assert_silent()
        gate.set()
        assert is_refused(connection.reply())


def test_a_server_that_comes_back(dns, policyd):
    """Not only after the quarter of an hour that libunbound would avoid it."""
    dns.close()
    assert ask(policyd) == LATER
    with DnsServer({listed(CLIENT, LIST): ["127.0.0.2"]}, dns.port):
        wait_for(lambda: is_refused(ask(policyd)), "the server to be asked",
                 60)


def test_the_second_server_is_asked(dns, configured):
    with DnsServer({listed(CLIENT, LIST): ["127.0.0.2"]}) as other:
        dns.close()
        configured.configure(**dict(SETTINGS, **{
            "dns.resolver": "%s, %s" % (dns.address, other.address)})).start()
        wait_for(lambda: is_refused(ask(configured)), "the second server", 60)


def test_a_list_may_be_an_alias(dns, policyd):
    dns.zone[listed(CLIENT, LIST)] = Answer(CNAME="real.example")
    dns.zone["real.example"] = ["127.0.0.2"]
    assert is_refused(ask(policyd))


def test_it_stops_with_questions_under_way(dns, policyd):
    """Nothing leaks: stop() asserts it in a sanitized build."""
    name = listed(CLIENT, LIST)
    dns.zone[name] = Answer(silent=True)
    with policyd.client() as connection:
        connection.send(policy.request(client_address=CLIENT))
        wait_for(lambda: dns.asked(name), "the question")
        policyd.stop()


@pytest.mark.parametrize("value", [
    "localhost", "127.0.0.1:53", "127.0.0.1@0", "recursive, 127.0.0.1"])
def test_a_resolver_that_is_none(configured, value):
    configured.configure(**{"dns.resolver": value})
    done = configured.ctl_run("config", "check")
    assert done.returncode == 2, done.stdout
    assert "must be addresses such as 127.0.0.1 or" in done.stdout + done.stderr


@pytest.mark.settings({"dns.trust_anchor": "/nonexistent/root.key"})
def test_a_resolver_that_cannot_be_set_up(policyd):
    """It says so, and every question fails; the daemon goes on."""
    policyd.wait_for_log("the resolver cannot be set up")
    assert ask(policyd) == LATER
