"""What greylisting_admin and fix_throttle_priority of iRedAPD did, done with
policyctl: the rows that are left in the tables are theirs."""

import pytest

from harness.policy import request

ALICE = "alice@example.com"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
USAGE, NOT_FOUND = 2, 3


def settings(policyd):
    return [tuple(row.values()) for row in policyd.database.rows(
        "SELECT account, priority, sender, sender_priority, active"
        " FROM iredapd.greylisting WHERE account != '@.' OR sender != '@.'"
        " ORDER BY id")]


@pytest.mark.parametrize("sender, stored, priority", [
    ("user@remote.example", "user@remote.example", 100),
    ("remote.example", "@remote.example", 60),
    ("@remote.example", "@remote.example", 60),
    ("@.remote.example", "@.remote.example", 50),
    ("@.example", "@.example", 40),
    ("192.0.2.1", "192.0.2.1", 80),
    ("2001:DB8::1", "2001:db8::1", 80),
    ("192.0.2.0/24", "192.0.2.0/24", 70),
    ("2001:db8::/32", "2001:db8::/32", 70)])
@pytest.mark.parametrize("word, active", [("enable", 1), ("disable", 0)])
def test_enable_disable_and_delete(policyd, sender, stored, priority, word,
                                   active):
    """Networks of IPv6 were refused, and those of IPv4 stored with 0."""
    words = ("--from", sender, "--to", "example.com")
    # A row that is there is changed, not doubled.
    policyd.ctl("greylist", "enable", *words)
    policyd.ctl("greylist", word, *words)
    assert settings(policyd) == [
        ("@example.com", 60, stored, priority, active)]
    policyd.ctl("greylist", "remove", *words)
    assert settings(policyd) == []
    policyd.ctl("greylist", "remove", *words, status=NOT_FOUND)


def test_without_accounts_it_is_for_everyone(policyd):
    policyd.ctl("greylist", "disable")
    with policyd.client() as client:
        assert client.ask() == "DUNNO"
        policyd.ctl("greylist", "enable")
        assert client.ask() == LATER
        policyd.ctl("greylist", "remove")
        assert client.ask() == "DUNNO"
    assert policyd.database.rows("SELECT * FROM iredapd.greylisting") == []


def test_lists_are_in_the_order_of_their_priorities(policyd):
    for sender, account in (("@.", ALICE), ("192.0.2.1", "example.com"),
                            ("x@remote.example", "example.com")):
        policyd.ctl("greylist", "disable", "--from", sender, "--to", account)
    rows = policyd.json("greylist", "list")
    assert [(row["account"], row["sender"], row["active"]) for row in rows] \
        == [(ALICE, "@.", False),
            ("@example.com", "x@remote.example", False),
            ("@example.com", "192.0.2.1", False), ("@.", "@.", True)]
    rows = policyd.json("greylist", "list", "--account", "example.com")
    assert [row["sender"] for row in rows] == [
        "x@remote.example", "192.0.2.1"]


def test_whitelists_are_added_and_listed(policyd):
    policyd.ctl("greylist", "whitelist", "add", "2001:db8::/32", "--to", ALICE,
                "--comment", "a partner")
    policyd.ctl("greylist", "whitelist", "add", "remote.example")
    policyd.database.execute(
        "INSERT INTO iredapd.greylisting_whitelist_domain_spf"
        " (account, sender, comment)"
        " VALUES ('@.', '192.0.2.0/28', 'AUTO-UPDATE: remote.example')")
    rows = policyd.json("greylist", "whitelist", "list")
    assert {(row["account"], row["sender"], row["comment"]) for row in rows} \
        == {(ALICE, "2001:db8::/32", "a partner"),
            ("@.", "@remote.example", ""),
            ("@.", "192.0.2.0/28", "AUTO-UPDATE: remote.example")}
    rows = policyd.json("greylist", "whitelist", "list", "--account", ALICE)
    assert [row["sender"] for row in rows] == ["2001:db8::/32"]
    policyd.ctl("greylist", "whitelist", "add", "@ip", status=USAGE)
    policyd.ctl("greylist", "whitelist", "add", "x@y.example", "--to",
                "192.0.2.1", status=USAGE)


def domains(policyd):
    return [row["domain"] for row in policyd.database.rows(
        "SELECT domain FROM iredapd.greylisting_whitelist_domains"
        " ORDER BY domain")]


def add_entry(policyd, table, sender, domain):
    policyd.database.execute(
        "INSERT INTO iredapd.%s (account, sender, comment)"
        " VALUES ('@.', %%s, %%s)" % table,
        (sender, "AUTO-UPDATE: " + domain))


def test_whitelist_domains(policyd):
    told = policyd.ctl("greylist", "whitelist-domain", "add",
                       "Remote.Example")
    assert "remote.example is on the list" in told
    policyd.ctl("greylist", "whitelist-domain", "add", "@remote.example")
    policyd.ctl("greylist", "whitelist-domain", "add", "else.example")
    assert domains(policyd) == ["else.example", "remote.example"]
    add_entry(policyd, "greylisting_whitelist_domain_spf", "192.0.2.1",
              "remote.example")
    rows = policyd.json("greylist", "whitelist-domain", "list")
    assert [(row["domain"], row["entries"]) for row in rows] == [
        ("else.example", 0), ("remote.example", 1)]
    for wrong in ("user@remote.example", "192.0.2.0/24", ".remote.example",
                  "*", "example", "@ip", ""):
        policyd.ctl("greylist", "whitelist-domain", "add", wrong,
                    status=USAGE)
    policyd.ctl("greylist", "whitelist-domain", "remove", "else.example")
    policyd.ctl("greylist", "whitelist-domain", "remove", "else.example",
                status=NOT_FOUND)
    assert domains(policyd) == ["remote.example"]


def test_removing_a_domain_removes_its_servers(policyd):
    """From both tables, and at once; iRedAPD left the second one alone."""
    for table in ("greylisting_whitelists",
                  "greylisting_whitelist_domain_spf"):
        add_entry(policyd, table, "192.0.2.1", "remote.example")
        add_entry(policyd, table, "192.0.2.2", "not.remote.example")
    policyd.ctl("greylist", "whitelist-domain", "add", "remote.example")
    with policyd.client() as client:
        assert client.ask(client_address="192.0.2.1") == "DUNNO"
        policyd.ctl("greylist", "whitelist-domain", "remove",
                    "remote.example")
        assert client.ask(client_address="192.0.2.1") == LATER
        assert client.ask(client_address="192.0.2.2") == "DUNNO"
    assert domains(policyd) == []
    # What iRedAPD left behind of a domain that is not on the list any more.
    add_entry(policyd, "greylisting_whitelist_domain_spf", "192.0.2.3",
              "remote.example")
    assert "not on the list" in policyd.ctl(
        "greylist", "whitelist-domain", "remove", "remote.example")
    assert policyd.database.value(
        "SELECT COUNT(*) FROM iredapd.greylisting_whitelist_domain_spf") == 1


PRIORITIES = [(ALICE, 100), ("user@*", 90), ("192.0.2.1", 80),
              ("2001:db8::1", 80), ("192.0.2.*", 70), ("192.0.2.0/24", 70),
              ("@example.com", 60), ("@.example.com", 50), ("@.com", 40),
              ("@ip", 0), ("@.", 0)]


def test_fix_priorities(policyd):
    database = policyd.database
    for account, _ in PRIORITIES + [("no account", 0)]:
        database.execute(
            "INSERT INTO iredapd.throttle (account, kind, priority, period,"
            " max_msgs) VALUES (%s, 'outbound', 7, 60, 5)", (account,))
    everything = "SELECT account, priority FROM iredapd.throttle ORDER BY id"
    before = database.rows(everything)
    told = policyd.ctl("throttle", "fix-priorities", "--dry-run")
    assert ALICE in told and "11 priorities would be changed" in told, told
    assert database.rows(everything) == before
    told = policyd.ctl("throttle", "fix-priorities")
    assert "11 priorities were changed" in told and "1 rows" in told, told
    assert [tuple(row.values()) for row in database.rows(everything)] == \
        PRIORITIES + [("no account", 7)]
    assert "as it should be" in policyd.ctl("throttle", "fix-priorities")


def test_fixed_priorities_are_in_force(policyd):
    policyd.database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " msg_size) VALUES ('@.', 'external', 50, 60, 10),"
        " ('@sender.example', 'external', 1, 60, 0)")
    policyd.ctl("reload")
    at_end = dict(size="1000", instance="1.1")
    with policyd.client() as client:
        assert client.ask_at_end(**at_end).startswith("REJECT")
        policyd.ctl("throttle", "fix-priorities")
        assert client.ask_at_end(**at_end) == "DUNNO"


def test_fix_priorities_of_many(policyd):
    """More than are read at once."""
    policyd.database.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period)"
        " SELECT CONCAT('u', seq, '@example.com'), 'inbound',"
        " seq MOD 2 * 100, 60 FROM iredapd.seq_1_to_3000")
    told = policyd.ctl("throttle", "fix-priorities")
    assert "and 500 more" in told
    assert "1500 priorities were changed" in told
    assert policyd.database.value(
        "SELECT COUNT(*) FROM iredapd.throttle WHERE priority = 100") == 3000


def test_a_database_that_is_away_is_told(policyd, mariadb):
    with policyd.client() as client:
        client.send(request())
        client.reply()
    mariadb.kill()
    for words in (("throttle", "fix-priorities"), ("rdns", "list"),
                  ("rdns", "add", "x.example", "--black"),
                  ("greylist", "whitelist-domain", "list"),
                  ("greylist", "whitelist-domain", "remove", "x.example")):
        policyd.ctl(*words, status=6)
    mariadb.start()
