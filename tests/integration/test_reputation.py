"""Reputation of clients by lists in the DNS, as a Postfix client meets it."""

import threading

import pytest

from harness import policy, wait_for
from harness.dns import SERVFAIL, Answer, DnsServer, listed

BL, OTHER, WHITE = "bl.example", "other.example", "white.example"
CLIENT = "192.0.2.10"
V6 = "2001:db8::25"
ALICE = "alice@example.com"
REFUSED = ("REJECT Server IP address %s has bad reputation, listed by %s")
SETTINGS = {
    "greylisting.mode": "off", "throttle.mode": "off",
    "reputation.mode": "enforce",
    "reputation.lists": "%s=127.0.0.[2..11]*3, %s*1, %s*-5" % (
        BL, OTHER, WHITE),
    "reputation.reject_threshold": "3",
}


@pytest.fixture
def dns():
    with DnsServer() as server:
        yield server


@pytest.fixture
def policyd(configured, dns, marked_settings):
    settings = dict(SETTINGS, **{"dns.resolver": dns.address})
    settings.update(marked_settings)
    configured.configure(**settings)
    return configured.start()


def ask(policyd, client=CLIENT, **more):
    with policyd.client() as connection:
        return connection.ask(client_address=client, **more)


def counts(dns, name):
    return len(dns.asked(name))


def test_postfix_refuses_a_listed_client(dns, policyd, postfix):
    dns.zone[listed(CLIENT, BL)] = ["127.0.0.4"]
    with postfix.session(CLIENT) as client:
        reply = client.send("a@sender.example", ALICE)
    assert reply == (
        "554 5.7.1 <%s>: Recipient address rejected: Server IP address %s"
        " has bad reputation, listed by %s" % (ALICE, CLIENT, BL))
    with postfix.session("192.0.2.11") as client:
        assert client.send("a@sender.example", ALICE).code == 250


def test_an_ipv6_client(dns, policyd):
    dns.zone[listed(V6, BL)] = ["127.0.0.4"]
    assert ask(policyd, V6) == REFUSED % (V6, BL)
    assert ask(policyd, "2001:db8::26") == "DUNNO"


def test_weights_add_up(dns, policyd):
    dns.zone[listed(CLIENT, OTHER)] = ["127.0.0.2"]
    assert ask(policyd) == "DUNNO"
    second = "192.0.2.11"
    dns.zone[listed(second, OTHER)] = ["127.0.0.2"]
    dns.zone[listed(second, BL)] = ["127.0.0.2"]
    assert ask(policyd, second) == REFUSED % (second, BL + ", " + OTHER)
    good = "192.0.2.12"
    dns.zone[listed(good, BL)] = ["127.0.0.2"]
    dns.zone[listed(good, WHITE)] = ["127.0.10.3"]
    assert ask(policyd, good) == "DUNNO"


def test_who_is_not_looked_up(dns, policyd):
    assert ask(policyd, sasl_username="u@example.com",
               sender="u@example.com") == "DUNNO"
    assert ask(policyd, "127.0.0.1") == "DUNNO"
    assert ask(policyd, "unknown") == "DUNNO"
    assert dns.asked() == []


@pytest.mark.settings({
    "reputation.lists": "score.senderscore.com=127.0.4.[0..30]",
    "reputation.reject_threshold": "1",
    "reputation.message":
        "Server IP address has bad reputation. FYI:"
        " https://www.senderscore.org/lookup.php?lookup={client}"})
def test_the_senderscore_of_iredapd(dns, policyd):
    texts = {}
    for score in (0, 30, 31, 100):
        client = "192.0.2.%d" % (100 + score)
        dns.zone[listed(client, "score.senderscore.com")] = [
            "127.0.4.%d" % score]
        texts[score] = ask(policyd, client)
    assert texts[0] == (
        "REJECT Server IP address has bad reputation. FYI:"
        " https://www.senderscore.org/lookup.php?lookup=192.0.2.100")
    assert texts[30].startswith("REJECT ")
    assert (texts[31], texts[100]) == ("DUNNO", "DUNNO")


def ask_twice_at_once(dns, policyd, address):
    """And once more; how often each list was asked."""
    name, gate = listed(address, BL), threading.Event()
    dns.zone[name] = Answer(A="127.0.0.2", until=gate)
    with policyd.client() as first, policyd.client() as second:
        for client in (first, second):
            client.send(policy.request(client_address=address))
        wait_for(lambda: counts(dns, name), "the question")
        gate.set()
        assert first.reply() == second.reply() == REFUSED % (address, BL)
    assert ask(policyd, address) == REFUSED % (address, BL)
    return [counts(dns, listed(address, domain)) for domain in (BL, OTHER)]


def test_answers_are_kept_and_asked_for_once(dns, policyd):
    # A question that is not answered soon is sent again; not every time.
    assert [1, 1] in (ask_twice_at_once(dns, policyd, "192.0.2.%d" % number)
                      for number in range(10, 20))


def test_an_answer_is_forgotten_after_its_time(dns, policyd):
    name = listed(CLIENT, BL)
    dns.zone[name] = Answer(A="127.0.0.2", ttl=1)
    assert ask(policyd) == REFUSED % (CLIENT, BL)
    dns.zone[name] = Answer(rcode=3)
    wait_for(lambda: ask(policyd) == "DUNNO", "the list to be asked again")


def test_a_list_that_fails_does_not_count(dns, policyd):
    dns.zone[listed(CLIENT, OTHER)] = Answer(rcode=SERVFAIL)
    dns.zone[listed(CLIENT, BL)] = ["127.0.0.2"]
    assert ask(policyd) == REFUSED % (CLIENT, BL)


@pytest.mark.settings({"reputation.on_error": "defer"})
def test_answers_that_somebody_made_up(dns, policyd):
    """A resolver that answers for names that do not exist, and lists that
    refuse the resolver."""
    for client in (CLIENT, "192.0.2.11"):
        for domain in (BL, OTHER, WHITE):
            dns.zone[listed(client, domain)] = ["203.0.113.1"]
        assert ask(policyd, client).startswith("451 4.3.0 ")
    dns.zone[listed("192.0.2.12", BL)] = ["127.0.0.2"]
    dns.zone[listed("192.0.2.12", OTHER)] = ["127.255.255.254"]
    assert ask(policyd, "192.0.2.12") == REFUSED % ("192.0.2.12", BL)
    assert policyd.log().count(BL + " answers 203.0.113.1") == 1
    assert "127.0.0.0/8" in policyd.log()


@pytest.mark.parametrize("on_error, reply", [
    ("accept", "DUNNO"),
    ("defer", "451 4.3.0 Service temporarily unavailable, please try again"
              " later")])
def test_no_dns_server(dns, configured, on_error, reply):
    settings = {"dns.resolver": dns.address, "reputation.on_error": on_error}
    dns.close()
    configured.configure(**dict(SETTINGS, **settings)).start()
    assert ask(configured) == reply


@pytest.mark.settings({"policyd.decision_deadline": "2s",
                       "reputation.on_error": "defer"})
def test_a_black_hole_holds_up_nobody_else(dns, policyd):
    """The deadline of a decision holds, and meanwhile others go on."""
    for domain in (BL, OTHER, WHITE):
        dns.zone[listed(CLIENT, domain)] = Answer(silent=True)
    with policyd.client() as slow, policyd.client() as quick:
        slow.send(policy.request(client_address=CLIENT))
        wait_for(lambda: counts(dns, listed(CLIENT, BL)), "the question")
        for number in range(20, 40):
            assert quick.ask(client_address="192.0.2.%d" % number) == "DUNNO"
        assert slow.reply().startswith("451 4.3.0 ")


def test_exempt_clients(dns, policyd):
    for client in (CLIENT, V6):
        dns.zone[listed(client, BL)] = ["127.0.0.2"]
        assert ask(policyd, client) == REFUSED % (client, BL)
        policyd.ctl("reputation", "allow", client)
        assert ask(policyd, client) == "DUNNO"
    assert [row["client"] for row in policyd.json("reputation", "list")] == [
        CLIENT, V6]
    assert policyd.database.rows(
        "SELECT score, time FROM iredapd.senderscore_cache"
        " WHERE client_address = '%s'" % CLIENT) == [
            {"score": 100, "time": 4102444799}]
    policyd.ctl("reputation", "forget", CLIENT)
    assert ask(policyd) == REFUSED % (CLIENT, BL)
    policyd.ctl("reputation", "forget", CLIENT, status=3)
    policyd.ctl("reputation", "allow", "192.0.2.0/24", status=2)


def test_rows_that_iredapd_has_cached_do_not_count(dns, policyd):
    """Only those of senderscore_admin do, which never expire."""
    dns.zone[listed(CLIENT, BL)] = ["127.0.0.2"]
    policyd.database.execute(
        "INSERT INTO iredapd.senderscore_cache VALUES"
        " ('%s', 100, UNIX_TIMESTAMP())" % CLIENT)
    policyd.ctl("reload")
    assert ask(policyd) == REFUSED % (CLIENT, BL)
    policyd.database.execute(
        "UPDATE iredapd.senderscore_cache SET time = 4102444799")
    wait_for(lambda: ask(policyd) == "DUNNO", "the exemption")


def test_show_tells_what_each_list_says(dns, policyd):
    dns.zone[listed(CLIENT, BL)] = Answer(A=["127.0.0.2", "127.0.0.20"],
                                          ttl=500)
    dns.zone[listed(CLIENT, WHITE)] = Answer(rcode=SERVFAIL)
    for is_cached in (False, True):
        shown = policyd.json("reputation", "show", CLIENT)
        assert (shown["client"], shown["score"], shown["reject_threshold"],
                shown["is_exempt"]) == (CLIENT, 3, 3, False)
        first, second, third = shown["lists"]
        assert (first["result"], first["counts"], first["is_cached"]) == (
            "listed", 3, is_cached)
        assert sorted(first["answer"].split()) == ["127.0.0.2", "127.0.0.20"]
        assert 490 <= first["ttl"] <= 500
        assert (second["result"], second["counts"]) == ("not listed", 0)
        assert 50 <= second["ttl"] <= 60
        assert third["result"] == "failed" and "SERVFAIL" in third["reason"]
    policyd.ctl("reputation", "show", "example.com", status=2)
    assert "127.0.0.20" in policyd.ctl("reputation", "show", CLIENT)


@pytest.mark.settings({"reputation.lists": ""})
def test_show_without_a_list(policyd):
    policyd.ctl("reputation", "show", CLIENT, status=3)
    assert ask(policyd) == "DUNNO"


@pytest.mark.settings({"policyd.reply_code": "yes"})
def test_the_refusal_is_explained(dns, policyd):
    dns.zone[listed(CLIENT, BL)] = Answer(A="127.0.0.2", ttl=500)
    code = ask(policyd).rpartition("[")[2].rstrip("]")
    text = policyd.ctl("explain", code)
    for word in (BL + "=127.0.0.[2..11]*3", "127.0.0.2",
                 "reputation allow " + CLIENT, "not listed"):
        assert word in text, text


@pytest.mark.settings({"reputation.mode": "observe"})
def test_observe_only_counts(dns, policyd):
    dns.zone[listed(CLIENT, BL)] = ["127.0.0.2"]
    assert ask(policyd) == "DUNNO"


def test_a_reload_takes_other_lists(dns, policyd):
    dns.zone[listed(CLIENT, "new.example")] = ["127.0.0.2"]
    assert ask(policyd) == "DUNNO"
    policyd.configure(**dict(SETTINGS, **{
        "dns.resolver": dns.address, "reputation.lists": "new.example*3"}))
    policyd.ctl("reload")
    assert ask(policyd) == REFUSED % (CLIENT, "new.example")
