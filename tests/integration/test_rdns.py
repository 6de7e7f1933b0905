"""wblist_rdns: black and white lists of the names that clients claim."""

import pytest

from harness import wait_for

pytestmark = pytest.mark.settings({"rules.order": "wblist_rdns"})

BLACKLISTED = "REJECT Blacklisted"
REFUSED = "554 5.7.1 <%s>: Recipient address rejected: Blacklisted"
ALICE = "alice@example.com"


def put(database, *rows):
    for name, colour in rows:
        database.execute("INSERT INTO iredapd.wblist_rdns (rdns, wb)"
                         " VALUES (%s, %s)", (name, colour))


@pytest.mark.parametrize("row, name, answer", [
    (("test.rdns.com", "W"), "test.rdns.com", "DUNNO"),
    ((".rdns.com", "W"), ".rdns.com", "DUNNO"),
    (("test.rdns.com", "B"), "test.rdns.com", BLACKLISTED),
    ((".rdns.com", "B"), ".rdns.com", BLACKLISTED)])
def test_what_iredapd_tested(configured, row, name, answer):
    put(configured.database, row)
    with configured.start().client() as client:
        assert client.ask(client_address="192.168.1.1", size="123",
                          instance="123.456.7",
                          reverse_client_name=name) == answer
        assert client.ask(reverse_client_name="another.domain.tld") == "DUNNO"


@pytest.mark.parametrize("rows, name, answer", [
    ([("b.c.example", "B")], "b.c.example", BLACKLISTED),
    ([("b.c.example", "B")], "a.b.c.example", "DUNNO"),
    ([(".b.c.example", "B")], "a.b.c.example", BLACKLISTED),
    ([(".b.c.example", "B")], "x.a.b.c.example", BLACKLISTED),
    ([(".b.c.example", "B")], "b.c.example", BLACKLISTED),
    ([(".b.c.example", "B")], "ab.c.example", "DUNNO"),
    ([(".example", "B")], "a.b.c.example", BLACKLISTED),
    ([(".B.C.Example", "B")], "A.b.C.EXAMPLE", BLACKLISTED),
    # White only takes off what is black, however wide either is.
    ([(".example", "W"), ("a.b.c.example", "B")], "a.b.c.example", "DUNNO"),
    ([(".example", "B"), ("a.b.c.example", "W")], "a.b.c.example", "DUNNO"),
    ([(".example", "B"), ("a.b.c.example", "W")], "b.c.example", BLACKLISTED),
    # A name that could not be had.
    ([(".example", "B")], "unknown", "DUNNO"),
    ([(".example", "B")], "", "DUNNO"),
    ([(".example", "B")], None, "DUNNO"),
    # Hostile ones.
    ([(".example", "B")], "." * 7000 + "example", BLACKLISTED),
    ([(".example", "B")], "a'; DROP TABLE x; --.example", BLACKLISTED),
    ([(".example", "B")], "\udcff\udcfe.example", BLACKLISTED),
    ([(".example", "B")], "x" * 7000, "DUNNO")])
def test_names(configured, rows, name, answer):
    put(configured.database, *rows)
    with configured.start().client() as client:
        assert client.ask(reverse_client_name=name) == answer
        # Only strangers are judged.
        assert client.ask(reverse_client_name=name,
                          sasl_username=ALICE, sender=ALICE) == "DUNNO"
        assert client.ask(reverse_client_name=name,
                          client_address="127.0.0.1") == "DUNNO"


def test_the_verified_name_is_not_asked(configured):
    put(configured.database, (".bad.example", "B"))
    with configured.start().client() as client:
        assert client.ask(client_name="mx.bad.example",
                          reverse_client_name="mx.good.example") == "DUNNO"
        assert client.ask(client_name="unknown",
                          reverse_client_name="mx.bad.example") == BLACKLISTED


@pytest.mark.settings({"mail.trusted_networks": "192.0.2.0/24"})
def test_trusted_networks(configured):
    put(configured.database, (".bad.example", "B"))
    with configured.start().client() as client:
        bad = dict(reverse_client_name="mx.bad.example")
        assert client.ask(client_address="192.0.2.9", **bad) == "DUNNO"
        assert client.ask(client_address="192.0.3.9", **bad) == BLACKLISTED


@pytest.mark.settings({"rules.order": "wblist_rdns, greylisting"})
def test_white_spares_no_other_rule(configured):
    put(configured.database, (".example", "W"))
    with configured.start().client() as client:
        assert client.ask(reverse_client_name="mx.good.example").startswith(
            "451 4.7.1 ")


def test_through_postfix(postfix, configured):
    put(configured.database, (".bad.example", "B"),
        ("mx.good.bad.example", "W"))
    configured.start()
    for name, expected in (("mx.bad.example", REFUSED % ALICE),
                           ("mx.good.bad.example", "250 2.1.5 Ok"),
                           ("mx.other.example", "250 2.1.5 Ok")):
        with postfix.session("192.0.2.10", reverse_name=name) as client:
            client.mail("x@sender.example")
            assert client.rcpt(ALICE) == expected
    # A null sender is judged like any other.
    with postfix.session("192.0.2.10", reverse_name="bad.example") as client:
        client.mail("")
        assert client.rcpt(ALICE) == REFUSED % ALICE
    with postfix.submission(ALICE) as client:
        assert client.send(ALICE, "x@else.example").code == 250


def test_the_commands(policyd):
    name = dict(reverse_client_name="host.dyn.example")
    with policyd.client() as client:
        assert client.ask(**name) == "DUNNO"
        policyd.ctl("rdns", "add", ".Dyn.Example", "--black")
        assert client.ask(**name) == BLACKLISTED
        policyd.ctl("rdns", "add", "host.dyn.example.", "--white")
        assert client.ask(**name) == "DUNNO"
        assert policyd.database.rows(
            "SELECT rdns, wb FROM iredapd.wblist_rdns ORDER BY rdns") == [
            {"rdns": ".dyn.example", "wb": "B"},
            {"rdns": "host.dyn.example", "wb": "W"}]
        shown = policyd.ctl("rdns", "list")
        assert "host.dyn.example" in shown and "white" in shown
        assert policyd.json("rdns", "list")[1] == {
            "name": ".dyn.example", "list": "black"}
        policyd.ctl("rdns", "add", "host.dyn.example", "--black")
        assert client.ask(**name) == BLACKLISTED
        policyd.ctl("rdns", "remove", ".dyn.example")
        policyd.ctl("rdns", "remove", "HOST.dyn.example")
        assert client.ask(**name) == "DUNNO"
    policyd.ctl("rdns", "remove", "host.dyn.example", status=3)
    for words in (("x.example",), ("x.example", "--white", "--black"),
                  ("*.x.example", "--black"), ("unknown", "--black"),
                  ("a b", "--black"), ("", "--black")):
        policyd.ctl("rdns", "add", *words, status=2)


def test_the_refusal_is_explained(configured):
    put(configured.database, (".bad.example", "B"))
    configured.start()
    with configured.client() as client:
        assert client.ask(queue_id="4RDNS",
                          reverse_client_name="mx.bad.example") == BLACKLISTED
    text = configured.ctl("explain", "4RDNS")
    assert "wblist_rdns" in text and ".bad.example" in text, text


def test_rows_that_make_no_sense_are_named(configured):
    put(configured.database, ("*.bad.example", "B"), ("ok.example", "maybe"))
    configured.spawn()
    configured.wait_for_log("without a star")
    out = configured.ctl("policy", "check", status=1)
    assert "iredapd.wblist_rdns" in out and "without a star" in out, out


@pytest.mark.parametrize("on_error, answer", [
    ("accept", "DUNNO"),
    ("defer", "451 4.3.0 Service temporarily unavailable, please try again"
              " later")])
def test_without_the_table(configured, mariadb, on_error, answer):
    mariadb.execute("RENAME TABLE iredapd.wblist_rdns TO iredapd.away")
    try:
        configured.configure(**{"rules.order": "wblist_rdns",
                                "wblist_rdns.on_error": on_error})
        configured.spawn()
        wait_for(lambda: configured.ctl_run("status").returncode != 4,
                 "the control socket")
        children = configured.children()
        with configured.client() as client:
            assert client.ask(reverse_client_name="mx.bad.example") == answer
            assert client.ask(reverse_client_name="unknown") == "DUNNO"
        assert configured.children() == children
    finally:
        mariadb.execute("RENAME TABLE iredapd.away TO iredapd.wblist_rdns")


def test_the_list_stays_in_force_without_the_database(configured, mariadb):
    put(mariadb, (".bad.example", "B"))
    configured.start()
    with configured.client() as client:
        assert client.ask(reverse_client_name="mx.bad.example") == BLACKLISTED
        mariadb.kill()
        assert client.ask(reverse_client_name="mx.bad.example") == BLACKLISTED
    mariadb.start()
