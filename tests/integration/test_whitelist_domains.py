"""The mail servers of white-listed domains are looked up by the daemon: what
is stored, when it changes, and who does it."""

import os
import signal
import subprocess

import pytest

from harness import wait_for
from harness.daemon import Policyd
from harness.dns import SERVFAIL, Answer, DnsServer

LATER = "451 4.7.1 Intentional policy rejection, please try again later"
DONE, FINDINGS, USAGE, NOT_FOUND, REFUSED = 0, 1, 2, 3, 5
# The setting is left out: it is on by default.
ON = {"greylisting.refresh_whitelist_domains": None}
OFF = {"greylisting.refresh_whitelist_domains": "no"}
TABLE = "greylisting_whitelist_domain_spf"
ONE, TWO = "one.example", "two.example"
HOUR, DAY = 3600, 86400


def spf(terms, **more):
    """Not remembered by the resolver, so that it may change."""
    return Answer(TXT="v=spf1 " + terms, **{"ttl": 0, "negative_ttl": 0,
                                           **more})


@pytest.fixture
def dns():
    with DnsServer({ONE: spf("ip4:192.0.2.0/28 ip4:192.0.2.77 -all"),
                    TWO: spf("ip4:198.51.100.1 -all")}) as server:
        yield server


def settings_of(marked_settings, dns, base):
    settings = {**base, "dns.resolver": dns.address}
    settings.update(marked_settings)
    return settings


@pytest.fixture
def ready(configured, dns, marked_settings):
    """Configured, not yet running."""
    return configured.configure(**settings_of(marked_settings, dns, ON))


@pytest.fixture
def policyd(ready):
    return ready.start()


@pytest.fixture
def second(directory, ports, mariadb, clock, dns, marked_settings, ready):
    daemon = Policyd(os.path.join(directory, "policyd-2"), mariadb, ports[4:],
                     clock)
    daemon.configure(**{**settings_of(marked_settings, dns, ON),
                        "policyd.node": "second"})
    open(daemon.log_path, "w").close()
    yield daemon
    daemon.stop()


def add(policyd, *domains):
    for domain in domains:
        policyd.ctl("greylist", "whitelist-domain", "add", domain)


def put(database, table, sender, comment, account="@."):
    database.execute(
        "INSERT INTO iredapd.%s (account, sender, comment)"
        " VALUES (%%s, %%s, %%s)" % table, (account, sender, comment))


def comment(domain):
    return "AUTO-UPDATE: " + domain


def entries(policyd, domain=None, table=TABLE):
    """The senders of a domain's rows; of all rows (sender, comment)."""
    rows = policyd.database.rows(
        "SELECT account, sender, comment FROM iredapd." + table)
    assert {row["account"] for row in rows} <= {"@."}
    if domain is None:
        return sorted((row["sender"], row["comment"]) for row in rows)
    return sorted(row["sender"] for row in rows
                  if row["comment"] == comment(domain))


def wait_for_entries(policyd, domain, *expected):
    wait_for(lambda: entries(policyd, domain) == sorted(expected),
             "the entries of " + domain)


def state(policyd, domain):
    row, = [row for row in
            policyd.json("greylist", "whitelist-domain", "list")
            if row["domain"] == domain]
    return row


def wait_for_state(policyd, domain, text, seconds=30):
    wait_for(lambda: state(policyd, domain)["state"].startswith(text),
             "%s of %s" % (text, domain), seconds)
    return state(policyd, domain)


def refresh(policyd, *words, status=DONE):
    """(domain, change, entry) of each line."""
    rows = policyd.json("greylist", "whitelist-domain", "refresh", *words,
                        status=status)
    return [(row["domain"], row["change"], row["entry"]) for row in rows]


# --- what is stored ---------------------------------------------------------

def test_rows_are_those_of_the_old_tool(policyd, dns):
    dns.zone.update({
        "all.example": spf("ip4:192.0.2.1 ip4:192.0.2.130/25 ip6:2001:DB8:1::/48"
                           " a:web.example/30 mx include:more.example"
                           " ?ip4:192.0.2.9 -all", MX=(10, "mail.example")),
        "web.example": ["198.51.100.7"],
        "mail.example": Answer(A="198.51.100.9", AAAA="2001:db8::25"),
        "more.example": spf("ip4:203.0.113.0/24 ip4:203.0.113.5/32 ~all"),
        "host.example": Answer(MX=[(10, "mail.example"), (20, "gone.example")])
    })
    for domain in ("all.example", "host.example"):
        add(policyd, domain)
        wait_for_state(policyd, domain, "ok")
    assert entries(policyd) == sorted(
        [(sender, comment("all.example")) for sender in (
            "192.0.2.1", "192.0.2.128/25", "2001:db8:1::/48",
            "198.51.100.4/30", "198.51.100.9", "2001:db8::25",
            "203.0.113.0/24", "203.0.113.5")])
    # What a second domain has, too, is there once.
    assert state(policyd, "host.example")["entries"] == 0
    assert state(policyd, "all.example")["entries"] == 8


@pytest.mark.settings({"database.table_ttl": "1h"})
def test_a_domain_passes_once_it_is_added(policyd):
    """At once: the tables are read again by themselves."""
    policyd.wait_for_log("this node looks up")
    with policyd.client() as client:
        assert client.ask(client_address="192.0.2.5") == LATER
        assert client.ask(client_address="192.0.2.99") == LATER
        told = policyd.ctl("greylist", "whitelist-domain", "add", ONE)
        assert "looked up now" in told
        wait_for(lambda: client.ask(client_address="192.0.2.5") == "DUNNO",
                 "the network")
        assert client.ask(client_address="192.0.2.77") == "DUNNO"
        assert client.ask(client_address="192.0.2.99") == LATER
        policyd.ctl("greylist", "whitelist-domain", "remove", ONE)
        assert client.ask(client_address="192.0.2.5") == LATER


@pytest.mark.settings({"policyd.policy_processes": "2"})
def test_it_passes_in_every_process(policyd, dns):
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")

    def passes():
        with policyd.client() as client:
            return client.ask(client_address="192.0.2.5") == "DUNNO"

    wait_for(lambda: all([passes() for _ in range(20)]), "both processes")
    refused = policyd.ctl_run(
        "--socket", os.path.join(policyd.directory, "control-1"),
        "greylist", "whitelist-domain", "refresh")
    assert refused.returncode == REFUSED
    assert "process 0" in refused.stderr


def test_a_domain_that_another_tool_adds(policyd, mariadb):
    mariadb.execute("INSERT INTO iredapd.greylisting_whitelist_domains"
                    " (domain) VALUES ('One.Example')")
    wait_for_entries(policyd, ONE, "192.0.2.0/28", "192.0.2.77")


@pytest.mark.settings({
    "rules.order": "greylisting, whitelist_outbound_recipient",
    "whitelist_outbound_recipient.mode": "enforce",
    "whitelist_outbound_recipient.add": "servers"})
def test_a_domain_that_a_user_writes_to(policyd):
    who = dict(sender="alice@example.com", sasl_username="alice@example.com",
               client_address="203.0.113.1", recipient="x@" + ONE)
    with policyd.client() as client:
        assert client.ask(client_address="192.0.2.5") == LATER
        assert client.ask(**who) == "DUNNO"
        assert client.ask_at_end(**who) == "DUNNO"
        wait_for(lambda: client.ask(client_address="192.0.2.5") == "DUNNO",
                 "its servers")


def test_the_world_is_not_white_listed(policyd, dns):
    dns.zone["wide.example"] = spf(
        "ip4:0.0.0.0/0 ip4:128.0.0.0/2 ip6:::/0 ip4:127.0.0.1"
        " ip4:192.0.2.1 exists:%{i}.x.example ptr +all")
    add(policyd, "wide.example")
    shown = wait_for_state(policyd, "wide.example", "not complete")
    assert "2 of its terms depend on the mail" in shown["state"]
    assert "5 of its networks are too large" in shown["state"]
    assert entries(policyd, "wide.example") == ["192.0.2.1"]


def test_no_domain_and_no_servers(policyd, dns):
    dns.zone[TWO] = Answer(A="192.0.2.9")
    add(policyd, "gone.example", TWO)
    for domain in ("gone.example", TWO):
        assert wait_for_state(policyd, domain, "ok")["entries"] == 0


# --- what changes -----------------------------------------------------------

def numbers(policyd):
    return {row["sender"]: row["id"] for row in policyd.database.rows(
        "SELECT sender, id FROM iredapd." + TABLE)}


def test_only_the_difference_is_written(policyd, dns):
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")
    before = numbers(policyd)
    assert refresh(policyd) == [(ONE, "unchanged", "")]
    dns.zone[ONE] = spf("ip4:192.0.2.77 ip4:192.0.2.78 -all")
    changes = [(ONE, "remove", "192.0.2.0/28"), (ONE, "add", "192.0.2.78")]
    assert refresh(policyd, "--plan") == changes
    assert refresh(policyd, ONE, "--plan") == changes
    assert numbers(policyd) == before
    # A plan puts nothing off.
    assert refresh(policyd) == [
        (ONE, "removed", "192.0.2.0/28"), (ONE, "added", "192.0.2.78")]
    after = numbers(policyd)
    assert sorted(after) == ["192.0.2.77", "192.0.2.78"]
    assert after["192.0.2.77"] == before["192.0.2.77"]
    assert "domain_servers domain=one.example added=1" in policyd.log()
    # In force by the time that the command ends.
    with policyd.client() as client:
        assert client.ask(client_address="192.0.2.78") == "DUNNO"
        assert client.ask(client_address="192.0.2.5") == LATER


def chain(at):
    """200 networks, and the next of six such records."""
    strings = ["v=spf1 include:more%d.example" % (at + 1)]
    strings += [" ip4:10.%d.%d.1" % (at, host) for host in range(200)]
    return Answer(TXT=[strings], ttl=0, is_cut=True)


def test_more_than_one_statement_takes(policyd, dns):
    """Rows come and go in batches."""
    dns.zone[ONE] = chain(0)
    for at in range(1, 6):
        dns.zone["more%d.example" % at] = chain(at)
    dns.zone["more6.example"] = spf("-all")
    add(policyd, ONE)
    wait_for(lambda: len(entries(policyd, ONE)) == 1200, "the entries")
    dns.zone[ONE] = spf("ip4:10.1.7.1 -all")
    assert len(refresh(policyd)) == 1199
    assert entries(policyd) == [("10.1.7.1", comment(ONE))]


def test_times_to_live_are_honoured(policyd, dns, clock):
    dns.zone[TWO] = spf("ip4:198.51.100.1", ttl=3 * HOUR)
    dns.zone["long.example"] = spf("ip4:198.51.100.2", ttl=30 * DAY)
    add(policyd, ONE, TWO, "long.example")
    for domain, seconds in ((ONE, 600), (TWO, 3 * HOUR),
                            ("long.example", DAY)):
        row = wait_for_state(policyd, domain, "ok")
        assert abs(row["looked_up_at"] - clock.now()) < 60
        assert abs(row["next_at"] - row["looked_up_at"] - seconds) < 30
    before = {row["domain"]: row["looked_up_at"] for row in
              policyd.json("greylist", "whitelist-domain", "list")}
    dns.zone[ONE] = spf("ip4:192.0.2.1")
    clock.advance(700)
    wait_for_entries(policyd, ONE, "192.0.2.1")
    assert state(policyd, TWO)["looked_up_at"] == before[TWO]
    clock.advance(3 * HOUR)
    wait_for(lambda: state(policyd, TWO)["looked_up_at"] > before[TWO],
             "the second domain")
    assert state(policyd, "long.example")["looked_up_at"] == \
        before["long.example"]


# --- when the DNS does not answer (D18) --------------------------------------

SICK = [
    pytest.param({ONE: Answer(rcode=SERVFAIL)}, id="servfail"),
    pytest.param({ONE: Answer(silent=True)}, id="silent"),
    pytest.param({ONE: spf("include:i.example"),
                  "i.example": Answer(rcode=SERVFAIL)}, id="include"),
    pytest.param({ONE: spf("mx", MX=(10, "m.example")),
                  "m.example": Answer(rcode=SERVFAIL)}, id="host"),
    # A broken record may be mended, too.
    pytest.param({ONE: spf("nonsense")}, id="broken"),
    pytest.param({ONE: spf("include:none.example -all")}, id="no include"),
]


@pytest.mark.settings({"dns.timeout": "300ms"})
@pytest.mark.parametrize("zone", SICK)
def test_old_entries_stay_while_a_look_up_fails(policyd, dns, zone):
    add(policyd, ONE, TWO)
    wait_for_state(policyd, ONE, "ok")
    wait_for_state(policyd, TWO, "ok")
    before = entries(policyd)
    dns.zone.update(zone)
    dns.zone[TWO] = spf("ip4:198.51.100.2")
    changes = refresh(policyd, status=FINDINGS)
    assert (ONE, "failed") in [change[:2] for change in changes]
    # The other domain goes on.
    assert (TWO, "added", "198.51.100.2") in changes
    assert entries(policyd, ONE) == ["192.0.2.0/28", "192.0.2.77"]
    assert len(before) == len(entries(policyd))
    assert state(policyd, ONE)["state"].startswith("failed: ")
    with policyd.client() as client:
        assert client.ask(client_address="192.0.2.5") == "DUNNO"


def test_what_is_found_is_added_meanwhile(policyd, dns):
    """Nothing goes, and what grows has an end."""
    dns.zone["sick.example"] = Answer(rcode=SERVFAIL)
    dns.zone[ONE] = spf("ip4:192.0.2.1 include:sick.example -all")
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "failed: sick.example")
    assert entries(policyd, ONE) == ["192.0.2.1"]
    dns.zone[ONE] = spf("ip4:192.0.2.2 include:sick.example -all")
    assert (ONE, "added", "192.0.2.2") in refresh(policyd, status=FINDINGS)
    assert entries(policyd, ONE) == ["192.0.2.1", "192.0.2.2"]
    # The resolver remembers a failure for some seconds.
    dns.zone["sick.example"] = spf("-all")
    wait_for(lambda: policyd.ctl_run("greylist", "whitelist-domain",
                                     "refresh").returncode == DONE,
             "an answer")
    assert entries(policyd, ONE) == ["192.0.2.2"]


def test_it_is_tried_again(policyd, dns, clock):
    dns.zone[ONE] = Answer(rcode=SERVFAIL, ttl=0)
    add(policyd, ONE)
    row = wait_for_state(policyd, ONE, "failed")
    assert 0 < row["next_at"] - clock.now() <= 60
    assert policyd.log().count("white-listed domain one.example") == 1
    # What failed is remembered by the resolver for some seconds.
    dns.zone[ONE] = spf("ip4:192.0.2.1")
    for _ in range(20):
        clock.advance(HOUR)
        try:
            wait_for_state(policyd, ONE, "ok", 2)
            break
        except AssertionError:
            continue
    assert entries(policyd, ONE) == ["192.0.2.1"]
    assert "it is all right again" in policyd.log()


@pytest.mark.settings({"database.connect_timeout": "500ms"})
def test_the_database_is_away(policyd, dns, mariadb):
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")
    dns.zone[ONE] = spf("ip4:192.0.2.1")
    mariadb.kill()
    try:
        wait_for(lambda: policyd.ctl_run(
            "greylist", "whitelist-domain", "list").returncode != DONE,
            "the loss of it")
        refused = policyd.ctl_run("greylist", "whitelist-domain", "refresh")
        assert refused.returncode in (FINDINGS, REFUSED)
    finally:
        mariadb.start()
    wait_for(lambda: policyd.ctl_run("greylist", "whitelist-domain",
                                     "refresh").returncode == DONE,
             "a refresh")
    assert entries(policyd, ONE) == ["192.0.2.1"]


# --- several domains ---------------------------------------------------------

def test_a_shared_address_stays(policyd, dns):
    dns.zone[TWO] = spf("ip4:192.0.2.77 ip4:198.51.100.1 -all")
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")
    add(policyd, TWO)
    wait_for_state(policyd, TWO, "ok")
    assert ("192.0.2.77", comment(ONE)) in entries(policyd)
    before = numbers(policyd)
    # Its domain loses it.
    dns.zone[ONE] = spf("ip4:192.0.2.0/28 -all")
    assert refresh(policyd, ONE, "--plan") == [
        (ONE, "hand over", "192.0.2.77, to two.example")]
    assert refresh(policyd, ONE) == [
        (ONE, "handed over", "192.0.2.77, to two.example")]
    assert entries(policyd, TWO) == ["192.0.2.77", "198.51.100.1"]
    assert numbers(policyd) == before
    # So does the other.
    dns.zone[TWO] = spf("ip4:198.51.100.1 -all")
    assert sorted(refresh(policyd)) == [(ONE, "unchanged", ""),
                                        (TWO, "removed", "192.0.2.77")]
    assert entries(policyd) == [("192.0.2.0/28", comment(ONE)),
                                ("198.51.100.1", comment(TWO))]


@pytest.mark.parametrize("by", ["policyctl", "another tool"])
def test_a_shared_address_outlives_a_removed_domain(policyd, dns, mariadb, by):
    dns.zone[TWO] = spf("ip4:192.0.2.77 ip4:198.51.100.1 -all")
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")
    add(policyd, TWO)
    wait_for_state(policyd, TWO, "ok")
    assert entries(policyd, ONE) == ["192.0.2.0/28", "192.0.2.77"]
    if by == "policyctl":
        policyd.ctl("greylist", "whitelist-domain", "remove", ONE)
    else:
        # As iRedAPD's tool: the entries are left behind.
        mariadb.execute("DELETE FROM iredapd.greylisting_whitelist_domains"
                        " WHERE domain = %s", ONE)
    wait_for(lambda: entries(policyd) == [
        ("192.0.2.77", comment(TWO)), ("198.51.100.1", comment(TWO))],
        "the entries of the other")
    wait_for(lambda: passes(policyd, "192.0.2.77"), "the shared one")
    wait_for(lambda: not passes(policyd, "192.0.2.5"), "the others")


def passes(policyd, address):
    with policyd.client() as client:
        return client.ask(client_address=address) == "DUNNO"


def test_a_domain_comes_back(policyd, mariadb):
    add(policyd, ONE)
    for _ in range(3):
        wait_for_entries(policyd, ONE, "192.0.2.0/28", "192.0.2.77")
        policyd.ctl("greylist", "whitelist-domain", "remove", ONE)
        add(policyd, ONE)
    wait_for_entries(policyd, ONE, "192.0.2.0/28", "192.0.2.77")
    assert wait_for_state(policyd, ONE, "ok")["entries"] == 2


def test_no_more_than_four_at_once(policyd, dns, mariadb):
    for at in range(9):
        dns.zone["d%d.example" % at] = Answer(silent=True)
    mariadb.execute("INSERT INTO iredapd.greylisting_whitelist_domains"
                    " (domain) SELECT CONCAT('d', seq, '.example')"
                    " FROM iredapd.seq_0_to_8")

    def asked():
        return {one[0] for one in dns.asked()}

    wait_for(lambda: len(asked()) == 4, "four questions")
    assert state(policyd, "d8.example")["state"] == "not looked up yet"
    assert len(asked()) == 4


# --- rows of others ----------------------------------------------------------

def test_rows_made_by_hand_stay(policyd, dns, mariadb):
    mine = [("192.0.2.77", "mine"), ("192.0.2.78", ""),
            ("192.0.2.79", "AUTO-UPDATE"), ("192.0.2.80", "AUTO-UPDATE: me!")]
    for sender, text in mine:
        put(mariadb, TABLE, sender, text)
    add(policyd, ONE)
    wait_for_state(policyd, ONE, "ok")
    # No second row, and not ours.
    assert entries(policyd) == [("192.0.2.0/28", comment(ONE))] + mine
    dns.zone[ONE] = spf("ip4:192.0.2.78 -all")
    assert refresh(policyd) == [(ONE, "removed", "192.0.2.0/28")]
    assert entries(policyd) == mine
    policyd.ctl("greylist", "whitelist-domain", "remove", ONE)
    assert entries(policyd) == mine


def test_rows_of_the_old_tool_are_adopted(ready, dns, mariadb):
    """Also where it stored them once, and spelt in another way; not the
    senders that "ptr" became (D17)."""
    dns.zone[ONE] = spf("ip4:192.0.2.0/28 ip6:2001:db8::/32 ip4:192.0.2.77")
    for sender in ("192.0.2.0/28", "2001:DB8::/32", "203.0.113.9",
                   "@one.example"):
        put(mariadb, TABLE, sender, "AUTO-UPDATE: one.example")
    for sender in ("192.0.2.77", "203.0.113.10"):
        put(mariadb, "greylisting_whitelists", sender,
            "AUTO-UPDATE: one.example")
    put(mariadb, "greylisting_whitelists", "203.0.113.11", "mine")
    mariadb.execute("INSERT INTO iredapd.greylisting_whitelist_domains"
                    " (domain) VALUES (%s)", ONE)
    before = {row["sender"]: row["id"] for row in mariadb.rows(
        "SELECT sender, id FROM iredapd." + TABLE)}
    ready.start()
    wait_for_state(ready, ONE, "ok")
    assert entries(ready) == [(sender, comment(ONE)) for sender in (
        "192.0.2.0/28", "192.0.2.77", "2001:DB8::/32")]
    assert numbers(ready)["192.0.2.0/28"] == before["192.0.2.0/28"]
    assert entries(ready, table="greylisting_whitelists") == [
        ("203.0.113.11", "mine")]


def test_what_is_left_behind_goes(ready, mariadb):
    """Entries of domains that are on no list."""
    put(mariadb, TABLE, "192.0.2.1", "AUTO-UPDATE: Gone.example")
    put(mariadb, "greylisting_whitelists", "192.0.2.2",
        "AUTO-UPDATE: also.gone.example")
    put(mariadb, TABLE, "192.0.2.77", "AUTO-UPDATE: gone.example")
    mariadb.execute("INSERT INTO iredapd.greylisting_whitelist_domains"
                    " (domain) VALUES (%s)", ONE)
    ready.start()
    # What somebody else has is handed over to him.
    wait_for(lambda: entries(ready) == [("192.0.2.0/28", comment(ONE)),
                                        ("192.0.2.77", comment(ONE))],
             "the entries")
    wait_for(lambda: entries(ready, table="greylisting_whitelists") == [],
             "the other table")


# --- who does it --------------------------------------------------------------

def test_two_nodes_do_not_both_work(ready, second, dns):
    ready.start()
    add(ready, ONE)
    wait_for_state(ready, ONE, "ok")
    second.start()
    wait_for_state(second, ONE, "node test looks it up")
    told = second.ctl("greylist", "whitelist-domain", "add", TWO)
    assert "node test looks up its mail servers" in told
    wait_for_state(ready, TWO, "ok")
    refused = second.ctl_run("greylist", "whitelist-domain", "refresh")
    assert refused.returncode == REFUSED
    assert "node test looks up the servers" in refused.stderr
    # To look is free.
    dns.zone[ONE] = spf("ip4:192.0.2.1")
    assert (ONE, "add", "192.0.2.1") in refresh(second, "--plan")
    assert "domain_servers domain=" not in second.log()
    # Who ends gives it back.
    ready.stop()
    wait_for(lambda: entries(second, ONE) == ["192.0.2.1"], "the second node")
    assert wait_for_state(second, TWO, "ok")["entries"] == 1


def test_the_lease_of_a_dead_node_runs_out(ready, second, dns):
    ready.start()
    add(ready, ONE)
    wait_for_state(ready, ONE, "ok")
    second.start()
    wait_for_state(second, ONE, "node test looks it up")
    for pid in [ready.process.pid] + ready.children():
        os.kill(pid, signal.SIGKILL)
    ready.process.wait()
    ready.process = None
    dns.zone[ONE] = spf("ip4:192.0.2.1")
    wait_for(lambda: entries(second, ONE) == ["192.0.2.1"],
             "the second node", 60)


def test_a_restart(policyd, dns, mariadb):
    add(policyd, ONE, TWO)
    wait_for_state(policyd, ONE, "ok")
    wait_for_state(policyd, TWO, "ok")
    before = numbers(policyd)
    policyd.stop()
    assert mariadb.value("SELECT holder FROM policyd.lease"
                         " WHERE name = 'whitelist_domains'") == ""
    mariadb.execute("DELETE FROM iredapd.greylisting_whitelist_domains"
                    " WHERE domain = %s", TWO)
    policyd.start()
    wait_for_state(policyd, ONE, "ok")
    wait_for_entries(policyd, TWO)
    assert numbers(policyd) == {
        sender: before[sender] for sender in ("192.0.2.0/28", "192.0.2.77")}


@pytest.mark.settings({"dns.timeout": "60s"})
def test_it_stops_while_the_dns_is_silent(policyd, dns):
    dns.zone[ONE] = Answer(silent=True)
    add(policyd, ONE)
    wait_for(lambda: dns.asked(ONE), "the question")
    policyd.stop()


@pytest.mark.settings(OFF)
def test_switched_off(policyd, dns, mariadb):
    told = policyd.ctl("greylist", "whitelist-domain", "add", ONE)
    assert "refresh_whitelist_domains is off" in told
    assert state(policyd, ONE)["state"] == "refresh_whitelist_domains is off"
    assert refresh(policyd, ONE) == [(ONE, "added", "192.0.2.0/28"),
                                     (ONE, "added", "192.0.2.77")]
    assert state(policyd, ONE)["state"] == "ok"
    # The lease is given back.
    wait_for(lambda: mariadb.value(
        "SELECT holder FROM policyd.lease"
        " WHERE name = 'whitelist_domains'") == "", "the lease")
    asked = len(dns.asked())
    add(policyd, TWO)
    assert refresh(policyd, TWO, "--plan") == [(TWO, "add", "198.51.100.1")]
    assert entries(policyd, TWO) == []
    assert {one[0] for one in dns.asked()[asked:]} == {TWO}


@pytest.mark.settings({"policyd.parallel": "inet:127.0.0.1:9"})
def test_in_parallel_to_another_daemon(policyd, dns):
    """Its tools are at work, and policyd changes nothing by itself."""
    told = policyd.ctl("greylist", "whitelist-domain", "add", ONE)
    assert "while parallel is set" in told
    assert state(policyd, ONE)["state"].startswith("parallel is set")
    assert refresh(policyd, ONE) == [(ONE, "added", "192.0.2.0/28"),
                                     (ONE, "added", "192.0.2.77")]
    assert len(dns.asked(ONE)) == 1


def test_a_reload_switches_it(configured, dns, mariadb):
    configured.configure(**{**OFF, "dns.resolver": dns.address}).start()
    add(configured, ONE)
    configured.configure(**{**ON, "dns.resolver": dns.address})
    configured.ctl("reload")
    wait_for_state(configured, ONE, "ok")
    configured.configure(**{**OFF, "dns.resolver": dns.address})
    configured.ctl("reload")
    wait_for(lambda: mariadb.value(
        "SELECT holder FROM policyd.lease"
        " WHERE name = 'whitelist_domains'") == "", "the lease")


# --- on request ----------------------------------------------------------------

def test_mistakes(policyd):
    policyd.ctl("greylist", "whitelist-domain", "refresh", "x@y.example",
                status=USAGE)
    policyd.ctl("greylist", "whitelist-domain", "refresh", ONE,
                status=NOT_FOUND)
    assert "no domain is on the list" in policyd.ctl(
        "greylist", "whitelist-domain", "refresh")


@pytest.mark.settings({**OFF, "dns.timeout": "60s"})
def test_one_run_at_a_time(policyd, dns, mariadb):
    dns.zone[ONE] = Answer(silent=True)
    add(policyd, ONE)
    asking = subprocess.Popen(
        [policyd.ctl_path, "--config", policyd.path, "greylist",
         "whitelist-domain", "refresh"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: dns.asked(ONE), "the question")
        refused = policyd.ctl_run("greylist", "whitelist-domain", "refresh")
        assert refused.returncode == REFUSED
        assert "somebody else" in refused.stderr
    finally:
        asking.kill()
        asking.wait()
    # Who asked has gone; the daemon goes on.
    assert state(policyd, ONE)["state"] == "not looked up yet"
