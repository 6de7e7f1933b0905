"""whitelist_outbound_recipient: those a user writes to may answer at once."""

import pytest

from harness import wait_for
from harness.policy import end_of_message, request

RULE = "whitelist_outbound_recipient."
ON = {"rules.order": "greylisting, throttle, whitelist_outbound_recipient",
      RULE + "mode": "enforce"}
pytestmark = pytest.mark.settings(ON)

ALICE = "alice@example.com"
BOB = "bob@example.com"
PARTNER = "partner@remote.example"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
DAY = 86400


def whites(database):
    return [(row["account"], row["sender"]) for row in database.rows(
        "SELECT account, sender FROM iredapd.greylisting_whitelists"
        " ORDER BY sender")]


def write_to(client, *recipients, login=ALICE, instance="1.1"):
    """A message from a login, as Postfix asks about it."""
    who = dict(sender=login, sasl_username=login, instance=instance,
               client_address="198.51.100.7")
    for recipient in recipients:
        client.send(request(recipient=recipient, **who))
        assert client.reply() == "DUNNO"
    client.send(end_of_message(
        recipient=recipients[0] if len(recipients) == 1 else "",
        recipient_count=str(len(recipients)), **who))
    assert client.reply() == "DUNNO"


def stop_and_whites(policyd):
    """Effects are written before the daemon ends."""
    policyd.stop()
    return whites(policyd.database)


def test_the_answer_is_not_greylisted(policyd, clock):
    with policyd.client() as client:
        assert client.ask(sender=PARTNER, recipient=ALICE) == LATER
        write_to(client, "Partner+list@Remote.example")
        wait_for(lambda: client.ask(sender=PARTNER, recipient=ALICE) ==
                 "DUNNO", "the answer to pass")
        # For her alone, and from that address alone.
        assert client.ask(sender=PARTNER, recipient=BOB) == LATER
        assert client.ask(sender="x@remote.example",
                          recipient=ALICE) == LATER
    rows = policyd.database.rows(
        "SELECT account, sender, comment, created_at"
        " FROM iredapd.greylisting_whitelists")
    assert len(rows) == 1
    assert abs(rows[0].pop("created_at") - clock.now()) < 60
    assert rows == [{"account": ALICE, "sender": PARTNER,
                     "comment": "AUTO-WHITELISTED"}]
    assert policyd.json("greylist", "whitelist", "list") == [
        {"account": ALICE, "sender": PARTNER, "source": "outbound mail",
         "comment": "AUTO-WHITELISTED"}]


@pytest.mark.settings({"database.table_ttl": "1h"})
def test_the_tables_are_read_again_by_themselves(policyd):
    with policyd.client() as client:
        write_to(client, PARTNER)
        wait_for(lambda: client.ask(sender=PARTNER, recipient=ALICE) ==
                 "DUNNO", "the answer to pass")


@pytest.mark.parametrize("settings, expected", [
    ({}, (ALICE, PARTNER)),
    ({"for": "domain"}, ("@example.com", PARTNER)),
    ({"for": "everyone"}, ("@.", PARTNER)),
    ({"add": "domain"}, (ALICE, "@remote.example")),
    ({"for": "domain", "add": "domain"},
     ("@example.com", "@remote.example")),
    ({"for": "everyone", "add": "domain"}, ("@.", "@remote.example"))])
def test_what_is_added_for_whom(configured, settings, expected):
    configured.configure(**{**ON,
                            **{RULE + key: value
                               for key, value in settings.items()}})
    configured.start()
    with configured.client() as client:
        write_to(client, PARTNER)
    assert stop_and_whites(configured) == [expected]


@pytest.mark.settings({RULE + "add": "servers"})
def test_the_servers_of_the_domain(policyd):
    with policyd.client() as client:
        write_to(client, PARTNER, "x@Remote.example", BOB, "x@else.example",
                 "x@remote.example/8", "x@com")
    assert stop_and_whites(policyd) == []
    assert [row["domain"] for row in policyd.database.rows(
        "SELECT domain FROM iredapd.greylisting_whitelist_domains"
        " ORDER BY domain")] == ["else.example", "remote.example"]


def test_every_recipient_of_a_message(policyd):
    with policyd.client() as client:
        write_to(client, PARTNER, BOB, "other@else.example",
                 "x@alias.example", "third@remote.example")
    assert stop_and_whites(policyd) == [
        (ALICE, "other@else.example"), (ALICE, PARTNER),
        (ALICE, "third@remote.example")]


def test_nothing_is_added(policyd):
    with policyd.client() as client:
        # Within the domain, and to domains of this site.
        write_to(client, BOB)
        write_to(client, "x@alias.example")
        write_to(client, BOB, login="u@elsewhere.example")
        # By a login that is no address.
        write_to(client, PARTNER, login="alice")
        # By a stranger, or a trusted client without a login.
        for address in ("192.0.2.1", "127.0.0.1"):
            assert client.ask_at_end(sender=ALICE, recipient=PARTNER,
                                     client_address=address) == "DUNNO"
        # The recipients are not known.
        assert client.ask_at_end(sender=ALICE, sasl_username=ALICE,
                                 recipient="", recipient_count="5",
                                 instance="never.seen") == "DUNNO"
    assert stop_and_whites(policyd) == []


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_modes_that_add_nothing(configured, mode):
    configured.configure(**{**ON, RULE + "mode": mode}).start()
    with configured.client() as client:
        write_to(client, PARTNER)
    assert stop_and_whites(configured) == []


@pytest.mark.settings({RULE + "mode": "off"})
def test_for_one_domain(policyd):
    policyd.ctl("policy", "set", "example.com", RULE + "mode", "enforce")
    with policyd.client() as client:
        write_to(client, PARTNER)
        write_to(client, PARTNER, login="u@elsewhere.example")
    assert stop_and_whites(policyd) == [(ALICE, PARTNER)]


ODD = ["o'brien@remote.example", "a$b@remote.example", "=x@remote.example",
       "\u00fcser@remote.example", "\"a b\"@remote.example",
       "%_%@remote.example", "a\\b@remote.example", "a\"b@remote.example",
       "'; drop table x; --@remote.example", "0.0.0.0/0@remote.example",
       "@.@remote.example"]


@pytest.mark.parametrize("recipient", ODD)
def test_odd_recipients_are_themselves(policyd, recipient):
    with policyd.client() as client:
        write_to(client, recipient)
        wait_for(lambda: client.ask(sender=recipient, recipient=ALICE) ==
                 "DUNNO", "the answer to pass")
        assert client.ask(sender="x@remote.example",
                          recipient=ALICE) == LATER
    assert stop_and_whites(policyd) == [(ALICE, recipient)]


HOSTILE = ["@.", "@remote.example", "@.remote.example", "*@remote.example",
           "x@*", "@ip", "0.0.0.0/0", "192.0.2.1", "x@[192.0.2.1]", "x@com",
           "x@.com", "x@remote.example/8", "\udcff@remote.example", "x",
           "\"\"", "@", "x" * 90 + "@remote.example.net",
           "x" * 5000 + "@remote.example"]


@pytest.mark.parametrize("add", ["address", "domain"])
def test_hostile_recipients_are_nothing_wider(configured, add):
    """Neither a wider entry, nor one that was cut to another."""
    configured.configure(**{**ON, RULE + "add": add})
    configured.start()
    with configured.client() as client:
        for at, recipient in enumerate(HOSTILE):
            write_to(client, recipient, instance="1.%x" % at)
        write_to(client, *HOSTILE, instance="2.1")
    allowed = {"@remote.example", "@remote.example.net"} \
        if add == "domain" else set()
    assert {sender for _, sender in stop_and_whites(configured)} <= allowed


def test_a_row_that_is_there_stays(policyd):
    policyd.ctl("greylist", "whitelist", "add", PARTNER, "--to", ALICE,
                "--comment", "mine")
    policyd.database.execute(
        "INSERT INTO iredapd.greylisting_whitelists (account, sender, comment)"
        " VALUES (%s, 'a@remote.example', 'late')", (ALICE,))
    with policyd.client() as client:
        write_to(client, PARTNER)
        write_to(client, "a@remote.example")
    policyd.stop()
    assert [row["comment"] for row in policyd.database.rows(
        "SELECT comment FROM iredapd.greylisting_whitelists"
        " ORDER BY id")] == ["mine", "late"]


def test_old_entries_go(configured, clock):
    now = clock.now()
    for sender, comment, age in (
            ("new", "AUTO-WHITELISTED", now - 89 * DAY),
            ("old", "AUTO-WHITELISTED", now - 91 * DAY),
            ("iredapd", "AUTO-WHITELISTED", 0),
            ("mine", "an administrator's", 0)):
        configured.database.execute(
            "INSERT INTO iredapd.greylisting_whitelists"
            " (account, sender, comment, created_at)"
            " VALUES ('@.', %s, %s, %s)",
            (sender + "@remote.example", comment, age))
    configured.start().ctl("db", "prune")
    assert [sender.split("@")[0] for _, sender in
            whites(configured.database)] == ["iredapd", "mine", "new"]


def test_many_at_once(policyd):
    """More than one statement holds, and each is there in the end."""
    names = ["p%d@remote.example" % at for at in range(1500)]
    with policyd.client() as client:
        for at in range(0, 1500, 500):
            write_to(client, *names[at:at + 500], instance="3.%x" % at)
        write_to(client, *names[:500], instance="4.1")
    assert sorted(sender for _, sender in stop_and_whites(policyd)) == \
        sorted(names)


def test_entries_wait_for_the_database(policyd, mariadb):
    children = policyd.children()
    with policyd.client() as client:
        client.ask(sender=PARTNER, recipient=ALICE)
        mariadb.kill()
        write_to(client, PARTNER)
    mariadb.start()
    wait_for(lambda: whites(mariadb) == [(ALICE, PARTNER)], "the row")
    assert policyd.children() == children


@pytest.mark.parametrize("on_error, answer", [
    ("accept", "DUNNO"),
    ("defer", "451 4.3.0 Service temporarily unavailable, please try again"
              " later")])
def test_without_the_domains(configured, mariadb, on_error, answer):
    mariadb.execute("RENAME TABLE vmail.alias_domain TO vmail.away")
    try:
        configured.configure(**{**ON, RULE + "on_error": on_error})
        configured.spawn()
        wait_for(lambda: configured.ctl_run("status").returncode != 4,
                 "the control socket")
        with configured.client() as client:
            assert client.ask_at_end(sender=ALICE, sasl_username=ALICE,
                                     recipient=PARTNER) == answer
        assert stop_and_whites(configured) == []
        assert "has [vmail_db] the name of iRedMail's" in configured.log()
        assert "db migrate" not in configured.log()
    finally:
        mariadb.execute("RENAME TABLE vmail.away TO vmail.alias_domain")


def test_without_its_migration(configured, mariadb):
    """Greylisting goes on, and what waits is written when it has run."""
    mariadb.execute("ALTER TABLE iredapd.greylisting_whitelists"
                    " DROP COLUMN created_at")
    try:
        configured.start()
        with configured.client() as client:
            assert client.ask(sender=PARTNER, recipient=ALICE) == LATER
            write_to(client, PARTNER)
            configured.wait_for_log("created_at")
    finally:
        mariadb.execute(
            "ALTER TABLE iredapd.greylisting_whitelists ADD COLUMN"
            " created_at INT UNSIGNED NOT NULL DEFAULT 0")
    wait_for(lambda: whites(mariadb) == [(ALICE, PARTNER)], "the row")


def test_through_postfix(postfix, policyd):
    odd = "o'brien@remote.example"
    with postfix.submission(ALICE) as client:
        assert client.send(ALICE, [PARTNER, BOB, odd]).code == 250
    wait_for(lambda: len(whites(policyd.database)) == 2, "the rows")
    assert whites(policyd.database) == [(ALICE, odd), (ALICE, PARTNER)]

    def answers():
        with postfix.session("192.0.2.10") as client:
            client.mail(PARTNER)
            return client.rcpt(ALICE).code == 250
    wait_for(answers, "the answer to pass")
    with postfix.session("192.0.2.10") as client:
        client.mail(odd)
        assert client.rcpt(ALICE).code == 250
        assert client.rcpt(BOB).code == 451


def test_a_message_that_is_refused_adds_nothing(policyd):
    policyd.ctl("throttle", "set", ALICE, "--period", "1h", "--msg-size",
                "100")
    with policyd.client() as client:
        assert client.ask_at_end(sender=ALICE, sasl_username=ALICE,
                                 recipient=PARTNER).startswith("REJECT")
    assert stop_and_whites(policyd) == []
