"""Who may use which sender address, and whose password is too old."""

import pytest

from harness import wait_for

AUTH = "REJECT SMTP AUTH is required for users under this sender domain"
MISMATCH = "REJECT Sender is not same as SMTP authenticate username"
EXPIRED = ("REJECT Password expired or never changed, please change your "
           "password in webmail before sending email")
UNAVAILABLE = ("451 4.3.0 Service temporarily unavailable, "
               "please try again later")
ALICE = "alice@example.com"
BOB = "bob@example.com"
SMITH = "alice.smith@example.com"
TEAM = "team@example.com"
FAR = "x@elsewhere.example"
CLIENT = "192.0.2.1"
SECTION = "reject_sender_login_mismatch."

pytestmark = pytest.mark.settings({"greylisting.mode": "off"})


def settings(**changes):
    return pytest.mark.settings(
        {SECTION + key: value for key, value in changes.items()})


@pytest.fixture
def ask(configured):
    """One RCPT request; policyd is started by the first one."""
    clients = []

    def once(sender, login="", recipient=FAR, address=CLIENT):
        if not clients:
            clients.append(configured.start().client())
        return clients[0].ask(sender=sender, sasl_username=login,
                              recipient=recipient, client_address=address)
    yield once
    for client in clients:
        client.close()


# Without a login.

def test_a_hosted_domain_needs_a_login(ask):
    assert ask(ALICE, recipient=BOB) == AUTH
    assert ask(ALICE, recipient=FAR) == AUTH
    assert ask("Nobody+x@Example.COM", recipient=BOB) == AUTH


def test_others_need_none(ask):
    assert ask("user@external.example", recipient=ALICE) == "DUNNO"


def test_a_null_sender_is_nobodys(ask):
    assert ask("", recipient=ALICE) == "DUNNO"


@pytest.mark.settings({"mail.trusted_networks": "198.51.100.0/24"})
def test_trusted_clients_may(ask):
    assert ask(ALICE, address="127.0.0.1") == "DUNNO"
    assert ask(ALICE, address="::1") == "DUNNO"
    assert ask(ALICE, address="198.51.100.9") == "DUNNO"
    assert ask(ALICE, address="198.51.101.9") == AUTH


@settings(check_forged_sender="no")
def test_the_check_can_be_switched_off(ask):
    assert ask(ALICE) == "DUNNO"


@pytest.mark.parametrize("allowed, answer", [
    ("alice@example.com", "DUNNO"), ("example.com", "DUNNO"),
    ("alice@*", "DUNNO"), ("x.y, Alice@Example.com", "DUNNO"),
    ("bob@example.com", AUTH), ("bob@*", AUTH), ("example.org", AUTH)])
def test_forged_senders_may_be_allowed(configured, ask, allowed, answer):
    configured.configure(**{"greylisting.mode": "off",
                            SECTION + "allowed_forged_senders": allowed})
    assert ask("alice+printer@example.com") == answer


def test_a_domain_may_be_forged_by_its_own_setting(configured, ask, vmail):
    vmail.domain("forged.example")
    configured.start()
    configured.ctl("policy", "set", "forged.example",
                   SECTION + "check_forged_sender", "no")
    with configured.client() as client:
        assert client.ask(sender="x@forged.example") == "DUNNO"
        assert client.ask(sender=ALICE,
                          recipient="x@forged.example") == AUTH


def test_alias_domains_are_hosted(ask, vmail):
    vmail.alias_domain("off.example", "example.com", active=0)
    vmail.alias_domain("lost.example", "closed.example")
    assert ask("x@alias.example") == AUTH
    assert ask("x@off.example") == "DUNNO"
    assert ask("x@lost.example") == "DUNNO"


def test_inactive_domains_are_not(ask):
    assert ask("x@closed.example") == "DUNNO"


def test_the_recipients_domain_is_not_ours_for_that(ask):
    """D12: mail from a domain to itself that is not hosted here."""
    assert ask("x@far.example", recipient="y@far.example") == "DUNNO"


def test_a_backup_mx_takes_mail_within_the_domain(ask, vmail):
    """D12."""
    vmail.domain("backup.example", backupmx=1)
    vmail.alias_domain("backup-alias.example", "backup.example")
    assert ask("x@backup.example", recipient="y@backup.example") == "DUNNO"
    assert ask("x@backup.example", recipient=ALICE) == "DUNNO"
    assert ask("x@backup-alias.example", recipient=ALICE) == "DUNNO"


# With a login.

def test_own_address(ask):
    assert ask(ALICE, ALICE) == "DUNNO"
    assert ask("Alice+news@EXAMPLE.com", ALICE) == "DUNNO"
    assert ask(ALICE, "Alice@Example.com") == "DUNNO"


def test_anothers_address(ask):
    assert ask(BOB, ALICE) == MISMATCH
    assert ask("user@external.example", ALICE) == MISMATCH
    assert ask("alice@external.example", ALICE) == MISMATCH


@pytest.mark.settings({"reject_null_sender.mode": "off"})
def test_a_null_sender_is_left_to_its_own_rule(ask):
    assert ask("", ALICE) == "DUNNO"


@settings(allow_own_aliases="no")
def test_with_nothing_allowed(ask):
    assert ask(SMITH, ALICE) == MISMATCH
    assert ask("alice@alias.example", ALICE) == MISMATCH
    assert ask(ALICE, ALICE) == "DUNNO"


@pytest.mark.parametrize("allowed, same, other", [
    (ALICE, "DUNNO", "DUNNO"),
    ("example.com", "DUNNO", "DUNNO"),
    ("@example.com", "DUNNO", MISMATCH),
    ("@.", "DUNNO", MISMATCH),
    (BOB, MISMATCH, MISMATCH),
    ("@example.org, example.org", MISMATCH, MISMATCH)])
def test_mismatch_may_be_allowed(configured, ask, allowed, same, other):
    configured.configure(**{"greylisting.mode": "off",
                            SECTION + "allowed_mismatch_senders": allowed})
    assert ask(BOB, ALICE) == same
    assert ask("bob@alias.example", ALICE) == same
    assert ask("user@external.example", ALICE) == other


def test_mismatch_may_be_allowed_in_the_database(policyd):
    def set_to(account, value):
        policyd.ctl("policy", "set", account, SECTION + "may_send_as", value)

    with policyd.client() as client:
        def ask(sender, login=ALICE):
            return client.ask(sender=sender, sasl_username=login)
        set_to("example.com", "domain")
        assert ask(BOB) == "DUNNO"
        assert ask("user@external.example") == MISMATCH
        set_to(ALICE, "any")
        assert ask("user@external.example") == "DUNNO"
        assert ask("user@external.example", BOB) == MISMATCH
        set_to(ALICE, "own")
        assert ask(BOB) == MISMATCH


def test_own_alias(ask, vmail):
    vmail.user_alias("gone@example.com", ALICE, active=0)
    vmail.user_alias("a@other.example", ALICE)
    assert ask(SMITH, ALICE) == "DUNNO"
    assert ask("alice.smith+x@example.com", ALICE) == "DUNNO"
    assert ask("a@other.example", ALICE) == "DUNNO"
    assert ask(SMITH, BOB) == MISMATCH
    assert ask("gone@example.com", ALICE) == MISMATCH


def test_alias_of_an_extended_address(ask, vmail):
    vmail.user_alias("sales@example.com", "alice+sales@example.com")
    assert ask("sales@example.com", ALICE) == "DUNNO"
    assert ask("sales@example.com", BOB) == MISMATCH


def test_an_alias_is_no_pattern(ask, vmail):
    """D11: "_" and "%" of a login stand for themselves."""
    vmail.user_alias("sales@example.com", "johnXdoe+sales@example.com")
    vmail.user_alias("mine@example.com", "john_doe+x@example.com")
    assert ask("sales@example.com", "john_doe@example.com") == MISMATCH
    assert ask("sales@example.com", "%@example.com") == MISMATCH
    assert ask("sales@example.com", "johnxdoe@example.com") == "DUNNO"
    assert ask("mine@example.com", "john_doe@example.com") == "DUNNO"


def test_alias_domains_are_one_domain(ask, vmail):
    """D15, and an alias at an alias domain, which iRedAPD refused."""
    vmail.alias_domain("second.example", "example.com")
    vmail.alias_domain("off.example", "example.com", active=0)
    vmail.user_alias("s@example.com", "alice@second.example")
    assert ask("alice@alias.example", ALICE) == "DUNNO"
    assert ask(ALICE, "alice@alias.example") == "DUNNO"
    assert ask("alice@second.example", "alice@alias.example") == "DUNNO"
    assert ask("bob@alias.example", ALICE) == MISMATCH
    assert ask("alice@off.example", ALICE) == MISMATCH
    assert ask("alice.smith@alias.example", ALICE) == "DUNNO"
    assert ask(SMITH, "alice@alias.example") == "DUNNO"
    assert ask("alice.smith@second.example", "alice@alias.example") == "DUNNO"
    assert ask("s@alias.example", ALICE) == "DUNNO"
    assert ask("alice.smith@off.example", ALICE) == MISMATCH


def test_members_may_not_unless_told(ask):
    assert ask(TEAM, ALICE) == MISMATCH


@settings(allow_list_members="yes")
def test_members_send_as_their_alias(ask, vmail):
    vmail.alias("off@example.com", active=0)
    vmail.member("off@example.com", ALICE)
    vmail.member(TEAM, "carol@example.com", active=0)
    vmail.member(TEAM, "dave@alias.example")
    assert ask(TEAM, ALICE) == "DUNNO"
    assert ask("team@alias.example", ALICE) == "DUNNO"
    assert ask("team+x@example.com", ALICE) == "DUNNO"
    assert ask(TEAM, "dave@example.com") == "DUNNO"
    assert ask(TEAM, "nobody@example.com") == MISMATCH
    assert ask(TEAM, "carol@example.com") == MISMATCH
    assert ask("off@example.com", ALICE) == MISMATCH


@settings(allow_list_members="yes", allow_own_aliases="no")
def test_members_without_aliases(ask):
    assert ask(TEAM, ALICE) == "DUNNO"
    assert ask(SMITH, ALICE) == MISMATCH


@settings(allow_list_members="yes")
def test_owners_and_moderators_speak_for_a_mailing_list(ask, vmail):
    """In place of asking mlmmjadmin, who a subscriber is."""
    vmail.maillist("news@example.com", "domain")
    vmail.owner("news@example.com", ALICE)
    vmail.moderator("news@example.com", "mod@alias.example")
    vmail.moderator("news@example.com", "*@example.org")
    vmail.maillist("off@example.com", active=0)
    vmail.owner("off@example.com", ALICE)
    vmail.moderator(TEAM, "mod@example.com")
    assert ask("news@example.com", ALICE) == "DUNNO"
    assert ask("news@alias.example", ALICE) == "DUNNO"
    assert ask("news@example.com", "mod@example.com") == "DUNNO"
    assert ask("news@example.com", BOB) == MISMATCH
    assert ask("news@example.com", "any@example.org") == MISMATCH
    assert ask("off@example.com", ALICE) == MISMATCH
    assert ask(TEAM, "mod@example.com") == MISMATCH


def test_list_members_may_be_told_in_the_database(policyd):
    policyd.ctl("policy", "set", ALICE, SECTION + "allow_list_members", "yes")
    with policyd.client() as client:
        assert client.ask(sender=TEAM, sasl_username=ALICE) == "DUNNO"
        assert client.ask(sender=TEAM, sasl_username=BOB) == MISMATCH


# iRedAPD's own test cases, in its words.

@settings(allow_list_members="yes")
@pytest.mark.parametrize("case, sender, login, recipient, answer", [
    ("forged", "user@test.example", "", "testuser@test.example", AUTH),
    ("external", "user@external.example", "", "user@test.example", "DUNNO"),
    ("same", "user@test.example", "user@test.example", FAR, "DUNNO"),
    ("no alias", "other@test.example", "user@test.example", FAR, MISMATCH),
    ("per-user alias", "user-alias@test.example", "user@test.example", FAR,
     "DUNNO"),
    ("per-user alias, alias domain", "user-alias@test-alias.example",
     "user@test.example", FAR, "DUNNO"),
    ("alias domain", "user@test-alias.example", "user@test.example", FAR,
     "DUNNO"),
    ("member", "alias@test.example", "user@test.example", FAR, "DUNNO")])
def test_cases_of_iredapd(ask, vmail, case, sender, login, recipient, answer):
    vmail.domain("test.example")
    vmail.alias_domain("test-alias.example", "test.example")
    vmail.mailbox("user@test.example")
    vmail.user_alias("user-alias@test.example", "user@test.example")
    vmail.alias("alias@test.example")
    vmail.member("alias@test.example", "user@test.example")
    assert ask(sender, login, recipient) == answer, case


# Trouble.

ODD = ["o'brien", "a$b", "=x", "j\u00f6rg", "\u4f8b", "\"a b\"",
       "x'; DROP TABLE alias; -- ", "100%", "a_b", "back\\slash", "{a}`b|c~d",
       "long" * 20, "longer" * 35]


def test_odd_local_parts(ask, vmail):
    for local in ODD:
        address, alias = local + "@example.com", "p.%s@example.com" % local
        vmail.user_alias(alias, address)
        assert ask(address) == AUTH, local
        assert ask(address, address) == "DUNNO", local
        assert ask(local + "@alias.example", address) == "DUNNO", local
        assert ask(alias, address) == "DUNNO", local
        assert ask(alias, ALICE) == MISMATCH, local
        assert ask(BOB, address) == MISMATCH, local


def test_bytes_that_are_no_text(ask):
    assert ask("\udcff\udcfe@example.com", ALICE) == MISMATCH
    assert ask(ALICE, "\udcff\udcfe@example.com") == MISMATCH
    assert ask("x" * 400 + "@example.com", ALICE) == MISMATCH


@pytest.mark.parametrize("on_error, answer", [
    ("accept", "DUNNO"), ("defer", UNAVAILABLE)])
def test_database_away(configured, ask, mariadb, on_error, answer):
    configured.configure(**{"greylisting.mode": "off",
                            "ml_access_policy.mode": "off",
                            "alias_access_policy.mode": "off",
                            SECTION + "on_error": on_error})
    assert ask(SMITH, ALICE) == "DUNNO"
    mariadb.kill()
    wait_for(lambda: ask(SMITH, BOB) == answer, "the rule to give up")
    # What was known is known, and what needs no database is judged.
    assert ask(SMITH, ALICE) == "DUNNO"
    assert ask(ALICE, ALICE) == "DUNNO"
    assert ask(ALICE) == AUTH


def statements(policyd):
    for line in policyd.ctl("stats").splitlines():
        if "statements sent" in line:
            return int(line.replace(",", "").split()[-1])
    raise AssertionError("no such line in stats")


@pytest.mark.settings({"database.table_ttl": "1h"})
def test_known_recipients_cost_no_sql(policyd):
    with policyd.client() as client:
        assert client.ask(sender="a@b.example", recipient=ALICE) == "DUNNO"
        before = statements(policyd)
        for at in range(100):
            assert client.ask(sender="a%d@b.example" % at,
                              recipient=ALICE) == "DUNNO"
        assert statements(policyd) == before


# Through Postfix.

def test_replies_by_smtp(postfix, policyd):
    with postfix.session(CLIENT) as client:
        assert client.send(ALICE, BOB) == (
            "554 5.7.1 <%s>: Recipient address rejected: SMTP AUTH is "
            "required for users under this sender domain" % BOB)
    with postfix.submission(ALICE) as client:
        assert client.send(BOB, FAR) == (
            "554 5.7.1 <%s>: Recipient address rejected: Sender is not same "
            "as SMTP authenticate username" % FAR)
        assert client.send(ALICE, FAR).code == 250
        assert client.send(SMITH, FAR).code == 250
    with postfix.submission("o'brien@example.com") as client:
        assert client.send("o'brien@example.com", FAR).code == 250
        assert client.send(SMITH, FAR).code == 554


# force_password_change

CHANGE = "force_password_change."


def change(**changes):
    return pytest.mark.settings(
        dict({CHANGE + "mode": "enforce"},
             **{CHANGE + key: value for key, value in changes.items()}))


def changed(vmail, days):
    vmail.database.execute(
        "UPDATE vmail.mailbox SET passwordlastchange ="
        " NOW() - INTERVAL %s DAY WHERE username = %s", (days, ALICE))


def test_passwords_are_not_looked_at_by_default(ask):
    assert ask(ALICE, ALICE) == "DUNNO"


@change()
@pytest.mark.parametrize("days, answer", [
    (0, "DUNNO"), (89, "DUNNO"), (91, EXPIRED), (20000, EXPIRED)])
def test_age_of_passwords(ask, vmail, days, answer):
    changed(vmail, days)
    assert ask(ALICE, ALICE) == answer
    assert ask("x@far.example", recipient=ALICE) == "DUNNO"


@change()
def test_passwords_never_changed(ask, vmail):
    vmail.mailbox("off@example.com", active=0)
    assert ask(ALICE, ALICE) == EXPIRED
    assert ask("nobody@example.com", "nobody@example.com") == "DUNNO"
    assert ask("off@example.com", "off@example.com") == "DUNNO"


@change(days="10", message="Too old")
def test_own_days_and_message(ask, vmail):
    changed(vmail, 11)
    assert ask(ALICE, ALICE) == "REJECT Too old"


@change(never_expire="x@example.com, alice@example.com")
def test_a_login_whose_password_never_expires(ask):
    assert ask(ALICE, ALICE) == "DUNNO"
    assert ask(BOB, BOB) == EXPIRED


@change(never_expire="example.com")
def test_a_domain_whose_passwords_never_expire(ask):
    assert ask(ALICE, ALICE) == "DUNNO"


@change()
def test_passwords_by_smtp(postfix, policyd):
    with postfix.submission(ALICE) as client:
        assert client.send(ALICE, FAR) == (
            "554 5.7.1 <%s>: Recipient address rejected: " % FAR
            + EXPIRED[len("REJECT "):])


@change(on_error="defer")
def test_passwords_with_the_database_away(configured, ask, mariadb):
    configured.configure(**{"greylisting.mode": "off",
                            "ml_access_policy.mode": "off",
                            "alias_access_policy.mode": "off",
                            CHANGE + "mode": "enforce",
                            CHANGE + "on_error": "defer"})
    assert ask(ALICE, ALICE) == EXPIRED
    mariadb.kill()
    wait_for(lambda: ask(BOB, BOB) == UNAVAILABLE, "the rule to give up")
    assert ask(ALICE, ALICE) == EXPIRED
