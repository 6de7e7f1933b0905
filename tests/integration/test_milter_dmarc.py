"""DMARC, from the DNS to what becomes of a message, with a real Postfix before
the milter: policies, what is aligned, settings of recipients, reports."""

import datetime
import gzip
import os
import uuid
import xml.etree.ElementTree as ElementTree

import pytest

from harness import wait_for
from harness.daemon import WITH_SPF
from harness.dns import SERVFAIL, Answer, DnsServer
from harness.ports import free_ports
from harness.postfix import Postfix

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")

CLIENT, ALICE, BOB = "192.0.2.10", "alice@example.com", "bob@example.com"
STRANGER = "a@stranger.example"
RUA = "; rua=mailto:r@reports.example"
# The private key of RFC 8463, A.2.
SEED = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def record(text):
    return Answer(TXT="v=DMARC1; " + text + RUA)


def zone():
    return {
        "_dmarc.reject.example": record("p=reject"),
        "_dmarc.quarantine.example": record("p=quarantine"),
        "_dmarc.none.example": record("p=none"),
        "_dmarc.test.example": record("p=reject; t=y"),
        "_dmarc.parent.example": record("p=none; sp=quarantine; np=reject"),
        "there.parent.example": Answer(A="192.0.2.80"),
        "_dmarc.silent.example": Answer(rcode=SERVFAIL),
        "_dmarc.strict.example": record("p=reject; adkim=s; aspf=s"),
        "mute.none.example": Answer(rcode=SERVFAIL),
        "mute.reject.example": Answer(rcode=SERVFAIL),
        "reject.example": Answer(TXT="v=spf1 ip4:192.0.2.10 -all"),
        "bounce.reject.example": Answer(TXT="v=spf1 ip4:192.0.2.10 -all"),
        "bounce.strict.example": Answer(TXT="v=spf1 ip4:192.0.2.10 -all"),
        "s1._domainkey.reject.example": Answer(TXT=KEY),
        "s1._domainkey.mail.reject.example": Answer(TXT=KEY),
        "s1._domainkey.lists.example": Answer(TXT=KEY),
    }


@pytest.fixture(scope="module")
def mail(directory, ports, sink, milter_port):
    smtp, submission = free_ports(2)
    server = Postfix(os.path.join(directory, "postfix-dmarc"), smtp,
                     submission, "inet:127.0.0.1:%d" % ports[0])
    server.configure(changes={
        "smtpd_milters": "inet:127.0.0.1:%d" % milter_port,
        "milter_default_action": "tempfail",
        # A From that is missing stays so.
        "local_header_rewrite_clients": "",
        "virtual_transport": "smtp:[127.0.0.1]:%d" % sink.port})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def dns():
    with DnsServer(zone()) as server:
        yield server


@pytest.fixture
def policyd(configured, dns, milter_port, marked_settings):
    settings = dict(WITH_SPF, **{
        "spf.mode": "off", "greylisting.mode": "off", "throttle.mode": "off",
        "reject_sender_login_mismatch.mode": "off",
        "dns.resolver": dns.address, "dns.timeout": "2s",
        "spf.timeout": "2s", "dmarc.timeout": "2s",
        "milter.listen": "inet:127.0.0.1:%d" % milter_port,
        "milter.authserv_id": "mx.example.com"})
    settings.update(marked_settings)
    configured.configure(**settings)
    return configured.start()


def sign(message, domain):
    """The message with a signature of the domain before it."""
    field = dkim.sign(message.replace("\n", "\r\n").encode(), b"s1",
                      domain.encode(), SEED,
                      signature_algorithm=b"ed25519-sha256")
    return field.decode().replace("\r\n", "\n") + message


@pytest.fixture
def send(mail, policyd):
    """(reply, mark): one message in the name of From."""
    def once(author, sender=STRANGER, recipients=(ALICE,), signed=None,
             before=""):
        mark = uuid.uuid4().hex
        fields = author if ":" in author else "From: %s\n" % author
        message = fields + "Subject: %s\n\ntest\n" % mark
        if signed:
            message = sign(message, signed)
        with mail.session(address=CLIENT, name="mx.stranger.example",
                          helo="mx.stranger.example") as client:
            reply = client.send(sender, list(recipients), before + message)
        return reply, mark
    return once


def dmarc_of(message):
    (field,) = message.fields("Authentication-Results")
    found = [part.strip() for part in field.split(";")
             if part.strip().startswith("dmarc=")]
    return found[0] if found else ""


def is_refused(reply, domain):
    return str(reply).find("5.7.1 DMARC: this message is not from " + domain) \
        >= 0 and reply.code == 550


CASES = [
    # From, the result that is told, the value of X-DMARC-Policy
    ("a@nothing.example", "dmarc=none header.from=nothing.example", []),
    ("a@none.example",
     "dmarc=fail header.from=none.example polrec.p=none", []),
    ("a@quarantine.example",
     "dmarc=fail header.from=quarantine.example polrec.p=quarantine",
     ["quarantine"]),
    ("a@test.example", "dmarc=fail (other the record says t=y)"
     " header.from=test.example polrec.p=reject", ["quarantine"]),
    ("a@there.parent.example", "dmarc=fail header.from=there.parent.example"
     " polrec.p=quarantine polrec.domain=parent.example", ["quarantine"]),
    ("a@parent.example",
     "dmarc=fail header.from=parent.example polrec.p=none", []),
]


@pytest.mark.parametrize("author, result, header", CASES)
def test_what_is_let_through(send, sink, author, result, header):
    reply, mark = send(author)
    assert reply.code == 250, reply
    message = sink.find(mark)
    assert dmarc_of(message) == result
    assert message.fields("X-DMARC-Policy") == header


@pytest.mark.parametrize("author", [
    "a@reject.example", "a@sub.reject.example", "A <a@REJECT.example>",
    # Nobody has registered it: np.
    "a@gone.parent.example"])
def test_what_is_refused(send, author):
    reply = send(author)[0]
    domain = author.rsplit("@")[-1].rstrip(">").lower()
    assert is_refused(reply, domain), reply


@pytest.mark.parametrize("sender, signed", [
    ("a@reject.example", None), ("a@bounce.reject.example", None),
    (STRANGER, "reject.example"), (STRANGER, "mail.reject.example"),
    ("a@bounce.reject.example", "lists.example")])
def test_what_is_aligned_passes(send, sink, sender, signed):
    """By SPF only, by DKIM only; a subdomain will do."""
    reply, mark = send("a@reject.example", sender=sender, signed=signed)
    assert reply.code == 250, reply
    assert dmarc_of(sink.find(mark)) == \
        "dmarc=pass header.from=reject.example polrec.p=reject"


@pytest.mark.parametrize("author, sender, signed", [
    ("a@strict.example", "a@bounce.strict.example", None),
    ("a@reject.example", STRANGER, "lists.example")])
def test_what_passes_for_another_domain_does_not_count(send, author, sender,
                                                       signed):
    reply = send(author, sender=sender, signed=signed)[0]
    assert is_refused(reply, author.split("@")[1]), reply


def test_a_changed_body_does_not_count(send, mail):
    message = sign("From: a@reject.example\nSubject: x\n\ntest\n",
                   "reject.example") + "more\n"
    with mail.session(address=CLIENT, name="unknown") as client:
        reply = client.send(STRANGER, ALICE, message)
    assert is_refused(reply, "reject.example"), reply


@pytest.mark.settings({"dmarc.temperror": "report"})
def test_a_silent_dns_may_let_through(send, sink):
    reply, mark = send("a@silent.example")
    assert reply.code == 250, reply
    assert dmarc_of(sink.find(mark)).startswith("dmarc=temperror ")


def test_a_silent_dns_defers(send):
    """When it is not known what to do, but there may be something."""
    reply = send("a@silent.example")[0]
    assert reply.code == 451 and "4.7.0 DMARC: it cannot be checked now" in \
        str(reply), reply
    # SPF has no answer, but the record asks for nothing.
    reply = send("a@none.example", sender="a@mute.none.example")[0]
    assert reply.code == 250, reply
    reply = send("a@reject.example", sender="a@mute.reject.example")[0]
    assert reply.code == 451, reply
    # What passes otherwise is not in doubt.
    reply = send("a@reject.example", sender="a@mute.reject.example",
                 signed="reject.example")[0]
    assert reply.code == 250, reply


@pytest.mark.settings({"dmarc.bad_from": "reject"})
@pytest.mark.parametrize("fields, problem", [
    ("To: x@y.example\n", "there is no From"),
    ("From: a@none.example\nFrom: b@none.example\n", ""),
    # Of a domain without a record, or of none.
    ("From: a@far.example\nfrom : a@far.example\n", ""),
    ("From: a@far.example, b@remote.example\n", "names several domains"),
    ("From: a@far.example <b@remote.example>\n", ""),
    ("From: undisclosed:;\n", ""),
    ("From: a@none.example, b@reject.example\n", "names several domains"),
    ("From: nobody\n", "")])
def test_a_bad_from_is_refused(send, fields, problem):
    reply = send(fields)[0]
    assert reply.code == 550 and "5.6.0 DMARC: the header field From: " + \
        problem in str(reply), reply


def test_a_bad_from_is_be_marked(send, sink):
    reply, mark = send("From: a@none.example, b@reject.example\n")
    assert reply.code == 250, reply
    assert sink.find(mark).fields("X-DMARC-Policy") == ["bad_from"]


def test_several_authors_of_one_domain_are_judged(send):
    reply = send("From: a@reject.example, b@reject.example\n")[0]
    assert is_refused(reply, "reject.example"), reply


def held(mail, mark):
    """Whether the message is in Postfix's queue "hold"."""
    for folder, _, names in os.walk(mail.directory):
        if "/hold" in folder:
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    if mark.encode() in file.read():
                        return True
    return False


@pytest.mark.settings({"dmarc.quarantine": "hold"})
def test_a_message_may_be_held(send, mail, sink):
    reply, mark = send("a@quarantine.example")
    assert reply.code == 250, reply
    wait_for(lambda: held(mail, mark), "a message that is held", 30)
    assert not [one for one in sink.messages() if mark.encode() in one.data]


def test_recipients_have_settings(send, sink, policyd):
    policyd.ctl("policy", "set", BOB, "dmarc.reject", "report")
    assert is_refused(send("a@reject.example")[0], "reject.example")
    reply, mark = send("a@reject.example", recipients=(BOB,))
    assert reply.code == 250, reply
    message = sink.find(mark)
    assert message.fields("X-DMARC-Policy") == []
    assert dmarc_of(message) == (
        "dmarc=fail (local_policy a setting of the recipients)"
        " header.from=reject.example polrec.p=reject")
    # It is refused for all or for none, but who would refuse it is told.
    reply, mark = send("a@reject.example", recipients=(ALICE, BOB))
    assert reply.code == 250, reply
    assert sink.find(mark).fields("X-DMARC-Policy") == ["reject"]


@pytest.mark.settings({"dmarc.force_reject": "none.example",
                       "dmarc.trusted_forwarders": "mx.friend.example"})
def test_overrides(send, sink, policyd, mail):
    reply = send("a@none.example")[0]
    assert is_refused(reply, "none.example"), reply
    policyd.ctl("policy", "set", "quarantine.example", "dmarc.force_reject",
                "yes")
    assert is_refused(send("a@quarantine.example")[0], "quarantine.example")
    mark = uuid.uuid4().hex
    with mail.session(address=CLIENT, name="mx.friend.example") as client:
        reply = client.send(STRANGER, ALICE,
                            "From: a@reject.example\nSubject: %s\n\nx\n" % mark)
    assert reply.code == 250, reply
    assert dmarc_of(sink.find(mark)).startswith(
        "dmarc=fail (trusted_forwarder the client is a trusted forwarder)")


@pytest.mark.settings({"dmarc.mode": "observe"})
def test_nothing_is_done_when_it_only_observes(send, sink):
    reply, mark = send("a@reject.example")
    assert reply.code == 250, reply
    assert dmarc_of(sink.find(mark)) == \
        "dmarc=fail header.from=reject.example polrec.p=reject"


# Nobody has its keys here.
@pytest.mark.settings({"dkim.sign": "no"})
def test_a_login_is_not_judged(send, sink, mail, policyd):
    mark = uuid.uuid4().hex
    with mail.session(address=CLIENT, name="unknown",
                      login=ALICE) as client:
        reply = client.send(ALICE, BOB,
                            "From: a@reject.example\nSubject: %s\n\nx\n" % mark)
    assert reply.code == 250, reply
    assert "dmarc=" not in sink.find(mark).fields("Authentication-Results")[0]


def test_a_report_of_what_was_seen(send, policyd, mariadb, tmp_path):
    for _ in range(2):
        assert is_refused(send("a@reject.example")[0], "reject.example")
    assert send("a@reject.example", signed="reject.example")[0].code == 250
    assert send("a@none.example")[0].code == 250

    def total():
        return mariadb.value("SELECT COALESCE(SUM(n), 0)"
                             " FROM policyd.dmarc_aggregate")

    wait_for(lambda: total() == 4, "four messages that are counted", 30)
    day = datetime.datetime.utcfromtimestamp(mariadb.value(
        "SELECT MIN(day) FROM policyd.dmarc_aggregate")).strftime("%Y-%m-%d")
    told = policyd.json("dmarc", "report", "reject.example", "--day", day,
                        "--output", str(tmp_path))
    assert (told["messages"], told["rows"]) == (3, 2)
    with gzip.open(told["file"]) as file:
        root = ElementTree.fromstring(file.read())
    rows = {one.findtext("row/count"): one for one in root.findall("record")}
    assert rows["2"].findtext("row/policy_evaluated/disposition") == "reject"
    assert rows["2"].findtext("row/source_ip") == CLIENT
    assert rows["2"].findtext("identifiers/envelope_from") == \
        "stranger.example"
    assert rows["1"].findtext("row/policy_evaluated/dkim") == "pass"
    assert rows["1"].findtext("auth_results/dkim/domain") == "reject.example"
    assert rows["1"].findtext("auth_results/dkim/selector") == "s1"
    assert root.findtext("policy_published/p") == "reject"
