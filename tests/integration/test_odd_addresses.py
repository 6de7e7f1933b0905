"""Addresses that a narrow idea of an address leaves out go through every rule
like any other: their own rows apply to them, those of look-alikes do not.
What is about the lists of accounts, aliases, SRS and outbound mail stands in
the tests of those."""

import pytest

ODD = ["o'brien", "a$b", "=x", "j\u00f6rg", "\u4f8b", "\"a b\"", "100%",
       "a_b", "back\\slash", "{a}`b|c~d", "x'; DROP TABLE throttle; -- "]
LATER = "451 4.7.1 Intentional policy rejection, please try again later"
NULL_SENDER = "REJECT Policy rejection due to null sender"
TOO_MANY = "REJECT Too many recipients in single message"
EXCEEDED = "REJECT Throttling quota exceeded"
NOT_AUTHORIZED = "REJECT Not authorized"
BLACKLISTED = "REJECT Blacklisted"
EXPIRED = "REJECT Too old"


@pytest.fixture(params=ODD)
def local(request):
    return request.param


@pytest.fixture
def ours(local):
    return local + "@example.com"


@pytest.fixture
def theirs(local):
    return local + "@remote.example"


def test_greylisting(configured, mariadb, clock, ours, theirs):
    mariadb.execute(
        "INSERT INTO iredapd.greylisting_whitelists (account, sender)"
        " VALUES (%s, %s)", (ours, theirs))
    with configured.start().client() as client:
        def ask(sender, recipient):
            return client.ask(sender=sender, recipient=recipient)
        assert ask(theirs, ours) == "DUNNO"
        assert ask(theirs, "alice@example.com") == LATER
        assert ask("axb@remote.example", ours) == LATER
        clock.advance(901)
        assert ask(theirs, "alice@example.com") == "DUNNO"


LONG = "x" * 250


@pytest.mark.parametrize("sender, recipient", [
    (LONG + "@remote.example", "alice@example.com"),
    ("a@remote.example", LONG + "@example.com"),
    ("a@" + "d" * 63 + ".example" * 40, "alice@example.com")])
def test_addresses_that_no_column_holds_pass_greylisting(policyd, clock,
                                                         sender, recipient):
    """iRedAPD could not store them, and deferred them for ever."""
    with policyd.client() as client:
        assert client.ask(sender=sender, recipient=recipient) == LATER
        clock.advance(901)
        assert client.ask(sender=sender, recipient=recipient) == "DUNNO"


@pytest.mark.settings({"greylisting.mode": "off"})
def test_throttle(configured, mariadb, ours, theirs):
    mariadb.execute(
        "INSERT INTO iredapd.throttle (account, kind, priority, period,"
        " max_msgs, max_rcpts) VALUES (%s, 'outbound', 100, 3600, 3, 2)",
        (ours,))
    with configured.start().client() as client:
        def send(login, n):
            return client.ask_at_end(sender=login, sasl_username=login,
                                     recipient=theirs, recipient_count=n)
        assert send(ours, "3") == TOO_MANY
        assert send("axb@example.com", "3") == "DUNNO"
        assert send(ours, "2") == "DUNNO"
        assert send(ours, "2") == EXCEEDED
        assert send(ours, "1") == "DUNNO"


@pytest.mark.settings({"greylisting.mode": "off",
                       "reject_to_hostname.mode": "enforce",
                       "reject_to_hostname.hostname": "mx.example.org",
                       "force_password_change.mode": "enforce",
                       "force_password_change.message": "Too old"})
def test_the_other_rules(configured, mariadb, vmail, local, ours, theirs):
    vmail.mailbox(ours, passwordlastchange="2001-01-01 00:00:00")
    mariadb.execute("INSERT INTO iredapd.wblist_rdns (rdns, wb)"
                    " VALUES ('.black.example', 'B')")
    with configured.start().client() as client:
        assert client.ask(sender="", recipient=theirs,
                          sasl_username=ours) == NULL_SENDER
        assert client.ask(sender=theirs, recipient=local + "@mx.example.org"
                          ) == NOT_AUTHORIZED
        assert client.ask(sender=theirs, recipient=ours) == "DUNNO"
        assert client.ask(sender=theirs, recipient=ours,
                          reverse_client_name="a.black.example"
                          ) == BLACKLISTED
        assert client.ask(sender=ours, recipient=theirs,
                          sasl_username=ours) == EXPIRED


@pytest.fixture
def other_quotes(mariadb):
    """A server that reads "a" as a name, and \\ as itself."""
    before = mariadb.value("SELECT @@GLOBAL.sql_mode")
    mariadb.execute("SET GLOBAL sql_mode = %s",
                    ("ANSI_QUOTES,NO_BACKSLASH_ESCAPES",))
    yield
    mariadb.execute("SET GLOBAL sql_mode = %s", (before,))


def test_the_servers_quotes_do_not_matter(other_quotes, policyd, vmail, clock,
                                          ours, theirs):
    """D13."""
    vmail.user_alias("alias@example.com", ours)
    with policyd.client() as client:
        assert client.ask(sender=theirs, recipient=ours) == LATER
        clock.advance(901)
        assert client.ask(sender=theirs, recipient=ours) == "DUNNO"
        assert client.ask(sender="alias@example.com", recipient=theirs,
                          sasl_username=ours) == "DUNNO"
        policyd.ctl("access", "add", theirs, "--black", "--reason", ours)
        assert client.ask(sender=theirs, recipient=ours) == BLACKLISTED
        policyd.ctl("throttle", "set", ours, "--max-msgs", "1",
                    "--period", "1h")
        assert [client.ask_at_end(sender=ours, sasl_username=ours,
                                  recipient=theirs, instance="1.%d" % at)
                for at in range(2)] == ["DUNNO", EXCEEDED]
    assert [row["sender"] for row in policyd.json(
        "greylist", "show", theirs)] == [theirs.lower()]
    policyd.stop()
    assert policyd.database.rows(
        "SELECT recipient FROM iredapd.smtp_sessions"
        " WHERE sasl_username = %s AND action = 'REJECT'", (ours,)) == [
            {"recipient": theirs.lower()}]
