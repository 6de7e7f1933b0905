"""SPF as an SMTP client meets it, through Postfix and a real DNS."""

import re

import pytest

from harness import wait_for
from harness.daemon import WITH_SPF
from harness.dns import SERVFAIL, Answer, DnsServer

CLIENT, OTHER = "192.0.2.10", "198.51.100.10"
V6 = "2001:db8::25"
ALICE, BOB = "alice@example.com", "bob@example.com"
SETTINGS = dict(WITH_SPF, **{
    "greylisting.mode": "off", "throttle.mode": "off",
    "dns.timeout": "2s", "spf.timeout": "2s"})
REJECTED = ("550 5.7.23 <%s>: Recipient address rejected: SPF: %s may not"
            " send for %s")


def zone():
    return {
        "pass.example": Answer(
            TXT="v=spf1 include:_spf.pass.example ip6:2001:db8::/64 -all"),
        "_spf.pass.example": Answer(TXT="v=spf1 ip4:192.0.2.0/24 -all"),
        "fail.example": Answer(TXT="v=spf1 -all"),
        "said.example": Answer(TXT="v=spf1 exp=why.said.example -all"),
        "why.said.example": Answer(TXT="%{i} is none of %{d}"),
        "soft.example": Answer(TXT="v=spf1 ~all"),
        "neutral.example": Answer(TXT="v=spf1 ?all"),
        "broken.example": Answer(TXT="v=spf1 ip4:1.2.3 -all"),
        "gone.example": Answer(rcode=SERVFAIL),
        "none.example": Answer(TXT="something else"),
        "example.com": Answer(TXT="v=spf1 ip4:198.51.100.10 -all"),
    }


@pytest.fixture
def dns():
    with DnsServer(zone()) as server:
        yield server


@pytest.fixture
def policyd(configured, dns, marked_settings):
    settings = dict(SETTINGS, **{"dns.resolver": dns.address})
    settings.update(marked_settings)
    configured.configure(**settings)
    return configured.start()


@pytest.fixture
def send(postfix, policyd):
    """Sends one message; the reply that decided, as text."""
    def once(sender, recipients=ALICE, address=CLIENT, **more):
        with postfix.session(address, **more) as client:
            return str(client.send(sender, recipients))
    return once


@pytest.fixture
def headers(postfix):
    """The fields that Postfix saw before a message, by its queue id."""
    def of(reply):
        queue_id = re.match("250 2.0.0 Ok: queued as (.*)", reply).group(1)
        # The message was taken over; what cleanup logged of it is there.
        wait_for(lambda: "%s: removed" % queue_id in postfix.log()
                 or "%s: from=" % queue_id in postfix.log(),
                 "the message in the log")
        return re.findall(
            r"%s: warning: header (Received-SPF: .*?) from [^ ]*;"
            % queue_id, postfix.log())
    return of


def result(fields):
    assert len(fields) == 1, fields
    return re.match(r"Received-SPF: (\w+) \(", fields[0]).group(1)


@pytest.mark.parametrize("sender, address, word", [
    ("a@pass.example", CLIENT, "pass"),
    ("a@pass.example", V6, "pass"),
    ("a@soft.example", CLIENT, "softfail"),
    ("a@neutral.example", CLIENT, "neutral"),
    ("a@none.example", CLIENT, "none"),
    ("a@unknown.example", CLIENT, "none"),
    ("a@broken.example", CLIENT, "permerror"),
    ("a@gone.example", CLIENT, "temperror"),
])
def test_let_through_with_a_header_field(send, headers, sender, address,
                                         word):
    fields = headers(send(sender, address=address))
    assert result(fields) == word
    assert "client-ip=%s;" % address in fields[0]
    assert 'envelope-from="%s";' % sender in fields[0]
    assert "identity=mailfrom" in fields[0]


def test_the_field_names_what_matched(policyd):
    """Which the log of Postfix cuts off."""
    with policyd.client() as client:
        assert client.ask(sender="a@pass.example", client_address=CLIENT
                          ).endswith('mechanism="include:_spf.pass.example'
                                     ' ip4:192.0.2.0/24"')


def test_fail_is_refused(send):
    assert send("a@fail.example") == REJECTED % (ALICE, CLIENT,
                                                 "fail.example")
    assert send("a@pass.example", address=OTHER) == REJECTED % (
        ALICE, OTHER, "pass.example")
    assert send("a@said.example") == (
        REJECTED + "; that domain says: %s is none of %s") % (
            ALICE, CLIENT, "said.example", CLIENT, "said.example")


def test_the_field_is_there_once(send, headers):
    assert result(headers(send("a@soft.example", [ALICE, BOB]))) == "softfail"


def test_the_next_message_has_its_own(postfix, policyd, headers):
    with postfix.session(CLIENT) as client:
        for sender, word in (("a@soft.example", "softfail"),
                             ("a@pass.example", "pass")):
            assert result(headers(str(client.send(sender, ALICE)))) == word


def test_helo(send, headers):
    """A name in HELO that fails; a sender that passes makes up for it."""
    assert send("a@none.example", helo="fail.example") == REJECTED % (
        ALICE, CLIENT, "fail.example")
    assert result(headers(send("a@pass.example", helo="fail.example"))
                  ) == "pass"
    assert result(headers(send("a@soft.example", helo="soft.example"))
                  ) == "softfail"


def test_null_sender(send, headers):
    assert send("", helo="fail.example") == REJECTED % (
        ALICE, CLIENT, "fail.example")
    (field,) = headers(send("", helo="pass.example"))
    assert "Received-SPF: pass " in field and "identity=helo" in field


def test_who_is_not_checked(postfix, send, headers, policyd):
    with postfix.submission(ALICE) as client:
        reply = str(client.send(ALICE, "x@fail.example"))
    assert headers(reply) == []
    assert headers(send("a@fail.example", address="127.0.0.1")) == []


@pytest.mark.settings({"spf.skip": "198.51.100.0/24, .forwarder.example",
                       "mail.trusted_networks": "203.0.113.0/24"})
def test_forwarders_are_skipped(send, headers):
    assert headers(send("a@fail.example", address=OTHER)) == []
    assert headers(send("a@fail.example", name="mx.forwarder.example",
                        reverse_name="mx.forwarder.example")) == []
    assert headers(send("a@fail.example", address="203.0.113.9")) == []
    # What is only the client's own word does not count.
    assert send("a@fail.example", reverse_name="mx.forwarder.example"
                ).startswith("550 5.7.23 ")


def test_settings_change_while_mail_flows(postfix, policyd, headers):
    def reply(sender):
        return str(client.send(sender, ALICE))

    with postfix.session(CLIENT) as client:
        assert reply("a@fail.example").startswith("550 5.7.23 ")
        policyd.ctl("policy", "set", "example.com", "spf.fail", "header")
        assert result(headers(reply("a@fail.example"))) == "fail"
        policyd.ctl("policy", "set", ALICE, "spf.fail", "defer")
        assert reply("a@fail.example").startswith("451 4.7.23 ")
        policyd.ctl("policy", "set", "fail.example", "spf.sender_fail",
                    "nothing")
        assert headers(reply("a@fail.example")) == []
        assert reply("a@said.example").startswith("451 4.7.23 ")
        policyd.ctl("policy", "unset", ALICE, "spf.fail")
        assert result(headers(reply("a@said.example"))) == "fail"
        for name, sender, answer in (
                ("softfail", "a@soft.example", "550 5.7.23 "),
                ("permerror", "a@broken.example", "550 5.7.24 ")):
            policyd.ctl("policy", "set", "example.com", "spf." + name,
                        "reject")
            assert reply(sender).startswith(answer)
        policyd.ctl("policy", "set", "example.com", "spf.temperror", "defer")
        assert reply("a@gone.example").startswith("451 4.7.24 ")
        policyd.ctl("policy", "set", "example.com", "spf.mode", "observe")
        assert headers(reply("a@said.example")) == []
        policyd.ctl("policy", "set", "example.com", "spf.mode", "off")
        assert headers(reply("a@broken.example")) == []


def test_dns_stops_in_the_middle(postfix, policyd, dns, headers):
    """Which is temperror, never none; and it comes back."""
    with postfix.session(CLIENT) as client:
        def word(sender):
            return result(headers(str(client.send(sender, ALICE))))

        assert word("a@soft.example") == "softfail"
        dns.zone["later.example"] = Answer(TXT="v=spf1 ~all")
        port = dns.port
        dns.close()
        assert word("a@soft.example") == "softfail"  # from memory
        assert word("a@later.example") == "temperror"
        policyd.ctl("policy", "set", "example.com", "spf.temperror", "defer")
        assert str(client.send("a@later.example", ALICE)).startswith(
            "451 4.7.24 ")
        with DnsServer({"later.example": Answer(TXT="v=spf1 ~all")}, port):
            wait_for(lambda: str(client.send("a@later.example", ALICE)
                                 ).startswith("250 "), "the DNS", 60)


def test_a_second_message_asks_nothing(send, headers, dns, policyd):
    assert result(headers(send("a@pass.example"))) == "pass"
    asked = len(dns.asked())
    assert asked > 0
    assert result(headers(send("b@pass.example"))) == "pass"
    assert len(dns.asked()) == asked
    # What cost nothing is counted, too.
    assert policyd.json("stats")["metrics"]["spf_from_memory_total"] >= 1


def test_a_result_lives_as_long_as_its_records(send, headers, policyd, clock):
    """The resolver has a clock of its own, so the answer may be the same."""
    def evaluated():
        return policyd.json("stats")["metrics"]["spf_evaluated_total"]

    assert result(headers(send("a@soft.example"))) == "softfail"
    before = evaluated()
    clock.advance(10)  # of HELO nothing is known, for a minute
    assert result(headers(send("a@soft.example"))) == "softfail"
    assert evaluated() == before
    clock.advance(301)
    assert result(headers(send("a@soft.example"))) == "softfail"
    assert evaluated() == before + 2


@pytest.mark.settings({"greylisting.mode": "enforce"})
def test_greylisting_lets_pass_who_is_authorized(send, headers):
    assert result(headers(send("a@pass.example"))) == "pass"
    assert send("a@soft.example").startswith("451 4.7.1 ")


@pytest.mark.settings({"greylisting.mode": "enforce",
                       "greylisting.bypass_spf": "no"})
def test_or_not(send):
    assert send("a@pass.example").startswith("451 4.7.1 ")


@pytest.mark.settings({"spf.mode": "off"})
def test_our_own_domain_without_a_login(send, dns):
    """A stranger may use it only from where its SPF record says."""
    assert send(BOB, address=OTHER).startswith("250 ")
    assert "SMTP AUTH is required" in send(BOB)
    dns.zone["example.com"] = Answer(rcode=SERVFAIL)
    assert send(BOB, address="198.51.100.77").startswith("554 5.7.1 ")


@pytest.mark.settings({"spf.mode": "off"})
def test_our_own_domain_while_the_dns_is_away(send, dns):
    """Temporary is not permanent."""
    dns.zone["example.com"] = Answer(rcode=SERVFAIL)
    assert send(BOB).startswith("451 4.7.24 ")


def test_explain_says_which_term(send, policyd):
    assert send("a@pass.example", address=OTHER).startswith("550 ")
    text = policyd.ctl("explain", "a@pass.example")
    assert "spf" in text and "-all" in text
    decision = policyd.json("explain", "a@pass.example")[0]
    assert decision["rule"] == "spf"


def test_the_old_log_calls_a_refusal_so(policyd, mariadb):
    """Other tools look for its word, not for 550."""
    rows = "SELECT action, reason FROM iredapd.smtp_sessions"
    with policyd.client() as client:
        assert client.ask(sender="a@fail.example", client_address=CLIENT
                          ).startswith("550 5.7.23 ")
    wait_for(lambda: mariadb.rows(rows), "the session")
    assert mariadb.rows(rows) == [
        {"action": "REJECT",
         "reason": "5.7.23 SPF: %s may not send for fail.example" % CLIENT}]


def test_rehearsals_say_the_same(policyd):
    (shown,) = policyd.json("test", "--sender", "a@pass.example",
                            "--recipient", ALICE, "--client", CLIENT,
                            "--helo", "mx.example")
    assert shown["reply"].startswith("PREPEND Received-SPF: pass ")
    assert "include:_spf.pass.example ip4:192.0.2.0/24" in str(shown["facts"])
    text = policyd.ctl("test", "--sender", "a@soft.example",
                       "--recipient", ALICE, "--client", CLIENT)
    assert re.search(r"^  spf  \(looked up in [\d.]+ ms\)$", text, re.M)
