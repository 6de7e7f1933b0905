"""What the rules say of whole messages, which the milter asks a policy process
and carries out, with a real Postfix before it and a server behind."""

import os
import re
import signal

import pytest

from harness import wait_for
from harness.ports import free_ports
from harness.postfix import Postfix
from harness.smtp import message_of
from test_milter import milter_of
from test_throttle_smtp import add_rule

ALICE, BOB = "alice@example.com", "bob@example.com"
FAR = ["p%d@elsewhere.example" % at for at in range(3)]
CLIENT = "192.0.2.10"
MISMATCH = "reject_header_from_mismatch"
NOT_ONES = "550 5.7.1 The From: address <%s> is not one of the " \
           "authenticated user's"
NO_FROM = "550 5.7.1 The From: field does not say whose message this is"
EXCEEDED = "550 5.7.1 Throttling quota exceeded"
ENFORCED = {MISMATCH + ".mode": "enforce"}


@pytest.fixture(scope="module")
def smtp(directory, ports, sink, milter_port):
    """Nothing is asked at END-OF-MESSAGE but the milter."""
    port, submission = free_ports(2)
    server = Postfix(os.path.join(directory, "postfix-message"), port,
                     submission, "inet:127.0.0.1:%d" % ports[0])
    milter = "inet:127.0.0.1:%d" % milter_port
    to_sink = "smtp:[127.0.0.1]:%d" % sink.port
    server.configure(changes={
        "smtpd_milters": milter, "non_smtpd_milters": milter,
        "submission_milters": milter, "milter_default_action": "tempfail",
        "smtpd_end_of_data_restrictions": "permit",
        "local_header_rewrite_clients": "",
        "virtual_transport": to_sink, "local_transport": to_sink,
        "default_transport": to_sink, "relay_transport": to_sink})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def policyd(configured, milter_port, marked_settings):
    settings = {
        "greylisting.mode": "off", "spf.mode": "off",
        "milter.listen": "inet:127.0.0.1:%d" % milter_port,
        "milter.authserv_id": "mx.example.com"}
    settings.update(marked_settings)
    configured.configure(**settings)
    configured.settings = settings
    return configured


@pytest.fixture
def submit(smtp):
    def once(author, recipients=FAR[0], login=ALICE, body="test\n"):
        header = "From: %s\n" % author if author else ""
        with smtp.submission(login) as client:
            return str(client.send(login, recipients,
                                   header + "Subject: test\n\n" + body))
    return once


def is_accepted(reply):
    return reply.startswith("250 2.0.0 Ok: queued as ")


def policy_of(policyd):
    milter = milter_of(policyd)
    return [pid for pid in policyd.children() if pid != milter]


# --- From: -------------------------------------------------------------------

@pytest.mark.settings(dict(ENFORCED, **{"policyd.reply_code": "yes"}))
def test_from_is_the_logins_own(policyd, submit):
    policyd.start()
    assert is_accepted(submit("Alice <Alice@Example.com>"))
    assert is_accepted(submit("alice+x@example.com, alice@example.com"))
    reply = submit("\"alice@example.com\" <bob@example.com>")
    (code,) = re.findall(r" \[([A-Z0-9]{8})\]$", reply)
    assert reply == NOT_ONES % BOB + " [%s]" % code
    policyd.wait_for_log("message action=reject rule=" + MISMATCH)
    shown = policyd.ctl("explain", code)
    assert MISMATCH in shown and "refused" in shown
    (told,) = policyd.json("explain", code)
    assert told["stage"] == "MESSAGE"


@pytest.mark.settings(ENFORCED)
@pytest.mark.parametrize("author, expected", [
    ("alice@example.com, bob@example.com", NOT_ONES % BOB),
    ("ceo@elsewhere.example", NOT_ONES % "ceo@elsewhere.example"),
    ("alice@example.com\nFrom: bob@example.com", NO_FROM),
    ("<alice@example.com", NO_FROM),
    ("friends:;", NO_FROM),
])
def test_from_is_anothers(policyd, submit, author, expected):
    policyd.start()
    assert submit(author) == expected


@pytest.mark.settings(ENFORCED)
def test_from_may_be_an_alias_of_the_login(policyd, vmail, submit):
    for name in ("sales", "press"):
        vmail.insert("forwardings", address=name + "@example.com",
                     forwarding=ALICE, domain="example.com",
                     dest_domain="example.com", is_alias=1, active=1)
    policyd.start()
    assert is_accepted(submit("sales@example.com"))
    assert is_accepted(submit("alice@example.com, press@example.com"))
    # What it is to the second other one is not looked up.
    assert submit("sales@example.com, press@example.com") == \
        NOT_ONES % "press@example.com"


@pytest.mark.settings(dict(ENFORCED, **{
    "reject_sender_login_mismatch.allowed_mismatch_senders": ALICE}))
def test_from_may_be_anybody_of_a_login_that_may(policyd, submit):
    policyd.start()
    assert is_accepted(submit("ceo@elsewhere.example"))
    assert is_accepted(submit(""))


def test_from_is_only_observed_at_first(policyd, submit):
    policyd.start()
    assert is_accepted(submit(BOB))
    policyd.wait_for_log("would_have=\"%s:The From:" % MISMATCH)


@pytest.mark.settings(dict(ENFORCED, **{"dmarc.bad_from": "reject"}))
def test_mail_from_the_machine_itself_is_not_judged(policyd, smtp, sink):
    policyd.start()
    smtp.sendmail("root@example.com", ALICE,
                  "From: <broken\nSubject: from-cron\n\ntest\n")
    assert sink.find("from-cron")
    policyd.wait_for_log("stage=MESSAGE")


@pytest.mark.settings(ENFORCED)
@pytest.mark.parametrize("author, action", [
    (ALICE, "DUNNO"), (BOB, "REJECT"), ("", "REJECT")])
def test_policyctl_says_so_before(policyd, author, action):
    policyd.start()
    (told,) = policyd.json("test", "--stage", "message", "--sender", ALICE,
                           "--login", ALICE, "--client", CLIENT,
                           "--recipient", FAR[0], "--from", author)
    assert told["action"] == action


# --- signing -----------------------------------------------------------------

def test_a_login_is_accepted_where_nothing_is_set_up_to_sign(policyd, vmail,
                                                            submit):
    """Neither is needed: a master key, or a row of dkim_key."""
    policyd.start()
    assert is_accepted(submit(ALICE))
    policyd.wait_for_log('unsigned="no key"')
    policyd.stop()
    policyd.configure(**dict(policyd.settings,
                             **{"dkim.master_key_file": None}))
    policyd.start()
    # Then nobody is asked for keys.
    assert is_accepted(submit(ALICE))
    assert policyd.log().count('unsigned="no key"') == 1


# --- limits ------------------------------------------------------------------

@pytest.fixture
def here(policyd):
    """Limits are judged at MESSAGE."""
    policyd.configure(**dict(policyd.settings,
                             **{"milter.end_of_message": "yes"}))
    return policyd


def counters(policyd):
    policyd.stop()
    return {row["account"]: row["cur_msgs"] for row in policyd.database.rows(
        "SELECT account, cur_msgs FROM iredapd.throttle_tracking")}


def test_a_message_counts_once_for_all_its_recipients(here, submit):
    add_rule(here, ALICE, max_msgs=5)
    here.start()
    assert is_accepted(submit(ALICE, FAR))
    assert submit(ALICE, FAR) == EXCEEDED
    assert is_accepted(submit(ALICE, FAR[:2]))
    assert submit(ALICE) == EXCEEDED
    assert counters(here) == {ALICE: 5}


def test_the_size_is_known(here, submit):
    add_rule(here, ALICE, msg_size=20000)
    here.start()
    large = message_of(30000).split("\n\n", 1)[1]
    assert is_accepted(submit(ALICE, body=large[:15000] + "\n"))
    assert submit(ALICE, body=large) == "550 5.7.1 Message size is too large"


@pytest.mark.settings(dict(ENFORCED, **{
    "rules.order": "throttle, " + MISMATCH}))
def test_what_another_rule_refuses_is_given_back(here, submit):
    add_rule(here, ALICE, max_msgs=3)
    here.start()
    for _ in range(3):
        assert submit(BOB, FAR[:2]) == NOT_ONES % BOB
    assert is_accepted(submit(ALICE, FAR))
    assert counters(here) == {ALICE: 3}


@pytest.mark.settings({"whitelist_outbound_recipient.mode": "enforce"})
def test_all_recipients_are_whitelisted(here, submit):
    here.start()
    assert is_accepted(submit(ALICE, FAR))
    here.stop()
    assert [(row["account"], row["sender"]) for row in here.database.rows(
        "SELECT account, sender FROM iredapd.greylisting_whitelists"
        " ORDER BY sender")] == [(ALICE, one) for one in FAR]


# --- trouble -----------------------------------------------------------------

class Halfway:
    """A message of which all but DATA has been sent, in Bob's name."""

    def __init__(self, smtp):
        self._session = smtp.submission(ALICE)

    def __enter__(self):
        self.client = self._session.__enter__()
        assert self.client.mail(ALICE).code == 250
        assert self.client.rcpt(FAR[0]).code == 250
        return self

    def __exit__(self, *what):
        self._session.__exit__(*what)

    def end(self):
        return str(self.client.data("From: %s\nSubject: a\n\ntest\n" % BOB))


@pytest.mark.settings(ENFORCED)
def test_a_question_survives_the_policy_process(policyd, smtp):
    policyd.start()
    for _ in range(3):
        with Halfway(smtp) as message:
            pids = wait_for(lambda: policy_of(policyd), "a policy process")
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            assert message.end() == NOT_ONES % BOB


@pytest.mark.settings(ENFORCED)
def test_a_question_in_flight_is_asked_again(policyd, smtp):
    policyd.start()
    with Halfway(smtp) as message:
        (pid,) = policy_of(policyd)
        os.kill(pid, signal.SIGSTOP)
        # It dies while the milter waits for it.
        killer = "sleep 1; kill -KILL %d" % pid
        os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", killer)
        assert message.end() == NOT_ONES % BOB


@pytest.mark.settings(dict(ENFORCED, **{"milter.timeout": "500ms"}))
@pytest.mark.parametrize("on_error, expected", [
    ("accept", "250 2.0.0"), ("defer", "451 4.7.1 Cannot check this message")])
def test_nobody_answers(policyd, smtp, on_error, expected):
    # Where there are no keys nobody waits for any.
    policyd.configure(**dict(policyd.settings, **{
        "milter.on_error": on_error, "dkim.master_key_file": None}))
    policyd.start()
    with Halfway(smtp) as message:
        (pid,) = policy_of(policyd)
        os.kill(pid, signal.SIGSTOP)
        try:
            assert message.end().startswith(expected)
        finally:
            os.kill(pid, signal.SIGCONT)
    policyd.wait_for_log("message action=%s queue_id" % on_error)


@pytest.mark.settings(ENFORCED)
def test_policy_requests_go_on_when_the_milter_dies_in_a_question(policyd,
                                                                  smtp):
    policyd.start()
    with Halfway(smtp) as message:
        (pid,) = policy_of(policyd)
        milter = milter_of(policyd)
        os.kill(pid, signal.SIGSTOP)
        os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c",
                   "sleep 1; kill -KILL %d; kill -CONT %d" % (milter, pid))
        assert message.end().startswith("451 4.7.1")
    with policyd.client() as client:
        assert client.ask(sender="a@remote.example", recipient=ALICE,
                          client_address=CLIENT) == "DUNNO"
    wait_for(lambda: milter_of(policyd) not in (None, milter),
             "another milter")
    assert policy_of(policyd) == [pid]
    with Halfway(smtp) as message:
        assert message.end() == NOT_ONES % BOB
