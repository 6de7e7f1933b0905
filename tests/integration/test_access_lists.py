"""White- and blacklists of accounts in the database of Amavisd."""

import json

import pytest

from harness import wait_for

ALICE, BOB = "alice@example.com", "bob@example.com"
SENDER = "someone@sender.example"
CLIENT = "192.0.2.1"
REFUSED = "REJECT Blacklisted"
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
ODD = ["o'brien@remote.example", "a$b@remote.example", "=x@remote.example",
       "j\u00fcrgen@remote.example", '"a b"@remote.example',
       "50%_off@remote.example"]
NO_GREYLISTING = pytest.mark.settings({"greylisting.mode": "off"})


def store(database, account, address, colour, outbound=False, numbers=None):
    """As iRedAdmin does, with numbers of its own if told."""
    of_account, of_address = numbers or (7, 7)
    database.execute("INSERT INTO amavisd.users (priority, policy_id, email)"
                     " VALUES (%s, 0, %s) ON DUPLICATE KEY UPDATE priority ="
                     " VALUES(priority)", (of_account, account))
    database.execute("INSERT INTO amavisd.mailaddr (priority, email)"
                     " VALUES (%s, %s) ON DUPLICATE KEY UPDATE priority ="
                     " VALUES(priority)", (of_address, address))
    table, rid, sid = ("outbound_wblist", "m.id", "u.id") if outbound \
        else ("wblist", "u.id", "m.id")
    database.execute(
        "INSERT INTO amavisd.%s (rid, sid, wb) SELECT %s, %s, %%s"
        " FROM amavisd.users u, amavisd.mailaddr m"
        " WHERE u.email = %%s AND m.email = %%s" % (table, rid, sid),
        (colour, account, address))


def ask(policyd, **attributes):
    with policyd.client() as client:
        return client.ask(**attributes)


def add(policyd, address, *options):
    return policyd.ctl("access", "add", address, *options)


def rows(database, table="wblist"):
    of_account, of_address = ("sid", "rid") if table == "outbound_wblist" \
        else ("rid", "sid")
    return {(row["account"].decode(), row["address"].decode()): row["wb"]
            for row in database.rows(
                "SELECT u.email AS account, m.email AS address, w.wb"
                " FROM amavisd.%s w JOIN amavisd.users u ON u.id = w.%s"
                " JOIN amavisd.mailaddr m ON m.id = w.%s"
                % (table, of_account, of_address))}


@pytest.fixture
def alias_domain(vmail):
    vmail.database.execute(
        "REPLACE INTO vmail.alias_domain (alias_domain, target_domain)"
        " VALUES ('alias.example', 'example.com')")


# --- what is answered -------------------------------------------------------


def test_blacklisted_is_refused_and_whitelisted_not_greylisted(policyd):
    assert ask(policyd) == LATER
    add(policyd, SENDER, "--white")
    assert ask(policyd) == "DUNNO"
    add(policyd, SENDER, "--black")
    assert ask(policyd) == REFUSED


def test_a_change_by_others_shows(policyd):
    store(policyd.database, "@.", SENDER, "B")
    wait_for(lambda: ask(policyd) == REFUSED, "the new row")


@pytest.mark.parametrize("address, client, matches", [
    (SENDER, CLIENT, True), ("@sender.example", CLIENT, True),
    ("@.sender.example", CLIENT, True), ("@.example", CLIENT, True),
    ("@.", CLIENT, True), ("someone@*", CLIENT, True),
    ("other@sender.example", CLIENT, False), (CLIENT, CLIENT, True),
    ("192.0.2.*", CLIENT, True), ("192.0.2.0/24", CLIENT, True),
    ("2001:db8::/32", "2001:db8:7::1", True),
    ("2001:db8::/32", "2001:db9::1", False)])
@NO_GREYLISTING
def test_senders_and_clients(configured, address, client, matches):
    store(configured.database, "@.", address, "B")
    configured.start()
    assert ask(configured, client_address=client) == (
        REFUSED if matches else "DUNNO")


@pytest.mark.parametrize("account, recipient", [
    (ALICE, "alice+list@example.com"), ("@example.com", ALICE),
    ("@.example.com", ALICE), ("@.com", ALICE), ("@.", ALICE),
    (ALICE, "alice@alias.example")])
@NO_GREYLISTING
def test_recipients_and_alias_domains(configured, alias_domain, account,
                                      recipient):
    store(configured.database, account, SENDER, "B")
    configured.start()
    assert ask(configured, recipient=recipient) == REFUSED
    assert ask(configured, recipient="x@other.example") == (
        REFUSED if account == "@." else "DUNNO")


@NO_GREYLISTING
def test_the_stored_numbers_decide(configured):
    store(configured.database, "@.", SENDER, "B", numbers=(99, 10))
    store(configured.database, ALICE, SENDER, "W", numbers=(10, 10))
    store(configured.database, BOB, "@.", "B", numbers=(100, 0))
    store(configured.database, BOB, SENDER, "W", numbers=(100, 10))
    configured.start()
    assert ask(configured, recipient=ALICE) == REFUSED
    assert ask(configured, recipient=BOB) == "DUNNO"
    assert ask(configured, recipient=BOB, sender="x@y.example") == REFUSED


@NO_GREYLISTING
def test_the_null_sender_and_oneself_have_no_name(configured):
    store(configured.database, "@.", "@.", "B")
    store(configured.database, "@.", CLIENT, "B")
    configured.start()
    for who in (dict(sender=""), dict(sender="x@other.example",
                                      recipient="x@other.example")):
        assert ask(configured, client_address="198.51.100.9", **who) == \
            "DUNNO"
        assert ask(configured, **who) == REFUSED
    assert ask(configured, client_address="198.51.100.9") == REFUSED


@NO_GREYLISTING
def test_outbound_lists_are_for_logins(configured):
    store(configured.database, ALICE, "@elsewhere.example", "B", True)
    configured.start()
    who = dict(sender=ALICE, recipient="x@elsewhere.example")
    assert ask(configured, sasl_username=ALICE, **who) == REFUSED
    assert ask(configured, sasl_username=BOB, sender=BOB,
               recipient="x@elsewhere.example") == "DUNNO"
    assert ask(configured, sasl_username=ALICE, sender=ALICE,
               recipient="x@other.example") == "DUNNO"


@pytest.mark.parametrize("domain, colour, answer", [
    ("elsewhere.example", "B", "DUNNO"), ("example.com", "B", REFUSED),
    ("example.com", "W", "DUNNO")])
@NO_GREYLISTING
def test_behind_an_outbound_whitelist_the_inbound_lists_count(
        configured, domain, colour, answer):
    store(configured.database, ALICE, "@.", "W", True)
    store(configured.database, "@.", ALICE, colour)
    configured.start()
    assert ask(configured, sasl_username=ALICE, sender=ALICE,
               recipient="bob@" + domain) == answer


@pytest.mark.parametrize("entry, some, all_of_them", [
    ("192.0.2.*", REFUSED, REFUSED), ("192.0.*.1", REFUSED, REFUSED),
    ("192.*.2.1", "DUNNO", REFUSED), ("*.0.*.1", "DUNNO", REFUSED),
    ("*.*.*.*", "DUNNO", REFUSED), ("*.1.*.1", "DUNNO", "DUNNO")])
def test_wildcards(configured, entry, some, all_of_them):
    store(configured.database, "@.", entry, "B")
    for setting, answer in (("no", some), ("yes", all_of_them)):
        configured.configure(**{"amavisd_wblist.all_wildcard_ips": setting,
                                "greylisting.mode": "off"})
        configured.start()
        assert ask(configured) == answer
        configured.stop()


@NO_GREYLISTING
def test_d9_a_network_is_nobodys_account(configured):
    """The number of a network in mailaddr is that of Bob in users."""
    database = configured.database
    database.execute("DELETE FROM amavisd.users")
    database.execute("INSERT INTO amavisd.users (id, email, policy_id)"
                     " VALUES (501, %s, 0), (502, %s, 0)", (BOB, ALICE))
    database.execute("INSERT INTO amavisd.mailaddr (id, email) VALUES"
                     " (501, '192.0.2.0/24'), (502, '@elsewhere.example')")
    database.execute("INSERT INTO amavisd.outbound_wblist (rid, sid, wb)"
                     " VALUES (502, 501, 'B')")
    configured.start()
    who = dict(recipient="x@elsewhere.example")
    assert ask(configured, sasl_username=ALICE, sender=ALICE, **who) == \
        "DUNNO"
    assert ask(configured, sasl_username=BOB, sender=BOB, **who) == REFUSED


@NO_GREYLISTING
def test_inbound_lists_of_logins_are_for_local_recipients(configured):
    store(configured.database, "@.", ALICE, "B")
    configured.start()
    who = dict(sender=ALICE, sasl_username=ALICE)
    assert ask(configured, recipient=BOB, **who) == REFUSED
    assert ask(configured, recipient="x@elsewhere.example", **who) == "DUNNO"


@pytest.mark.settings({"amavisd_wblist.bypass_outgoing_email": "yes",
                       "greylisting.mode": "off"})
def test_outgoing_can_be_bypassed(configured):
    store(configured.database, ALICE, "@.", "B", True)
    configured.start()
    assert ask(configured, sender=ALICE, sasl_username=ALICE,
               recipient="x@elsewhere.example") == "DUNNO"


@pytest.mark.settings({"amavisd_wblist.discard_instead_of_reject": "yes",
                       "greylisting.mode": "off"})
def test_only_what_everyone_blacklists_is_discarded(configured):
    store(configured.database, "@.", "spam@remote.example", "B")
    store(configured.database, ALICE, SENDER, "B")
    configured.start()
    assert ask(configured, sender="spam@remote.example") == \
        "DISCARD Policy discard"
    assert ask(configured) == REFUSED


@NO_GREYLISTING
def test_scores_of_amavisd_are_left_alone(configured):
    store(configured.database, "@.", SENDER, "5.0")
    store(configured.database, "@.", "@.", "Y")
    configured.start()
    assert ask(configured) == "DUNNO"
    assert configured.json("status")["findings"] == []
    configured.ctl("access", "remove", SENDER, status=3)
    assert len(rows(configured.database)) == 2


@pytest.mark.parametrize("address", ODD)
@NO_GREYLISTING
def test_odd_addresses(policyd, address):
    add(policyd, address, "--black", "--account", "example.com")
    assert rows(policyd.database) == {("@example.com", address): "B"}
    assert ask(policyd, sender=address) == REFUSED
    assert ask(policyd, sender="x" + address.strip('"')) == "DUNNO"
    policyd.ctl("access", "remove", address, "--account", "example.com")
    assert ask(policyd, sender=address) == "DUNNO"


def test_observe_only_notes(configured):
    store(configured.database, "@.", SENDER, "W")
    settings = {"amavisd_wblist.mode": "observe"}
    configured.configure(**settings).start()
    assert ask(configured) == LATER
    explained = configured.ctl("explain", SENDER)
    assert "would have permitted" in explained


@pytest.mark.parametrize("on_error, answer", [
    ("accept", "DUNNO"),
    ("defer", "451 4.3.0 Service temporarily unavailable, please try again"
              " later")])
def test_database_away(configured, on_error, answer):
    configured.configure(**{"amavisd_db.name": "nowhere",
                            "amavisd_wblist.on_error": on_error,
                            "greylisting.mode": "off"})
    configured.spawn()
    wait_for(lambda: configured.ctl_run("status").returncode == 6,
             "policyd that misses a database")
    assert ask(configured) == answer


@pytest.mark.settings({"amavisd_db.name": "", "greylisting.mode": "off"})
def test_no_database(policyd):
    assert ask(policyd) == "DUNNO"
    done = policyd.ctl_run("access", "list")
    assert done.returncode == 6
    assert "this site has no database amavisd" in done.stderr


@NO_GREYLISTING
def test_many_rows(configured):
    database = configured.database
    database.execute(
        "INSERT INTO amavisd.users (priority, policy_id, email) SELECT 10, 0,"
        " CONCAT('u', seq, '@example.com') FROM amavisd.seq_1_to_1000")
    database.execute(
        "INSERT INTO amavisd.mailaddr (priority, email) SELECT 10,"
        " CONCAT('s', seq, '@remote.example') FROM amavisd.seq_1_to_100")
    database.execute(
        "INSERT INTO amavisd.wblist SELECT u.id, m.id, 'B' FROM"
        " amavisd.users u, amavisd.mailaddr m WHERE u.email <> '@.'")
    configured.start()
    wait_for(lambda: {row["name"]: row["rows"] for row in
                      configured.json("status")["tables"]}
             ["amavisd.wblist"] == 100000, "all rows", 60)
    assert ask(configured, recipient="u999@example.com",
               sender="s77@remote.example") == REFUSED
    assert ask(configured, recipient="u999@example.com",
               sender="s177@remote.example") == "DUNNO"


# --- through Postfix --------------------------------------------------------


def test_through_postfix(policyd, postfix):
    add(policyd, "friend@remote.example", "--white", "--account", ALICE)
    add(policyd, "192.0.2.66", "--black")
    with postfix.session("192.0.2.9") as session:
        assert session.send("friend@remote.example", ALICE).code == 250
    with postfix.session("192.0.2.9") as session:
        assert session.send("friend@remote.example", BOB).code == 451
    with postfix.session("192.0.2.66") as session:
        reply = session.send("friend@remote.example", BOB)
    assert (reply.code, "Blacklisted" in reply.text) == (554, True)


# --- policyctl ---------------------------------------------------------------


def test_add_writes_what_wblist_admin_writes(policyd):
    database = policyd.database
    for address in ("a@b.example", "b.example", ".b.example", ".example",
                    "192.0.2.7", "192.0.2.*", "192.0.2.9/24", "a@*"):
        add(policyd, address, "--white", "--account", "Alice@Example.com")
    assert database.rows("SELECT priority, policy_id FROM amavisd.users"
                         " WHERE email = %s", ALICE) == [
        {"priority": 10, "policy_id": 0}]
    assert {row["email"].decode(): row["priority"] for row in database.rows(
        "SELECT email, priority FROM amavisd.mailaddr")} == {
        "a@b.example": 10, "@b.example": 5, "@.b.example": 3,
        "@.example": 2, "192.0.2.7": 9, "192.0.2.*": 8, "192.0.2.0/24": 7,
        "a@*": 7}
    assert set(rows(database).values()) == {"W"}
    add(policyd, "a@b.example", "--black", "--account", ALICE)
    assert rows(database)[(ALICE, "a@b.example")] == "B"
    assert len(rows(database)) == 8


def test_outbound_entries(policyd):
    add(policyd, "elsewhere.example", "--black", "--outbound", "--account",
        ALICE)
    assert rows(policyd.database, "outbound_wblist") == {
        (ALICE, "@elsewhere.example"): "B"}
    assert rows(policyd.database) == {}
    listed = policyd.json("access", "list", "--outbound")
    assert len(json.dumps(listed)) > 0
    assert "elsewhere.example" in policyd.ctl("access", "list", "--outbound")
    policyd.ctl("access", "remove", "--all", "--outbound", "--account", ALICE)
    assert rows(policyd.database, "outbound_wblist") == {}


@NO_GREYLISTING
def test_an_entry_with_an_end(policyd, clock):
    database = policyd.database
    add(policyd, SENDER, "--black", "--expires", "2h", "--reason", "a flood")
    assert ask(policyd) == REFUSED
    note = database.rows("SELECT * FROM policyd.access")[0]
    assert note["author"] != "" and note["reason"] == "a flood"
    assert abs(note["expires_at"] - clock.now() - 7200) < 60
    assert "a flood" in policyd.ctl("access", "list")
    assert SENDER not in policyd.ctl("access", "list", "--expired")
    clock.advance(7201)
    assert ask(policyd) == "DUNNO"
    assert rows(database) == {("@.", SENDER): "B"}
    assert SENDER in policyd.ctl("access", "list", "--expired")
    assert "no entry decides" in policyd.ctl(
        "access", "test", "--sender", SENDER, "--recipient", ALICE)
    policyd.ctl("db", "prune")
    assert rows(database) == {}
    assert database.rows("SELECT * FROM policyd.access") == []


@NO_GREYLISTING
def test_pruning_spares_what_was_changed(policyd, clock):
    database = policyd.database
    add(policyd, SENDER, "--black", "--expires", "1h")
    add(policyd, "x@y.example", "--black", "--expires", "1h")
    add(policyd, "x@y.example", "--black", "--outbound")
    add(policyd, "for@ever.example", "--black")
    database.execute("UPDATE amavisd.wblist SET wb = 'W' WHERE sid ="
                     " (SELECT id FROM amavisd.mailaddr WHERE email = %s)",
                     SENDER)
    clock.advance(3601)
    policyd.ctl("db", "prune")
    assert rows(database) == {("@.", SENDER): "W",
                              ("@.", "for@ever.example"): "B"}
    assert rows(database, "outbound_wblist") == {("@.", "x@y.example"): "B"}


def test_access_test_lists_all_in_order(policyd):
    add(policyd, SENDER, "--black")
    add(policyd, "sender.example", "--white", "--account", "example.com")
    add(policyd, "192.0.2.0/24", "--black", "--account", "example.com")
    told = policyd.json("access", "test", "--sender", SENDER,
                        "--recipient", ALICE, "--client", CLIENT)
    assert [(row["list"], row["address"], row["decides"])
            for row in told["entries"]] == [
        ("white", "@sender.example", True), ("black", "192.0.2.0/24", False),
        ("black", SENDER, False)]
    text = policyd.ctl("access", "test", "--sender", SENDER, "--recipient",
                       ALICE)
    assert "let through: sender.example is on the whitelist" in text


@pytest.mark.parametrize("words", [
    ("add", SENDER), ("add", SENDER, "--white", "--black"),
    ("add", "nonsense", "--white"), ("add", "@ip", "--white"),
    ("add", SENDER, "--white", "--account", "192.0.2.1"),
    ("add", "192.0.2.1", "--white", "--outbound"),
    ("add", SENDER, "--white", "--expires", "yesterday"),
    ("add", SENDER, "--white", "--expires", "2001-01-01"),
    ("add", SENDER, "--white", "--expires", "2100-02-29"),
    ("add", SENDER, "--white", "--expires", "2099-02-29"),
    ("add", SENDER, "--white", "--expires", "2099-09-31"),
    ("add", SENDER, "--white", "--expires", "2027-02-30x"),
    ("remove",), ("remove", SENDER, "--all"),
    ("test", "--sender", SENDER, "--recipient", ALICE, "--client", "x")])
def test_mistakes(policyd, words):
    policyd.ctl("access", *words, status=2)
    assert rows(policyd.database) == {}


@pytest.mark.parametrize("date, end", [
    ("2096-02-29", 3981312000), ("2099-12-31", 4102358400),
    ("2100-03-01", 4107542400)])
def test_an_end_is_the_beginning_of_a_day(policyd, date, end):
    add(policyd, SENDER, "--black", "--expires", date)
    assert policyd.database.value(
        "SELECT expires_at FROM policyd.access") == end


def test_a_list_shows_what_cannot_be_shown_once_encoded(policyd):
    add(policyd, SENDER, "--black", "--reason", "a\nb\u202ec\\xdd \u00fc")
    assert "a\\x0ab\\xe2\\x80\\xaec\\xdd \u00fc" in policyd.ctl(
        "access", "list")


def test_an_account_that_may_only_read(policyd, mariadb):
    accounts = ("policyd@localhost", "policyd@'127.0.0.1'")
    for account in accounts:
        mariadb.execute("REVOKE INSERT, UPDATE, DELETE ON amavisd.* FROM "
                        + account)
    try:
        policyd.stop()
        policyd.start()
        done = policyd.ctl_run("access", "add", SENDER, "--black")
    finally:
        for account in accounts:
            mariadb.execute("GRANT INSERT, UPDATE, DELETE ON amavisd.* TO "
                            + account)
    assert done.returncode == 5
    assert "policyd may not do this" in done.stderr
    assert mariadb.rows("SELECT * FROM policyd.access") == []


# --- what shows it ------------------------------------------------------------


def test_explain_and_log_name_the_entry(policyd):
    add(policyd, SENDER, "--white", "--reason", "a partner")
    assert ask(policyd) == "DUNNO"
    policyd.wait_for_log("permitted_by=")
    text = policyd.ctl("explain", SENDER)
    assert "permitted by amavisd_wblist" in text
    assert SENDER + " is on the whitelist of everyone (a partner)" in text
    rules = {row["rule"]: row for row in policyd.json("rules")}
    assert rules["amavisd_wblist"]["permitted"] == 1
    sessions = "SELECT action, reason FROM iredapd.smtp_sessions"
    wait_for(lambda: policyd.database.rows(sessions), "the session")
    assert policyd.database.rows(sessions) == [
        {"action": "DUNNO", "reason":
         SENDER + " is on the whitelist of everyone (a partner)"}]
